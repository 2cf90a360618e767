//! Causal broadcast's types and their bytes.
//!
//! What a peer or a disk says is parsed here, once: clocks name each member once and count to what can be
//! counted, a batch has at least one payload and a number for each, and its payloads are as long together
//! as it says. Payloads are the application's own encoding, and slices of the message that was received.

use crate::protobuf::{encode, missing, read, write};
use crate::{Malformed, Wire};
use bytes::{Bytes, BytesMut};
use quorate_broadcast::{Batch, Clock, Command, Message, Record, Timer};
use quorate_machine::NodeId;
use std::sync::Arc;

/// The generated types.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod proto {
    tonic::include_proto!("quorate.broadcast.v1");
}

use proto::message::Kind;

fn encode_clock(clock: &Clock) -> proto::Clock {
    let (members, counts) = clock
        .iter()
        .map(|(member, count)| (member.0, count))
        .unzip();
    proto::Clock { members, counts }
}

/// An absent clock counts nothing: that is how protobuf may write an empty one.
fn decode_clock(clock: Option<proto::Clock>) -> Result<Clock, Malformed> {
    let proto::Clock { members, counts } = clock.unwrap_or_default();
    if members.len() != counts.len() {
        return Err(Malformed::new("a clock's lists differ in length"));
    }
    let entries = members.into_iter().map(NodeId).zip(counts);
    Clock::from_entries(entries).map_err(|invalid| Malformed::new(invalid.to_string()))
}

fn encode_batch<P: Wire>(batch: &Batch<P>) -> proto::Batch {
    let (sizes, payloads) = encode_payloads(&batch.payloads);
    proto::Batch {
        sender: batch.sender.0,
        first: batch.first,
        after: Some(encode_clock(&batch.after)),
        sizes,
        payloads,
    }
}

fn encode_payloads<P: Wire>(payloads: &[P]) -> (Vec<u32>, Bytes) {
    let mut bytes = BytesMut::new();
    let mut sizes = Vec::with_capacity(payloads.len());
    for payload in payloads {
        let before = bytes.len();
        payload.encode(&mut bytes);
        // No payload comes near 4 GiB: what a batch may hold is limited where it is broadcast.
        sizes.push(u32::try_from(bytes.len() - before).unwrap_or(u32::MAX));
    }
    (sizes, bytes.freeze())
}

fn decode_payloads<P: Wire>(sizes: &[u32], mut bytes: Bytes) -> Result<Vec<P>, Malformed> {
    let total: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
    if total != bytes.len() as u64 {
        return Err(Malformed::new("payloads are not as long as they say"));
    }
    let payloads = sizes
        .iter()
        .map(|size| P::decode(bytes.split_to(*size as usize)));
    payloads.collect()
}

fn decode_batch<P: Wire>(batch: proto::Batch) -> Result<Arc<Batch<P>>, Malformed> {
    let payloads: Vec<P> = decode_payloads(&batch.sizes, batch.payloads)?;
    let batch = Batch {
        sender: NodeId(batch.sender),
        first: batch.first,
        after: decode_clock(batch.after)?,
        payloads: payloads.into(),
    };
    match batch.last() {
        Some(_) => Ok(Arc::new(batch)),
        None => Err(Malformed::new(
            "a batch without messages, or without numbers for them",
        )),
    }
}

fn decode_batches<P: Wire>(batches: Vec<proto::Batch>) -> Result<Vec<Arc<Batch<P>>>, Malformed> {
    batches.into_iter().map(decode_batch).collect()
}

