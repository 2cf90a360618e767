//! Clocks in the service's words.

use crate::proto;
use quorate::NodeId;
use quorate_broadcast::Clock;

pub(crate) fn proto_of(clock: &Clock) -> proto::Clock {
    let (members, counts) = clock
        .iter()
        .map(|(NodeId(member), count)| (member, count))
        .unzip();
    proto::Clock { members, counts }
}

/// The clock, or what is wrong with it.
pub(crate) fn clock_of(clock: proto::Clock) -> Result<Clock, String> {
    let proto::Clock { members, counts } = clock;
    if members.len() != counts.len() {
        return Err("a clock's lists differ in length".to_owned());
    }
    let entries = members.into_iter().map(NodeId).zip(counts);
    Clock::from_entries(entries).map_err(|invalid| invalid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_come_back_and_what_is_none_is_refused() {
        let clock = Clock::from_entries([(NodeId(3), 1), (NodeId(1), 7)]).unwrap();
        assert_eq!(clock_of(proto_of(&clock)), Ok(clock));
        let refused = |members: &[u32], counts: &[u64]| {
            let (members, counts) = (members.to_vec(), counts.to_vec());
            clock_of(proto::Clock { members, counts }).is_err()
        };
        assert!(refused(&[1], &[1, 2]));
        assert!(refused(&[1, 1], &[1, 2]));
        assert!(refused(&[1], &[u64::MAX]));
    }
}
