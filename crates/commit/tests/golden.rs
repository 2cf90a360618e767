//! Scenarios of two-phase commit as scripts with their transcripts, one file each in `scripts/`.
//!
//! A script is prose (`#`), commands (`>`) and, indented below each command, what it led to. The transcript must
//! come out again to the letter. After a change that is meant, `UPDATE_GOLDEN=1 cargo test -p quorate-commit --test
//! golden` writes the transcripts anew, to be read in the diff.
//!
//! ```text
//! nodes 3                          start a group
//! begin n1 r1 n2 n3                a caller asks n1 to commit something at n2 and n3; `agreed` by consensus
//! ask n1 r2 n1.1.1                 a caller asks what has become of it
//! yes n2 n1.1.1 | no ... | done ...    the resource of n2 says so
//! sync n1                          all that n1 has written becomes durable
//! deliver n1 n2                    all that n1 has sent to n2 arrives; `all`: everything, until nothing is left
//! repeat n1 n2                     the same, and it will arrive once more
//! lose n1 n2                       what n1 has sent to n2 is lost
//! votes n1 n1.1.1 | waiting n2 n1.1.1  a timer fires
//! crash n1 | recover n1
//! ```

mod group;

use group::Group;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// The script with the transcript that comes of it.
fn played(script: &str) -> Result<String, String> {
    let mut group = Group::default();
    let mut played = String::new();
    for (number, line) in script.lines().enumerate() {
        if line.starts_with("  ") {
            continue; // what happened the last time
        }
        played.push_str(line);
        played.push('\n');
        if let Some(command) = line.strip_prefix("> ") {
            let happened = group.direct(command);
            let happened =
                happened.map_err(|why| format!("line {}, {command}: {why}", number + 1))?;
            for line in happened {
                played.push_str("  ");
                played.push_str(&line);
                played.push('\n');
            }
        }
    }
    Ok(played)
}

fn play(name: &str) {
    let path = directory().join(name).with_extension("txt");
    let script = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let played = played(&script).unwrap_or_else(|why| panic!("{path:?}: {why}"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, played).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    } else {
        assert_eq!(script, played, "{path:?}");
    }
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            play(stringify!($name));
        })*

        #[test]
        fn every_script_is_played() {
            let files = fs::read_dir(directory()).expect("the scripts are there");
            let files = files.map(|file| file.expect("a directory entry").path());
            let files: BTreeSet<_> = files
                .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
                .collect();
            let played = BTreeSet::from([$(stringify!($name).to_owned()),*]);
            assert_eq!(files, played);
        }
    };
}

scenarios! {
    commit
    vote_against
    coordinator_crashes_before_it_has_decided
    coordinator_crashes_after_it_has_decided
    blocked
    one_who_has_committed_tells_the_other
    one_who_has_not_voted_gives_up_its_vote
    a_vote_that_a_crash_took_is_refused
    agreed_without_the_coordinator
    what_a_caller_is_told_later
    questions_wait_for_the_first_epoch_only
    a_question_comes_again_after_the_abort
}
