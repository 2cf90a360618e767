//! Every clock against the definition of happens-before, on random executions: processes that do something,
//! send, and receive what was sent before, late, twice or never.

use proptest::prelude::*;
use quorate_clocks::{Causality, HybridClock, HybridTime, LamportClock, VectorClock};

/// An event: whose it is, what the physical clock said there, and of which earlier event it receives word.
#[derive(Clone, Debug)]
struct Event {
    process: usize,
    physical_ms: u64,
    receives: Option<usize>,
}

const PROCESSES: usize = 5;

/// Physical clocks say anything, and go back as they like.
fn executions() -> impl Strategy<Value = Vec<Event>> {
    let event = (
        0..PROCESSES,
        0..50_u64,
        proptest::option::weighted(0.6, any::<prop::sample::Index>()),
    );
    prop::collection::vec(event, 1..40).prop_map(|events| {
        let events = events.into_iter().enumerate();
        let events = events.map(|(at, (process, physical_ms, receives))| Event {
            process,
            physical_ms,
            receives: receives.filter(|_| at > 0).map(|sent| sent.index(at)),
        });
        events.collect()
    })
}

/// The transitive closure of the two rules, by Warshall's algorithm.
fn happens_before(events: &[Event]) -> Vec<Vec<bool>> {
    let mut before = vec![vec![false; events.len()]; events.len()];
    for (later, event) in events.iter().enumerate() {
        for earlier in 0..later {
            let in_its_process = events[earlier].process == event.process;
            before[earlier][later] = in_its_process || event.receives == Some(earlier);
        }
    }
    for middle in 0..events.len() {
        for from in 0..events.len() {
            for to in 0..events.len() {
                before[from][to] |= before[from][middle] && before[middle][to];
            }
        }
    }
    before
}

/// Asserts of all pairs that what happens before has the smaller time.
fn assert_clock_condition<T: Ord>(before: &[Vec<bool>], times: &[T]) -> Result<(), TestCaseError> {
    for (one, others) in before.iter().enumerate() {
        for (other, is_before) in others.iter().enumerate() {
            prop_assert!(!is_before || times[one] < times[other], "{one} and {other}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn vector_clocks_characterise_it_exactly(events in executions()) {
        let before = happens_before(&events);
        let mut clocks = vec![VectorClock::new(); PROCESSES];
        let mut stamps: Vec<VectorClock<usize>> = Vec::new();
        for event in &events {
            let clock = &mut clocks[event.process];
            if let Some(sent) = event.receives {
                clock.merge(&stamps[sent]);
            }
            clock.increment(event.process);
            stamps.push(clock.clone());
        }
        for one in 0..events.len() {
            for other in 0..events.len() {
                let expected = match (before[one][other], before[other][one]) {
                    (true, _) => Causality::Before,
                    (_, true) => Causality::After,
                    _ if one == other => Causality::Equal,
                    _ => Causality::Concurrent,
                };
                prop_assert_eq!(stamps[one].compare(&stamps[other]), expected);
            }
        }
    }

    #[test]
    fn lamports_clock_respects_it_and_orders_everything(events in executions()) {
        let mut clocks = [LamportClock::new(); PROCESSES];
        let mut times: Vec<(u64, usize)> = Vec::new();
        for event in &events {
            let clock = &mut clocks[event.process];
            let time = match event.receives {
                Some(sent) => clock.observe(times[sent].0).unwrap(),
                None => clock.tick(),
            };
            times.push((time, event.process));
        }
        assert_clock_condition(&happens_before(&events), &times)?;
        let mut distinct = times.clone();
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), times.len());
    }

    #[test]
    fn hybrid_clocks_respect_it_whatever_physical_clocks_say(events in executions()) {
        let mut clocks = [HybridClock::new(50); PROCESSES];
        let mut times: Vec<HybridTime> = Vec::new();
        for event in &events {
            let clock = &mut clocks[event.process];
            times.push(match event.receives {
                Some(sent) => clock.observe(event.physical_ms, times[sent]).unwrap(),
                None => clock.tick(event.physical_ms).unwrap(),
            });
        }
        assert_clock_condition(&happens_before(&events), &times)?;
        // Theorem 3 of the paper: what it says is the greatest physical time among what happened before.
        let before = happens_before(&events);
        for (at, time) in times.iter().enumerate() {
            let past = (0..=at).filter(|earlier| *earlier == at || before[*earlier][at]);
            let greatest = past.map(|earlier| events[earlier].physical_ms).max();
            prop_assert_eq!(Some(time.physical_ms()), greatest);
        }
    }

    /// What the limit refuses has not happened; of the rest everything holds, and the bound too.
    #[test]
    fn hybrid_clocks_that_refuse_respect_it_within_their_bound(
        mut events in executions(),
        limit_ms in 0..30_u64,
    ) {
        let mut clocks = [HybridClock::new(limit_ms); PROCESSES];
        let mut times: Vec<Option<HybridTime>> = Vec::new();
        for (at, event) in events.iter_mut().enumerate() {
            let clock = &mut clocks[event.process];
            event.receives = event.receives.filter(|sent| times[*sent].is_some());
            let given = match event.receives.and_then(|sent| times[sent]) {
                Some(sent) => clock.observe(event.physical_ms, sent),
                None => clock.tick(event.physical_ms),
            };
            if let Ok(given) = given {
                let bound = event.physical_ms..=event.physical_ms + limit_ms;
                prop_assert!(bound.contains(&given.physical_ms()));
            } else {
                // It is nobody's, and word of nothing.
                event.process = PROCESSES + at;
                event.receives = None;
            }
            times.push(given.ok());
        }
        let before = happens_before(&events);
        for (one, earlier) in times.iter().enumerate() {
            for (other, later) in times.iter().enumerate() {
                if let (true, Some(earlier), Some(later)) = (before[one][other], earlier, later) {
                    prop_assert!(earlier < later);
                }
            }
        }
    }
}
