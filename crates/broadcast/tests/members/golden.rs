//! Scenarios as scripts with their transcripts, one file each in `../scripts/`.
//!
//! A script is prose (`#`), commands (`>`) and, indented below each command, what it led to. The transcript must
//! come out again to the letter. After a change that is meant, `UPDATE_GOLDEN=1 cargo test -p quorate-broadcast`
//! writes the transcripts anew, to be read in the diff. What a scenario is about is stated with `expect`, which
//! fails whether or not transcripts are being written; so does any violated property.
//!
//! | command | |
//! |---|---|
//! | `batch 2 window 4` | the limits, if others than 4 and 8; first |
//! | `n1 broadcasts 10 11` | its application broadcasts messages, together |
//! | `n1 flushes`, `n1 repairs`, `n1 syncs` | a timer fires; the disk has everything |
//! | `n1 consumes 2` | up to that position |
//! | `n1 crashes`, `n1 starts` | |
//! | `n1 to n2` | the oldest message between them arrives; `twice`: and stays; `lost`: does not |
//! | `expect n3 n1#1 n2#1` | what its application was told, in order |
//! | `expect n3 keeps 0` | how many messages its disk keeps |

use crate::group::Group;
use quorate_broadcast::Timer;
use std::fmt::Write;
use std::path::PathBuf;

fn member(word: &str) -> Option<usize> {
    let number: usize = word.strip_prefix('n')?.parse().ok()?;
    number.checked_sub(1)
}

fn numbers(words: &[&str]) -> Option<Vec<u64>> {
    words.iter().map(|word| word.parse().ok()).collect()
}

/// Carries a command out; `None` if it makes no sense.
fn run(group: &mut Group, words: &[&str]) -> Option<()> {
    match words {
        ["batch", batch, "window", window] => {
            *group = Group::new(batch.parse().ok()?, window.parse().ok()?);
        }
        ["expect", who, "keeps", count] => {
            assert_eq!(group.kept(member(who)?).to_string(), *count, "{words:?}");
        }
        ["expect", who, told @ ..] => {
            assert_eq!(group.seen(member(who)?), told.join(" "), "{words:?}");
        }
        [from, "to", to, how @ ..] => {
            let (from, to) = (member(from)? as u32 + 1, member(to)? as u32 + 1);
            let at = group.oldest(from, to)?;
            match how {
                [] => group.deliver(at, false),
                ["twice"] => group.deliver(at, true),
                ["lost"] => group.lose(at),
                _ => return None,
            }
        }
        [who, what, rest @ ..] => {
            let who = member(who)?;
            match *what {
                "broadcasts" => group.broadcast(who, numbers(rest)?),
                "consumes" => group.consume(who, *numbers(rest)?.first()? as usize),
                "flushes" => group.fire(who, Timer::Flush),
                "repairs" => group.fire(who, Timer::Repair),
                "syncs" => group.sync(who),
                "crashes" | "starts" => group.crash_or_start(who),
                _ => return None,
            }
        }
        _ => return None,
    }
    Some(())
}

/// The script with its transcript.
fn transcript(script: &str) -> String {
    let mut group = Group::new(4, 8);
    let mut out = String::new();
    for line in script.lines().filter(|line| !line.starts_with("    ")) {
        out.push_str(line);
        out.push('\n');
        if let Some(command) = line.strip_prefix('>') {
            let words: Vec<&str> = command.split_whitespace().collect();
            assert!(run(&mut group, &words).is_some(), "not understood: {line}");
            for happened in group.happened.drain(..) {
                let written = writeln!(out, "    {happened}");
                assert!(written.is_ok(), "a string takes everything");
            }
        }
    }
    out
}

fn play(name: &str) {
    let path = directory().join(name).with_extension("txt");
    let script = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let played = transcript(&script);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, played).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        return;
    }
    assert_eq!(script, played, "{path:?}");
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            play(stringify!($name));
        })*

        #[test]
        fn every_script_is_played() {
            let files = std::fs::read_dir(directory()).expect("the scripts are there");
            assert_eq!(files.count(), [$(stringify!($name)),*].len());
        }
    };
}

scenarios! {
    an_answer_waits_for_its_question
    a_message_outlives_its_sender
    a_batch_for_a_turn
    a_crash_before_the_disk_has_it
    a_full_window_refuses
    a_lost_batch_is_asked_for
    delivered_again_until_consumed
}
