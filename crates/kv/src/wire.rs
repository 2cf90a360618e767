//! Between the store's types and protobuf. What comes out is valid: lengths are checked here, both for
//! what clients send and for what peers and the disk say.

use crate::state::{Command, Expected, Item, KEY_BYTES_MAX, Query, VALUE_BYTES_MAX};
use crate::{RANGE_ITEMS_MAX, proto};
use bytes::{Bytes, BytesMut};
use prost::Message;
use quorate::{Malformed, Wire};

/// A request that cannot be carried out, whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A key is longer than [`KEY_BYTES_MAX`].
    #[error("a key of {0} bytes; at most {KEY_BYTES_MAX} are allowed")]
    KeyTooLong(usize),
    /// A value is longer than [`VALUE_BYTES_MAX`].
    #[error("a value of {0} bytes; at most {VALUE_BYTES_MAX} are allowed")]
    ValueTooLong(usize),
    /// A part of the request is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
}

impl From<Invalid> for Malformed {
    fn from(invalid: Invalid) -> Self {
        Malformed::new(invalid.to_string())
    }
}

pub(crate) fn key(key: Bytes) -> Result<Bytes, Invalid> {
    match key.len() {
        0..=KEY_BYTES_MAX => Ok(key),
        long => Err(Invalid::KeyTooLong(long)),
    }
}

fn value(value: Bytes) -> Result<Bytes, Invalid> {
    match value.len() {
        0..=VALUE_BYTES_MAX => Ok(value),
        long => Err(Invalid::ValueTooLong(long)),
    }
}

impl TryFrom<proto::Command> for Command {
    type Error = Invalid;

    fn try_from(command: proto::Command) -> Result<Self, Invalid> {
        use proto::command::Kind;
        Ok(match command.kind.ok_or(Invalid::Missing("a command"))? {
            Kind::Put(put) => Command::Put {
                key: key(put.key)?,
                value: value(put.value)?,
            },
            Kind::Delete(delete) => Command::Delete {
                key: key(delete.key)?,
            },
            Kind::CompareAndSwap(swap) => Command::CompareAndSwap {
                key: key(swap.key)?,
                expected: expected(swap.expected)?,
                new: value(swap.new)?,
            },
        })
    }
}

fn expected(expected: Option<proto::compare_and_swap::Expected>) -> Result<Expected, Invalid> {
    use proto::compare_and_swap::Expected as Wired;
    Ok(
        match expected.ok_or(Invalid::Missing("what a compare-and-swap expects"))? {
            Wired::Absent(proto::Absent {}) => Expected::Absent,
            Wired::Value(expected) => Expected::Value(value(expected)?),
            Wired::Revision(revision) => Expected::Revision(revision),
        },
    )
}

impl Command {
    /// The command, if it is valid.
    pub(crate) fn checked(self) -> Result<Self, Invalid> {
        proto::Command::from(self).try_into()
    }
}

impl From<Command> for proto::Command {
    fn from(command: Command) -> Self {
        use proto::command::Kind;
        use proto::compare_and_swap::Expected as Wired;
        let kind = match command {
            Command::Put { key, value } => Kind::Put(proto::Put { key, value }),
            Command::Delete { key } => Kind::Delete(proto::Delete { key }),
            Command::CompareAndSwap { key, expected, new } => {
                let expected = Some(match expected {
                    Expected::Absent => Wired::Absent(proto::Absent {}),
                    Expected::Value(value) => Wired::Value(value),
                    Expected::Revision(revision) => Wired::Revision(revision),
                });
                Kind::CompareAndSwap(proto::CompareAndSwap { key, new, expected })
            }
        };
        proto::Command { kind: Some(kind) }
    }
}

impl TryFrom<proto::GetRequest> for Query {
    type Error = Invalid;

    fn try_from(get: proto::GetRequest) -> Result<Self, Invalid> {
        let key = key(get.key)?;
        Ok(Query::Get { key })
    }
}

impl TryFrom<proto::RangeRequest> for Query {
    type Error = Invalid;

    fn try_from(range: proto::RangeRequest) -> Result<Self, Invalid> {
        let limit = match range.limit {
            0 => RANGE_ITEMS_MAX,
            limit => RANGE_ITEMS_MAX.min(usize::try_from(limit).unwrap_or(usize::MAX)),
        };
        Ok(Query::Range {
            start: key(range.start)?,
            end: key(range.end)?,
            limit,
        })
    }
}

impl From<Query> for proto::Query {
    fn from(query: Query) -> Self {
        use proto::query::Kind;
        let kind = match query {
            Query::Get { key } => Kind::Get(proto::GetRequest { key }),
            Query::Range { start, end, limit } => Kind::Range(proto::RangeRequest {
                start,
                end,
                limit: u32::try_from(limit).unwrap_or(u32::MAX),
            }),
        };
        proto::Query { kind: Some(kind) }
    }
}

impl From<Item> for proto::Item {
    fn from(item: Item) -> Self {
        proto::Item {
            key: item.key,
            value: item.value,
            revision: item.revision,
        }
    }
}

impl From<proto::Item> for Item {
    fn from(item: proto::Item) -> Self {
        Item {
            key: item.key,
            value: item.value,
            revision: item.revision,
        }
    }
}

