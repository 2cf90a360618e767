//! Histories with known verdicts, and random ones judged by trying every order.

use super::*;
use proptest::prelude::*;

/// An operation on key 0 between two ticks of a clock.
fn between(called: u64, returned: u64, operation: Operation, answer: Answer) -> Recorded {
    let at = Duration::from_micros;
    Recorded {
        client: 0,
        key: 0,
        operation,
        called: at(called),
        returned: Some((at(returned), answer)),
    }
}

fn put(called: u64, returned: u64, value: u64) -> Recorded {
    between(called, returned, Operation::Put(value), Answer::Written)
}

fn get(called: u64, returned: u64, value: impl Into<Value>) -> Recorded {
    between(called, returned, Operation::Get, Answer::Got(value.into()))
}

fn swap(
    called: u64,
    returned: u64,
    expected: impl Into<Value>,
    new: u64,
    answer: Answer,
) -> Recorded {
    let expected = expected.into();
    let operation = Operation::CompareAndSwap { expected, new };
    between(called, returned, operation, answer)
}

/// The same with an outcome that nobody knows.
fn unknown(recorded: Recorded) -> Recorded {
    Recorded {
        returned: None,
        ..recorded
    }
}

fn refused(history: &[Recorded]) -> String {
    check(history).expect_err("there is no order").to_string()
}

#[test]
fn one_after_the_other() {
    let history = [
        get(1, 2, None),
        put(3, 4, 1),
        get(5, 6, 1),
        swap(7, 8, 1, 2, Answer::Swapped),
        swap(9, 10, 1, 3, Answer::Mismatched(Some(2))),
        get(11, 12, 2),
    ];
    assert_eq!(check(&history), Ok(()));
}

#[test]
fn concurrent_writes_may_come_in_either_order() {
    let writes = [put(1, 10, 1), put(2, 9, 2)];
    for value in [1, 2] {
        let history = [writes[0], writes[1], get(11, 12, value)];
        assert_eq!(check(&history), Ok(()), "{value}");
    }
}

#[test]
fn a_read_during_a_write_sees_either_but_not_back_and_forth() {
    let write = put(3, 20, 2);
    let history = |values: [u64; 2]| {
        let reads = [get(4, 5, values[0]), get(6, 7, values[1])];
        [put(1, 2, 1), write, reads[0], reads[1]]
    };
    for values in [[1, 1], [1, 2], [2, 2]] {
        assert_eq!(check(&history(values)), Ok(()), "{values:?}");
    }
    assert!(refused(&history([2, 1])).contains("get -> 1"));
}

#[test]
fn a_stale_read_is_refused() {
    let history = [put(1, 2, 1), put(3, 4, 2), get(5, 6, 1)];
    let why = refused(&history);
    assert!(why.ends_with("get -> 1 at 0.000006 s\n"), "{why}");
}

#[test]
fn a_lost_update_is_refused() {
    let both = [
        put(1, 2, 1),
        swap(3, 6, 1, 2, Answer::Swapped),
        swap(4, 5, 1, 3, Answer::Swapped),
    ];
    assert!(refused(&both).contains("swap 1 for"));
    assert!(refused(&[put(1, 2, 1), get(3, 4, None)]).contains("get -> nothing"));
}

#[test]
fn a_swap_is_refused_for_a_reason_only() {
    let history = [put(1, 2, 1), swap(3, 4, 1, 2, Answer::Mismatched(Some(1)))];
    assert!(refused(&history).contains("no, it holds 1"));
}

#[test]
fn an_unknown_write_happens_late_or_never_but_once() {
    let maybe = unknown(put(1, 2, 7));
    let known = put(3, 4, 1);
    assert_eq!(check(&[maybe, known, get(5, 6, 1)]), Ok(()));
    assert_eq!(check(&[maybe, known, get(5, 6, 7), get(7, 8, 7)]), Ok(()));
    // Seen, overwritten, and back again: it would have happened twice.
    let twice = [
        maybe,
        get(3, 4, 7),
        put(5, 6, 1),
        get(7, 8, 1),
        get(9, 10, 7),
    ];
    assert!(refused(&twice).contains("get -> 7"));
    // Not before it was called.
    assert!(check(&[get(1, 2, 7), unknown(put(3, 4, 7))]).is_err());
}

#[test]
fn an_unknown_swap_can_be_what_another_swap_saw() {
    let history = [
        unknown(put(1, 2, 1)),
        unknown(swap(3, 4, 1, 2, Answer::Swapped)),
        get(5, 6, 2),
    ];
    assert_eq!(without_unseen(history.to_vec()).len(), 3);
    assert_eq!(check(&history), Ok(()));
}

#[test]
fn keys_are_independent() {
    let other = |recorded| Recorded { key: 1, ..recorded };
    assert_eq!(check(&[put(1, 2, 1), other(get(3, 4, None))]), Ok(()));
    let why = refused(&[put(1, 2, 1), other(get(3, 4, 1))]);
    assert!(why.starts_with("key 1 "), "{why}");
}

#[test]
fn a_long_history_with_many_unknown_writes_is_judged() {
    let mut history = Vec::new();
    for round in 0..2_000 {
        let time = round * 10;
        history.push(put(time + 1, time + 5, round));
        history.push(get(time + 2, time + 8, round));
        if round % 20 == 0 {
            history.push(unknown(put(time + 3, time + 4, 1_000_000 + round)));
        }
        if round % 200 == 9 {
            // One of the unknown writes shows up after its time.
            history.push(get(time + 9, time + 9, 1_000_000 + round - 9));
        }
    }
    assert_eq!(check(&history), Ok(()));
    history.push(get(30_000, 30_001, 3));
    assert!(refused(&history).contains("get -> 3"));
}

/// Whether some order of the operations, the unknown ones in it or not, is one: by trying all.
fn has_order(history: &[Recorded], held: Value, left: &mut Vec<usize>) -> bool {
    if left.iter().all(|&index| history[index].returned.is_none()) {
        return true;
    }
    for position in 0..left.len() {
        let index = left[position];
        let follows = left.iter().all(|&other| {
            let returned = history[other].returned;
            returned.is_none_or(|(returned, _)| returned >= history[index].called)
        });
        let Some(leaves) = history[index].step(held).filter(|_| follows) else {
            continue;
        };
        left.remove(position);
        let found = has_order(history, leaves, left);
        left.insert(position, index);
        if found {
            return true;
        }
    }
    false
}

prop_compose! {
    /// Operations on few values, close together; many of these histories have an order, and many not.
    fn any_recorded()(
        kind in 0..5, expected in 0..4_u64, value in 1..4_u64,
        called in 0..20_u64, lasts in 0..12_u64, known in 0..4,
    ) -> Recorded {
        let returned = called + lasts;
        let seen = (expected > 0).then_some(expected);
        let recorded = match kind {
            0 | 1 => get(called, returned, seen),
            2 => put(called, returned, value),
            3 => swap(called, returned, seen, value, Answer::Swapped),
            _ => swap(called, returned, None, value, Answer::Mismatched(seen)),
        };
        if known == 0 { unknown(recorded) } else { recorded }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn the_search_agrees_with_trying_every_order(history in prop::collection::vec(any_recorded(), 1..7)) {
        let expected = has_order(&history, None, &mut (0..history.len()).collect());
        prop_assert_eq!(check(&history).is_ok(), expected, "{:#?}", history);
    }
}
