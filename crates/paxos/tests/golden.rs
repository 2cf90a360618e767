//! Scenarios of Paxos as scripts with their transcripts, one file each in `scripts/`.
//!
//! A script is prose (`#`), commands (`>`) and, indented below each command, what it led to; the commands are
//! those of [`group::Group::direct`]. The transcript must come out again to the letter. After a change that is
//! meant, `UPDATE_GOLDEN=1 cargo test -p quorate-paxos --test golden` writes the transcripts anew, to be read in
//! the diff. What a scenario is about is stated with `expect`, which fails whether or not transcripts are being
//! written; so does any violated invariant.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod group;

use group::Group;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// The script with what its commands lead to now.
fn transcript(script: &str) -> Result<String, String> {
    let mut group = Group::default();
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(script.lines()) {
        if line.starts_with("  ") {
            continue; // what it led to before
        }
        lines.push(line.to_owned());
        if let Some(command) = line.strip_prefix("> ") {
            let happened = group.direct(command);
            let happened = happened.map_err(|error| format!("line {number}: {error}"))?;
            lines.extend(happened.into_iter().map(|line| format!("  {line}")));
        }
    }
    Ok(lines.join("\n") + "\n")
}

fn play(name: &str) {
    let path = directory().join(name).with_extension("txt");
    let script = fs::read_to_string(&path).unwrap();
    let played = match transcript(&script) {
        Ok(played) => played,
        Err(failure) => panic!("{path:?}: {failure}"),
    };
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, played).unwrap();
        return;
    }
    assert_eq!(played, script, "{path:?}");
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            play(stringify!($name));
        })*

        #[test]
        fn every_script_is_played() {
            let files = fs::read_dir(directory()).unwrap().map(|file| file.unwrap().path());
            let files: BTreeSet<_> = files
                .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
                .collect();
            let played = BTreeSet::from([$(stringify!($name).to_owned()),*]);
            assert_eq!(files, played);
        }
    };
}

scenarios! {
    a_ballot_is_not_used_again_after_a_crash
    a_decision
    a_promise_outlives_a_crash
    a_read_finds_nothing
    a_read_joins_no_phase_1_that_began_before_it
    a_released_decision
    hostile_messages
    limits
    lost_messages
    one_node
    the_highest_ballot_counts
    two_proposers
}
