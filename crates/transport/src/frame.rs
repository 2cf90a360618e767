//! What goes over a stream: a hello, then batches of packets.
//!
//! The generated protobuf types allow more than the protocol does (a frame with neither, versions in
//! the wrong order); this module parses them into types that do not.

use crate::{Malformed, proto};
use quorate_machine::NodeId;
use std::ops::RangeInclusive;

/// The protocol versions that this node speaks.
pub const PROTOCOL_VERSIONS: RangeInclusive<u32> = 1..=1;

/// A parsed [`proto::Frame`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    /// The first of a stream, in either direction.
    Hello(Hello),
    /// All others. The packets stay as generated: any group and any payload may be valid.
    Packets(Vec<proto::Packet>),
}

impl TryFrom<proto::Frame> for Frame {
    type Error = Malformed;

    fn try_from(frame: proto::Frame) -> Result<Self, Malformed> {
        match (frame.hello, frame.packets) {
            (Some(_), packets) if !packets.is_empty() => {
                Err(Malformed::new("a hello with packets"))
            }
            (Some(hello), _) => Ok(Frame::Hello(hello.try_into()?)),
            (None, packets) if packets.is_empty() => Err(Malformed::new("an empty frame")),
            (None, packets) => Ok(Frame::Packets(packets)),
        }
    }
}

impl From<Frame> for proto::Frame {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Hello(hello) => proto::Frame {
                hello: Some(hello.into()),
                packets: Vec::new(),
            },
            Frame::Packets(packets) => proto::Frame {
                hello: None,
                packets,
            },
        }
    }
}

/// Who speaks to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) cluster: String,
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) versions: RangeInclusive<u32>,
}

impl TryFrom<proto::Hello> for Hello {
    type Error = Malformed;

    fn try_from(hello: proto::Hello) -> Result<Self, Malformed> {
        let versions = hello.oldest_version..=hello.newest_version;
        if versions.is_empty() {
            return Err(Malformed::new(format!("no versions in {versions:?}")));
        }
        Ok(Hello {
            cluster: hello.cluster,
            from: NodeId(hello.from),
            to: NodeId(hello.to),
            versions,
        })
    }
}

impl From<Hello> for proto::Hello {
    fn from(hello: Hello) -> Self {
        proto::Hello {
            oldest_version: *hello.versions.start(),
            newest_version: *hello.versions.end(),
            cluster: hello.cluster,
            from: hello.from.0,
            to: hello.to.0,
        }
    }
}

/// Why a peer is refused. Each names what both sides said, because two configurations must be
/// compared to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{peer} belongs to cluster {theirs:?}, {me} to {ours:?}")]
    Cluster {
        peer: NodeId,
        theirs: String,
        me: NodeId,
        ours: String,
    },
    #[error("{peer} speaks protocol versions {theirs:?}, {me} speaks {ours:?}")]
    Version {
        peer: NodeId,
        theirs: RangeInclusive<u32>,
        me: NodeId,
        ours: RangeInclusive<u32>,
    },
    /// Typically an address that now belongs to another node.
    #[error("{peer} takes its peer for {meant}, but it is {me}")]
    NotMe {
        peer: NodeId,
        meant: NodeId,
        me: NodeId,
    },
    #[error("{expected} was expected at this address, {found} answered")]
    Another { expected: NodeId, found: NodeId },
    #[error("{peer} is no peer of {me}")]
    Stranger { peer: NodeId, me: NodeId },
    /// Two streams between the same two nodes would reorder their messages.
    #[error("the lower id dials: {me} dials {peer}, not the other way round")]
    Direction { peer: NodeId, me: NodeId },
}

impl Hello {
    /// Accepts or refuses the peer that said `self` to the one that says `ours`.
    ///
    /// `ours.to` is the node that should be at the other end.
    pub(crate) fn check(&self, ours: &Hello) -> Result<(), Refusal> {
        let (peer, me) = (self.from, ours.from);
        // The cluster first: ids of different clusters mean nothing to each other.
        if self.cluster != ours.cluster {
            return Err(Refusal::Cluster {
                peer,
                theirs: self.cluster.clone(),
                me,
                ours: ours.cluster.clone(),
            });
        }
        if self.versions.end() < ours.versions.start()
            || ours.versions.end() < self.versions.start()
        {
            return Err(Refusal::Version {
                peer,
                theirs: self.versions.clone(),
                me,
                ours: ours.versions.clone(),
            });
        }
        if self.to != me {
            let meant = self.to;
            return Err(Refusal::NotMe { peer, meant, me });
        }
        if peer != ours.to {
            return Err(Refusal::Another {
                expected: ours.to,
                found: peer,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use prost::Message;

    fn hello(from: u32, to: u32) -> Hello {
        Hello {
            cluster: "a".into(),
            from: NodeId(from),
            to: NodeId(to),
            versions: 2..=4,
        }
    }

    #[test]
    fn matching_hellos_are_accepted() {
        assert_eq!(hello(1, 2).check(&hello(2, 1)), Ok(()));
    }

    #[test]
    fn versions_must_overlap() {
        for (versions, accepted) in [(1..=1, false), (1..=2, true), (4..=9, true), (5..=9, false)] {
            let theirs = Hello {
                versions: versions.clone(),
                ..hello(1, 2)
            };
            assert_eq!(theirs.check(&hello(2, 1)).is_ok(), accepted, "{versions:?}");
        }
    }

    #[test]
    fn a_refusal_names_both_sides() {
        let theirs = Hello {
            cluster: "b".into(),
            ..hello(1, 2)
        };
        let refusal = theirs.check(&hello(2, 1)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            r#"n1 belongs to cluster "b", n2 to "a""#
        );

        let refusal = hello(1, 3).check(&hello(2, 1)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "n1 takes its peer for n3, but it is n2"
        );

        let refusal = hello(3, 2).check(&hello(2, 1)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "n1 was expected at this address, n3 answered"
        );
    }

    #[test]
    fn frames_that_say_nothing_or_both_are_malformed() {
        let packet = proto::Packet::default();
        let both = proto::Frame {
            hello: Some(hello(1, 2).into()),
            packets: vec![packet],
        };
        assert!(Frame::try_from(both).is_err());
        assert!(Frame::try_from(proto::Frame::default()).is_err());
        let backwards = proto::Hello {
            oldest_version: 2,
            newest_version: 1,
            ..hello(1, 2).into()
        };
        assert!(Hello::try_from(backwards).is_err());
    }

    prop_compose! {
        fn any_hello()(cluster: String, from: u32, to: u32, oldest: u32, more in 0..9u32) -> Frame {
            Frame::Hello(Hello {
                cluster,
                from: NodeId(from),
                to: NodeId(to),
                versions: oldest..=oldest.saturating_add(more),
            })
        }
    }

    prop_compose! {
        fn any_packets()(packets in vec((any::<u64>(), any::<Vec<u8>>()), 1..9)) -> Frame {
            Frame::Packets(packets.into_iter().map(|(group, payload)| proto::Packet {
                group,
                payload: payload.into(),
            }).collect())
        }
    }

    proptest! {
        #[test]
        fn frames_come_back(frame in prop_oneof![any_hello(), any_packets()]) {
            let bytes = proto::Frame::from(frame.clone()).encode_to_vec();
            let decoded = proto::Frame::decode(bytes.as_slice()).unwrap();
            prop_assert_eq!(Frame::try_from(decoded), Ok(frame));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            if let Ok(frame) = proto::Frame::decode(bytes.as_slice()) {
                let _ = Frame::try_from(frame);
            }
        }
    }
}
