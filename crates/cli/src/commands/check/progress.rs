//! How the tasks go, while they go.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use quorate_check::Progress;

/// How often a line is printed where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows the progress of one task after another on standard error.
pub(super) struct Display {
    tasks: usize,
    /// The line of a terminal; gone when all is over.
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Which task it is, and its name.
    task: (usize, String),
    /// When the next line is due, where there is no terminal.
    due: Duration,
}

impl Display {
    /// A display of so many tasks.
    pub(super) fn new(tasks: usize) -> Self {
        let style = ProgressStyle::default_spinner();
        let terminal = io::stderr().is_terminal();
        Display {
            tasks,
            bar: terminal.then(|| ProgressBar::new_spinner().with_style(style)),
            state: Mutex::default(),
        }
    }

    /// The next task begins.
    pub(super) fn begin(&self, name: &str) {
        let mut state = self.state();
        state.task = (state.task.0 + 1, name.to_owned());
        state.due = LINE_INTERVAL;
    }

    /// The task that runs has made progress.
    pub(super) fn show(&self, progress: &Progress) {
        let mut state = self.state();
        let line = || {
            let (number, name) = &state.task;
            let seconds = progress.elapsed.as_secs();
            format!(
                "{number}/{} {name}  {}, {seconds} s",
                self.tasks, progress.text
            )
        };
        match &self.bar {
            Some(bar) => {
                bar.set_message(line());
                bar.tick();
            }
            None if progress.elapsed >= state.due => {
                eprintln!("{}", line());
                state.due = progress.elapsed + LINE_INTERVAL;
            }
            // A second search, for a shorter counterexample, begins anew.
            None if progress.elapsed + LINE_INTERVAL < state.due => state.due = LINE_INTERVAL,
            None => {}
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