impl<P: Wire> Wire for Message<P> {
    fn encode(&self, out: &mut BytesMut) {
        let kind = match self {
            Message::Update { holds, news } => Kind::Update(proto::Update {
                holds: Some(encode_clock(holds)),
                news: news.as_deref().map(encode_batch),
            }),
            Message::Offer { holds } => Kind::Offer(encode_clock(holds)),
            Message::Ask { holds } => Kind::Ask(encode_clock(holds)),
            Message::Supply { holds, batches } => Kind::Supply(proto::Supply {
                holds: Some(encode_clock(holds)),
                batches: batches.iter().map(|batch| encode_batch(batch)).collect(),
            }),
        };
        write(&proto::Message { kind: Some(kind) }, out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let message: proto::Message = read(bytes)?;
        Ok(
            match message.kind.ok_or_else(|| missing("a message's kind"))? {
                Kind::Update(proto::Update { holds, news }) => Message::Update {
                    holds: decode_clock(holds)?,
                    news: news.map(decode_batch).transpose()?,
                },
                Kind::Offer(holds) => Message::Offer {
                    holds: decode_clock(Some(holds))?,
                },
                Kind::Ask(holds) => Message::Ask {
                    holds: decode_clock(Some(holds))?,
                },
                Kind::Supply(proto::Supply { holds, batches }) => Message::Supply {
                    holds: decode_clock(holds)?,
                    batches: decode_batches(batches)?,
                },
            },
        )
    }
}

impl<P: Wire> Wire for Record<P> {
    fn encode(&self, out: &mut BytesMut) {
        let record = proto::Record {
            batches: self
                .batches
                .iter()
                .map(|batch| encode_batch(batch))
                .collect(),
            floor: Some(encode_clock(&self.floor)),
            consumed: self.consumed,
        };
        write(&record, out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let record: proto::Record = read(bytes)?;
        Ok(Record {
            batches: decode_batches(record.batches)?,
            floor: decode_clock(record.floor)?,
            consumed: record.consumed,
        })
    }
}

/// One byte.
impl Wire for Timer {
    fn encode(&self, out: &mut BytesMut) {
        let byte = match self {
            Timer::Flush => 0,
            Timer::Repair => 1,
        };
        out.extend_from_slice(&[byte]);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        Ok(match &bytes[..] {
            [0] => Timer::Flush,
            [1] => Timer::Repair,
            _ => return Err(Malformed::new("no timer of causal broadcast")),
        })
    }
}

/// For event logs only: a number, then how many payloads follow, each with its length. A position is a
/// command without that count.
impl<P: Wire> Wire for Command<P> {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Command::Consumed { position } => out.extend_from_slice(&position.to_le_bytes()),
            Command::Broadcast { id, payloads } => {
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(&(payloads.len() as u64).to_le_bytes());
                for payload in payloads {
                    let payload = encode(payload);
                    out.extend_from_slice(&(payload.len() as u64).to_le_bytes());
                    out.extend_from_slice(&payload);
                }
            }
        }
    }

    fn decode(mut bytes: Bytes) -> Result<Self, Malformed> {
        let first = number(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(Command::Consumed { position: first });
        }
        let mut payloads = Vec::new();
        for _ in 0..number(&mut bytes)? {
            let size = number(&mut bytes)?;
            let size = usize::try_from(size)
                .ok()
                .filter(|size| *size <= bytes.len());
            let size = size.ok_or_else(cut_short)?;
            payloads.push(P::decode(bytes.split_to(size))?);
        }
        match bytes.len() {
            0 => Ok(Command::Broadcast {
                id: first,
                payloads,
            }),
            _ => Err(Malformed::new("a command is followed by something")),
        }
    }
}

fn cut_short() -> Malformed {
    Malformed::new("a command is cut short")
}

