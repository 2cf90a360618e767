//! Whole validations: of what conforms, and of everything that must not.

// What is printed is shown if a test fails.
#![allow(clippy::print_stdout)]

mod cluster;
mod faulty;

use cluster::{Run, Sum, run};
use faulty::VotesTwice;
use quorate_conform::{Options, Part, RaftLike, Report, Tools, conform};
use quorate_raft::Raft;
use std::fs;

type Sound = Raft<Sum>;

/// Options with TLC if it is there. Tests of the specification say loudly that they were not made otherwise.
fn options() -> Options {
    let tools = Tools::find(None);
    if let Err(missing) = &tools {
        eprintln!("NOT ASKED of the specification: {missing}");
    }
    let mut options = Options::new(tools.map_err(|missing| missing.to_string()));
    options.window = 150;
    options
}

fn without_tools() -> Options {
    Options::new(Err("this test does not".into()))
}

fn validate<M: RaftLike>(run: &Run<M>, options: &Options) -> Report {
    conform(&run.lives, options, &mut |_, _| {}).expect("a validation")
}

/// Changes the text of a member's log.
fn change(run: &Run<Sound>, member: usize, start: usize, change: impl FnOnce(String) -> String) {
    let log = &run.lives[member].logs[start];
    let text = fs::read_to_string(log).expect("a log");
    let changed = change(text.clone());
    assert_ne!(text, changed, "the change has an effect");
    fs::write(log, changed).expect("a log");
}

#[test]
fn sound_runs_conform() {
    for seed in 0..2 {
        let run = run::<Sound>(seed, 1_500, |_| {});
        let options = options();
        let report = validate(&run, &options);
        assert!(report.holds(), "seed {seed}: {report}");
        assert!(report.committed > 20, "{report}");
        assert!(
            report.matched > Some(300) && report.lost > Some(30),
            "{report}"
        );
        let crashed = report.members.iter().any(|member| member.incarnations > 2);
        assert!(crashed && report.states > 1_500, "{report}");
        if options.tools.is_ok() {
            assert!(report.conforms(), "{report}");
            println!("{report}");
        }
    }
}

#[test]
fn a_voter_that_votes_twice_is_found() {
    let mut found = (false, false);
    for seed in 0..60 {
        let run = run::<VotesTwice>(seed, 1_500, |config| config.pre_vote = false);
        let report = validate(&run, &without_tools());
        let identical = report.members.iter().all(|member| member.identical);
        assert!(identical, "its logs are those of its own machine: {report}");
        if let Some(finding) = report.findings.first() {
            assert_eq!(finding.part, Part::Invariants);
            found.0 |= finding.what.starts_with("election safety");
            let options = options();
            if options.tools.is_err() {
                found.1 = true;
            } else if let Some(finding) = validate(&run, &options)
                .findings
                .iter()
                .find(|finding| finding.part == Part::Specification)
            {
                println!("{finding}");
                found.1 |= finding.event.contains("RequestVote");
            }
            if found == (true, true) {
                return;
            }
        }
    }
    panic!("found by invariants and by the specification: {found:?}");
}

#[test]
fn an_altered_event_is_found_by_the_replay() {
    let run = run::<Sound>(1, 1_500, |_| {});
    // The first heartbeat that a follower answers says another commit index.
    change(&run, 1, 0, |text| {
        let at = text.find("Appended(").expect("an acknowledgement");
        let (before, after) = text.split_at(at);
        before.to_owned() + &after.replacen("matched i", "matched i9", 1)
    });
    let report = validate(&run, &without_tools());
    let [finding] = &report.findings[..] else {
        panic!("one finding: {report}");
    };
    assert_eq!((finding.part, finding.member), (Part::Replay, 2));
    assert!(finding.what.contains("matched i9"), "{finding}");
    assert!(!report.members[1].identical && report.members[0].identical);
    assert_eq!(report.matched, None, "what follows is not asked");
}

#[test]
fn a_dropped_event_is_found_by_the_replay() {
    let run = run::<Sound>(1, 1_500, |_| {});
    change(&run, 2, 0, |text| {
        let dropped = text.lines().filter(|line| !line.contains("\"index\":4,"));
        dropped.map(|line| format!("{line}\n")).collect()
    });
    let report = validate(&run, &without_tools());
    assert_eq!(report.findings.len(), 1, "{report}");
    assert_eq!(report.findings[0].part, Part::Replay);
    assert!(report.findings[0].what.contains("step 5, expected 4"));
}

/// A member that lost the end of its log replays well: only the others know that it said more.
#[test]
fn a_log_without_its_end_is_found_by_the_order() {
    let run = run::<Sound>(1, 1_500, |_| {});
    let last = run.lives[0].logs.len() - 1;
    change(&run, 0, last, |text| {
        let lines: Vec<&str> = text.lines().collect();
        let kept = &lines[..lines.len() / 2];
        kept.iter().map(|line| format!("{line}\n")).collect()
    });
    let report = validate(&run, &options());
    assert!(report.members.iter().all(|member| member.identical));
    let finding = report.findings.first().expect("a finding");
    assert_eq!(finding.part, Part::Order, "{report}");
    assert!(finding.event.starts_with("receive "), "{finding}");
    assert!(finding.what.contains("no log of the sender"), "{finding}");
    assert!(!report.conforms() && report.matched.is_some());
}

#[test]
fn a_torn_last_line_is_no_finding() {
    let run = run::<Sound>(1, 1_500, |_| {});
    let last = run.lives[0].logs.len() - 1;
    change(&run, 0, last, |text| text + "{\"step\":{\"index\":9");
    let report = validate(&run, &without_tools());
    assert!(report.holds(), "{report}");
}

#[test]
fn without_a_members_logs_the_others_are_still_asked_what_they_can_tell() {
    let mut run = run::<Sound>(2, 1_500, |_| {});
    run.lives.remove(2);
    let report = validate(&run, &options());
    assert!(report.holds() && !report.conforms(), "{report}");
    assert!(!report.members[2].recorded && report.matched > Some(50));
    let text = report.to_string();
    assert!(text.contains("the logs of n3 are missing"), "{text}");
}

#[test]
fn members_of_two_groups_are_refused() {
    let mut run = run::<Sound>(1, 50, |_| {});
    run.lives[1].config.check_quorum = false;
    let refused = conform(&run.lives, &without_tools(), &mut |_, _| {});
    let refused = refused.expect_err("another configuration").to_string();
    assert!(refused.contains("n1 and n2"), "{refused}");
}
