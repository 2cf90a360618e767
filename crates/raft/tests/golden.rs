//! Scenarios of Raft as scripts with their transcripts, one file each in `scripts/`.
//!
//! A script is prose (`#`), commands (`>`) and, indented below each command, what it led to; the
//! commands are those of [`transcript::Director`]. The transcript must come out again to the letter.
//! After a change that is meant, `UPDATE_GOLDEN=1 cargo test -p quorate-raft --test golden` writes the
//! transcripts anew, to be read in the diff. What a scenario is about is stated with `expect`, which
//! fails whether or not transcripts are being written; so does any violated property.

mod cluster;
mod transcript;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

fn play(name: &str) {
    let path = directory().join(name).with_extension("txt");
    let script = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let played = match transcript::play(&script) {
        Ok(played) => played,
        Err(failure) => panic!("{path:?}: {failure}"),
    };
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        if played != script {
            fs::write(&path, played).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        }
        return;
    }
    let lines = || script.lines().zip(played.lines()).enumerate();
    if let Some((at, (was, is))) = lines().find(|(_, (was, is))| was != is) {
        panic!(
            "{path:?}, line {}:\n  expected: {was}\n  happened: {is}",
            at + 1
        );
    }
    assert_eq!(script.len(), played.len(), "{path:?} ends differently");
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
    first_election
    a_deposed_leader_does_not_answer_reads
    a_deposed_leader_refuses_what_it_has_not_begun
    a_duplicate_does_not_truncate
    a_higher_term_is_not_a_vote
    a_read_waits_for_an_entry_of_the_own_term
    a_read_waits_for_its_round
    acknowledged_in_an_earlier_term
    acknowledged_only_once_durable
    batch_limits
    busy
    busy_by_bytes
    check_quorum_steps_down
    election_restriction
    figure_7
    figure_8
    figure_8_with_an_entry_of_its_own
    five_nodes
    hostile_messages
    late_conflict
    lost_append
    pipelined_replication
    pre_vote_for_a_term_that_has_begun
    pre_vote_keeps_the_term
    pre_vote_with_a_shorter_log_and_a_later_term
    reordered_appends
    retried_write
    session_limit
    single_node
    split_vote
    superseded_and_unknown
    the_leaders_own_disk
    two_nodes
    vote_kept_over_a_restart
    vote_lost_in_a_crash
    who_hears_a_leader_ignores_candidates
    window
}
