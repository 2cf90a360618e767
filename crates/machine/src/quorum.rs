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
