//! Majorities.

/// The smallest number of `members` that any other majority must intersect.
///
/// ```
/// # use quorate_machine::majority;
/// assert_eq!([1, 2, 3, 4, 5].map(majority), [1, 2, 2, 3, 3]);
/// ```
pub const fn majority(members: usize) -> usize {
    members / 2 + 1
}

/// The highest value that a majority of `acknowledged` has reached; `None` without members.
///
/// `acknowledged` holds one value per member, in any order; it is reordered in place so that the
/// caller can reuse one buffer.
///
/// ```
/// # use quorate_machine::committed_by_majority;
/// assert_eq!(committed_by_majority(&mut [9, 3, 5]), Some(5));
/// assert_eq!(committed_by_majority(&mut [9, 3, 5, 7]), Some(5));
/// ```
pub fn committed_by_majority<T: Ord + Copy>(acknowledged: &mut [T]) -> Option<T> {
    let members = acknowledged.len();
    if members == 0 {
        return None;
    }
    // The value at this rank in ascending order has a majority at or above it.
    let rank = members - majority(members);
    let (_, value, _) = acknowledged.select_nth_unstable(rank);
    Some(*value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn majorities_intersect_and_nothing_smaller_does() {
        for members in 1..=9 {
            let quorum = majority(members);
            assert!(quorum <= members, "all of {members} are enough");
            assert!(2 * quorum > members, "two of {members} may miss each other");
            assert!(2 * (quorum - 1) <= members, "fewer than {quorum} would do");
        }
    }

    /// All acknowledgements of up to five members, by the definition.
    #[test]
    fn what_is_committed_has_reached_a_majority_and_nothing_higher_has() {
        assert_eq!(committed_by_majority::<u8>(&mut []), None);
        for members in 1..=5 {
            for mut code in 0..4_usize.pow(members) {
                let mut acknowledged: Vec<usize> = (0..members)
                    .map(|_| {
                        let digit = code % 4;
                        code /= 4;
                        digit
                    })
                    .collect();
                let reached = |value: &usize| {
                    let members = acknowledged.iter().filter(|other| *other >= value);
                    members.count() >= majority(acknowledged.len())
                };
                let highest = acknowledged.iter().copied().filter(reached).max();
                assert_eq!(committed_by_majority(&mut acknowledged), highest);
            }
        }
    }
}
