//! The engine agrees with TLC: the systems of `specs/fair`, in Rust, have the same number of states and
//! the same verdicts under the same fairness as what is recorded there of TLC.

mod systems;

use quorate_fair::Fairness::{None, Strong, Weak};
use std::path::Path;
use systems::alternating_bit::{self, Channels};
use systems::philosophers::{self, Philosophers};
use systems::ring::{self, Ring};
use systems::{Outcome, peterson, spinlock};

/// A configuration's file, decided here.
fn decide(configuration: &str) -> Outcome {
    let table = |count, ordered| Philosophers { count, ordered };
    let ring = |values| Ring {
        machines: 4,
        values,
    };
    let channels = |data, acks| Channels { data, acks };
    match configuration {
        "PhilosophersDeadlock" => philosophers::hungry_eat(&table(3, false), Strong),
        "PhilosophersWeak" => philosophers::hungry_eat(&table(3, true), Weak),
        "PhilosophersStrong" => philosophers::hungry_eat(&table(4, true), Strong),
        "RingStabilizes" => ring::stabilizes(&ring(4), Weak),
        "RingCirculates" => ring::circulates(&ring(4), Weak),
        "RingSmall" => ring::stabilizes(&ring(2), Weak),
        "RingUnfair" => ring::stabilizes(&ring(4), None),
        "Peterson" => peterson::requests_enter(Weak),
        "PetersonStaying" => peterson::requests_enter(None),
        "PetersonIdle" => peterson::somebody_enters(),
        "AlternatingBit" => alternating_bit::alternates(channels(Strong, Strong)),
        "AlternatingBitDelivers" => alternating_bit::delivers(channels(Strong, Weak)),
        "AlternatingBitDeaf" => alternating_bit::alternates(channels(Strong, Weak)),
        "AlternatingBitWeak" => alternating_bit::delivers(channels(Weak, Weak)),
        "SpinlockWeak" => spinlock::nobody_starves(Weak),
        "SpinlockStrong" => spinlock::nobody_starves(Strong),
        "SpinlockSomebody" => spinlock::somebody_enters(Weak),
        other => panic!("{other} is not in Rust"),
    }
}

#[test]
fn verdicts_and_states_are_those_of_tlc() {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../specs/fair/expected.tsv");
    let recorded = std::fs::read_to_string(recorded).expect("the recorded results");
    let rows = recorded.lines().filter(|line| !line.starts_with('#'));
    let mut both = [0, 0];
    for row in rows {
        let columns: Vec<&str> = row.split('\t').collect();
        let [name, module, _, verdict, _, states, depth] = columns[..] else {
            panic!("not a row: {row}");
        };
        // For measuring; nothing is judged there.
        if module == "TwoPhase" {
            continue;
        }
        let outcome = decide(name);
        assert_eq!(
            outcome.holds,
            verdict == "holds",
            "{name}\n{}",
            outcome.text
        );
        assert_eq!(outcome.states.to_string(), states, "{name}");
        // TLC does not say how deep a graph is when a property is violated.
        if outcome.holds {
            assert_eq!(outcome.depth.to_string(), depth, "{name}");
        }
        both[usize::from(outcome.holds)] += 1;
    }
    assert_eq!(both, [9, 8], "violated, holding");
}

#[test]
fn a_lasso_reads_as_a_story() {
    let outcome = spinlock::nobody_starves(Weak);
    let story = "\
  and then, again and again:
     2  Request(0)
        [Trying, Idle, Trying]
     3  Acquire(0)
        [Critical, Idle, Trying]
     4  Release(0)
        [Idle, Idle, Trying]
  back to the state after step 1.
  It is fair:
    weak    Acquire(0): taken in step 3
    weak    Acquire(1): enabled nowhere in the cycle
    weak    Acquire(2): not enabled after step 3
    weak    Release(0): taken in step 4
    weak    Release(1): enabled nowhere in the cycle
    weak    Release(2): enabled nowhere in the cycle
";
    assert!(outcome.text.contains(story), "{}", outcome.text);
}

#[test]
fn a_deadlock_is_a_behaviour() {
    let table = Philosophers {
        count: 3,
        ordered: false,
    };
    let outcome = philosophers::hungry_eat(&table, Strong);
    let end = "and then nothing happens any more.";
    assert!(outcome.text.contains(end), "{}", outcome.text);
}

#[test]
fn a_graph_is_compact() {
    let table = Philosophers {
        count: 8,
        ordered: true,
    };
    let size = philosophers::size(&table);
    assert!(size.states > 20_000, "{size}");
    assert!(size.bytes_per_state() < 20.0, "{size}");
    assert!(size.bytes_per_edge() <= 6.0, "{size}");
}