fn write(message: &impl Message, out: &mut BytesMut) {
    out.reserve(message.encoded_len());
    message.encode_raw(out);
}

fn read<T: Message + Default>(bytes: Bytes) -> Result<T, Malformed> {
    T::decode(bytes).map_err(|error| Malformed::new(error.to_string()))
}

/// In messages, in records and in event logs. Keys and values are slices of what was read.
impl Wire for Command {
    fn encode(&self, out: &mut BytesMut) {
        write(&proto::Command::from(self.clone()), out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        Ok(read::<proto::Command>(bytes)?.try_into()?)
    }
}

/// In event logs.
impl Wire for Query {
    fn encode(&self, out: &mut BytesMut) {
        write(&proto::Query::from(self.clone()), out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        use proto::query::Kind;
        let query = read::<proto::Query>(bytes)?;
        Ok(match query.kind.ok_or(Invalid::Missing("a query"))? {
            Kind::Get(get) => get.try_into()?,
            Kind::Range(range) => range.try_into()?,
        })
    }
}

/// Requests up to this size are copied out of the buffer that they were received in.
const DETACH_BYTES_MAX: usize = 64 << 10;

/// The command with buffers of its own.
///
/// tonic reads every request into a buffer of at least 8 KiB. A key and a value that are slices of it
/// would keep all of it as long as they are in the map and in the log; copying a small one costs less
/// than the memory. A long one is most of its buffer and stays where it is.
pub(crate) fn detach(command: Command) -> Command {
    match command {
        Command::Put { key, value } => {
            let [key, value] = together([key, value]);
            Command::Put { key, value }
        }
        Command::Delete { key } => {
            let [key] = together([key]);
            Command::Delete { key }
        }
        Command::CompareAndSwap {
            key,
            expected: Expected::Value(value),
            new,
        } => {
            let [key, value, new] = together([key, value, new]);
            let expected = Expected::Value(value);
            Command::CompareAndSwap { key, expected, new }
        }
        Command::CompareAndSwap { key, expected, new } => {
            let [key, new] = together([key, new]);
            Command::CompareAndSwap { key, expected, new }
        }
    }
}

/// The same bytes in one buffer of just their size.
fn together<const N: usize>(parts: [Bytes; N]) -> [Bytes; N] {
    let length = parts.iter().map(Bytes::len).sum();
    if length > DETACH_BYTES_MAX {
        return parts;
    }
    let mut buffer = BytesMut::with_capacity(length);
    parts.map(|part| {
        buffer.extend_from_slice(&part);
        buffer.split().freeze()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: &impl Wire) -> Bytes {
        let mut out = BytesMut::new();
        value.encode(&mut out);
        out.freeze()
    }

    fn some_bytes() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..64).prop_map(Bytes::from)
    }

    fn commands() -> impl Strategy<Value = Command> {
        let expected = prop_oneof![
            Just(Expected::Absent),
            some_bytes().prop_map(Expected::Value),
            any::<u64>().prop_map(Expected::Revision),
        ];
        prop_oneof![
            (some_bytes(), some_bytes()).prop_map(|(key, value)| Command::Put { key, value }),
            some_bytes().prop_map(|key| Command::Delete { key }),
            (some_bytes(), expected, some_bytes())
                .prop_map(|(key, expected, new)| Command::CompareAndSwap { key, expected, new }),
        ]
    }

    proptest! {
        #[test]
        fn commands_come_back(command in commands()) {
            prop_assert_eq!(Command::decode(encoded(&command)), Ok(command));
        }

        #[test]
        fn queries_come_back(key in some_bytes(), end in some_bytes(), limit in 1..=RANGE_ITEMS_MAX) {
            let get = Query::Get { key: key.clone() };
            prop_assert_eq!(Query::decode(encoded(&get)), Ok(get));
            let range = Query::Range { start: key, end, limit };
            prop_assert_eq!(Query::decode(encoded(&range)), Ok(range));
        }

        #[test]
        fn detached_commands_are_the_same(command in commands()) {
            prop_assert_eq!(detach(command.clone()), command);
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            let _ = Command::decode(bytes.clone());
            let _ = Query::decode(bytes);
        }
    }

    #[test]
    fn what_is_too_long_is_refused_from_a_client_and_from_a_peer() {
        let put = |key: usize, value: usize| Command::Put {
            key: vec![0; key].into(),
            value: vec![0; value].into(),
        };
        let longest = put(KEY_BYTES_MAX, VALUE_BYTES_MAX);
        assert_eq!(Command::decode(encoded(&longest)), Ok(longest));
        let cases = [
            (
                put(KEY_BYTES_MAX + 1, 0),
                Invalid::KeyTooLong(KEY_BYTES_MAX + 1),
            ),
            (
                put(0, VALUE_BYTES_MAX + 1),
                Invalid::ValueTooLong(VALUE_BYTES_MAX + 1),
            ),
        ];
        for (command, invalid) in cases {
            assert!(Command::decode(encoded(&command)).is_err());
            let refused = Command::try_from(proto::Command::from(command));
            assert_eq!(refused, Err(invalid));
        }
    }

    #[test]
    fn a_command_without_a_kind_is_refused() {
        let refused = Command::decode(Bytes::new()).unwrap_err();
        assert_eq!(refused.to_string(), "does not parse: a command is missing");
    }
}
