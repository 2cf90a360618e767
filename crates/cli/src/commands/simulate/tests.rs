//! The command line of simulations, and that what it prints runs the same again.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: SimulateArgs,
}

fn parse(line: &str) -> SimulateArgs {
    // Without "quorate", so that "simulate" is the name of the program.
    Line::try_parse_from(line.split(' ')).unwrap().args
}

#[test]
fn the_printed_command_is_the_same_plan() {
    let protocol = protocols(Some("raft-lying-disks")).unwrap()[0];
    let plans = [
        Plan {
            only: Some(vec![1, 4]),
            until: Some(Time(1_234_567)),
            ..Plan::new(9, 5)
        },
        Plan {
            only: Some(Vec::new()),
            ..Plan::new(9, 5)
        },
    ];
    for plan in plans {
        let printed = command(protocol, &plan);
        let args = parse(printed.strip_prefix("quorate ").unwrap());
        let again = Plan {
            keep: plan.keep,
            ..args.plan()
        };
        assert_eq!(again, plan, "{printed}");
    }
}

#[test]
fn a_canary_is_found_and_told_small() {
    let args = parse("simulate raft-lying-disks --runs 20 --seconds 10 --threads 1");
    let protocol = protocols(Some("raft-lying-disks")).unwrap()[0];
    let found = args.many(protocol);
    let text = args.to_text(&found);
    let again = "again: quorate simulate raft-lying-disks --seed";
    assert!(
        text.contains("FAILED: seed") && text.contains(again),
        "{text}"
    );
    let small = found.small.as_ref().unwrap();
    let first = &found.campaign.failures[0];
    assert!(small.report.faults.len() < first.faults.len());
    let json = args.to_json(&found);
    assert_eq!(json["failures"][0]["seed"], first.seed);
    assert!(
        json["minimal"]["log"]
            .as_array()
            .is_some_and(|log| !log.is_empty())
    );
}

#[test]
fn protocols_broken_on_purpose_are_left_out_unless_named() {
    let all = protocols(None).unwrap();
    assert!(all.iter().all(|protocol| !protocol.canary) && !all.is_empty());
    let named = protocols(Some("raft-amnesia")).unwrap();
    assert!(named[0].canary && named.len() == 1);
    assert!(matches!(
        protocols(Some("nonesuch")),
        Err(Failure::Usage(_))
    ));
}