fn number(bytes: &mut Bytes) -> Result<u64, Malformed> {
    let (number, _) = bytes.split_first_chunk::<8>().ok_or_else(cut_short)?;
    let number = u64::from_le_bytes(*number);
    *bytes = bytes.slice(8..);
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clocks() -> impl Strategy<Value = Clock> {
        let counts = proptest::collection::btree_map(any::<u32>(), 1..u64::MAX / 2, 0..5);
        counts.prop_map(|counts| {
            let entries = counts
                .into_iter()
                .map(|(member, count)| (NodeId(member), count));
            Clock::from_entries(entries).unwrap_or_default()
        })
    }

    fn payloads() -> impl Strategy<Value = Vec<Bytes>> {
        let payload = any::<Vec<u8>>().prop_map(Bytes::from);
        proptest::collection::vec(payload, 1..6)
    }

    fn batches() -> impl Strategy<Value = Arc<Batch<Bytes>>> {
        (any::<u32>(), 1..u64::MAX / 4, clocks(), payloads()).prop_map(
            |(sender, first, after, payloads)| {
                Arc::new(Batch {
                    sender: NodeId(sender),
                    first,
                    after,
                    payloads: payloads.into(),
                })
            },
        )
    }

    fn messages() -> impl Strategy<Value = Message<Bytes>> {
        prop_oneof![
            (clocks(), proptest::option::of(batches()))
                .prop_map(|(holds, news)| Message::Update { holds, news }),
            clocks().prop_map(|holds| Message::Offer { holds }),
            clocks().prop_map(|holds| Message::Ask { holds }),
            (clocks(), proptest::collection::vec(batches(), 0..4))
                .prop_map(|(holds, batches)| Message::Supply { holds, batches }),
        ]
    }

    proptest! {
        #[test]
        fn messages_come_back(message in messages()) {
            prop_assert_eq!(Message::decode(encode(&message)), Ok(message));
        }

        #[test]
        fn records_come_back(
            batches in proptest::collection::vec(batches(), 0..4),
            floor in clocks(),
            consumed: u64,
        ) {
            let record = Record { batches, floor, consumed };
            prop_assert_eq!(Record::decode(encode(&record)), Ok(record));
        }

        #[test]
        fn commands_come_back(id: u64, payloads in payloads(), position: u64) {
            let broadcast = Command::Broadcast { id, payloads };
            prop_assert_eq!(Command::decode(encode(&broadcast)), Ok(broadcast));
            let consumed = Command::<Bytes>::Consumed { position };
            prop_assert_eq!(Command::decode(encode(&consumed)), Ok(consumed));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            let _ = Message::<Bytes>::decode(bytes.clone());
            let _ = Record::<Bytes>::decode(bytes.clone());
            let _ = Command::<Bytes>::decode(bytes.clone());
            let _ = Timer::decode(bytes);
        }

        /// Bytes that are almost a message: one changed, or the end cut off.
        #[test]
        fn no_damaged_message_panics(message in messages(), at: prop::sample::Index, byte: u8) {
            let mut bytes = encode(&message).to_vec();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                let _ = Message::<Bytes>::decode(Bytes::copy_from_slice(&bytes[..at]));
                bytes[at] = byte;
                let _ = Message::<Bytes>::decode(bytes.into());
            }
        }
    }

    #[test]
    fn timers_come_back() {
        for timer in [Timer::Flush, Timer::Repair] {
            assert_eq!(Timer::decode(encode(&timer)), Ok(timer));
        }
    }

    /// A batch that is good but for `change`, as a peer may send it.
    fn refused(change: impl FnOnce(&mut proto::Batch)) -> String {
        let mut batch = proto::Batch {
            sender: 1,
            first: 1,
            after: None,
            sizes: vec![1, 2],
            payloads: Bytes::from_static(b"abc"),
        };
        change(&mut batch);
        let refused = decode_batch::<Bytes>(batch);
        refused.map_or_else(
            |error| error.to_string(),
            |batch| format!("taken: {batch:?}"),
        )
    }

    #[test]
    fn a_batch_that_cannot_be_is_malformed() {
        assert!(refused(|_| ()).starts_with("taken"));
        let length = "does not parse: payloads are not as long as they say";
        assert_eq!(refused(|batch| batch.sizes = vec![1, 3]), length);
        assert_eq!(refused(|batch| batch.sizes = vec![u32::MAX; 4]), length);
        let numbers = "does not parse: a batch without messages, or without numbers for them";
        assert_eq!(refused(|batch| batch.first = 0), numbers);
        assert_eq!(refused(|batch| batch.first = u64::MAX), numbers);
        let none = |batch: &mut proto::Batch| {
            batch.sizes.clear();
            batch.payloads.clear();
        };
        assert_eq!(refused(none), numbers);
        let uneven = |batch: &mut proto::Batch| {
            let (members, counts) = (vec![1, 2], vec![1]);
            batch.after = Some(proto::Clock { members, counts });
        };
        assert_eq!(
            refused(uneven),
            "does not parse: a clock's lists differ in length"
        );
    }
}
