//! How a search goes, while it goes.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use quorate_model::Progress;

/// How often a line is printed where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows the progress of one configuration on standard error.
pub(super) enum Display {
    /// One line that changes; gone when the search is over.
    Terminal {
        /// Which configuration of how many.
        title: String,
        /// The line.
        bar: ProgressBar,
    },
    /// A line every [`LINE_INTERVAL`].
    Lines {
        /// Which configuration of how many.
        title: String,
        /// When the next line is due.
        due: Duration,
    },
}

impl Display {
    pub(super) fn new(title: String) -> Self {
        if io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
            Display::Terminal { title, bar }
        } else {
            Display::Lines {
                title,
                due: LINE_INTERVAL,
            }
        }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        match self {
            Display::Terminal { title, bar } => {
                bar.set_message(line(title, progress));
                bar.tick();
            }
            Display::Lines { title, due } => {
                // A second search, for a shorter counterexample, begins anew.
                if progress.elapsed + LINE_INTERVAL < *due {
                    *due = LINE_INTERVAL;
                }
                if progress.elapsed >= *due {
                    *due = progress.elapsed + LINE_INTERVAL;
                    eprintln!("{}", line(title, progress));
                }
            }
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Display::Terminal { bar, .. } = self {
            bar.finish_and_clear();
        }
    }
}

fn line(title: &str, progress: &Progress) -> String {
    let task = if progress.shortening {
        "looking for a shorter counterexample: "
    } else {
        ""
    };
    let memory = progress
        .rss_bytes
        .map_or(String::new(), |bytes| format!(", {} MiB", bytes >> 20));
    format!(
        "{title}  {task}{} states, {} unique, {:.0}/s, depth {}{memory}, {:.0} s",
        progress.states,
        progress.unique,
        progress.rate,
        progress.depth,
        progress.elapsed.as_secs_f64(),
    )
}
