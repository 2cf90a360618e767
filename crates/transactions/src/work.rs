//! What a transaction is to do, and its bytes. What comes out is valid: lengths and numbers are checked here, for
//! what callers send and for what peers and the disk say alike.

use crate::{TransactionId, proto};
use bytes::Bytes;
use prost::Message;
use quorate::{Malformed, NodeId};
use std::collections::BTreeSet;

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// The longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 << 10;
/// The most operations of a transaction, of all its participants together.
pub const OPERATIONS_MAX: usize = 1024;
/// The most bytes of a transaction, roughly.
pub const WORK_BYTES_MAX: usize = 1 << 20;

/// One thing that a participant is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What it is about. The key is locked until the transaction's outcome is known.
    pub key: Bytes,
    /// What to do with it.
    pub action: Action,
}

/// What to do with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Set it.
    Put(Bytes),
    /// Remove it, if it is there.
    Delete,
    /// Add to a number, in decimal; one that is missing is zero. Refused if the sum is below zero, or what is there is
    /// no number.
    Add(i64),
    /// Refused unless it holds this.
    Expect(Bytes),
    /// Refused unless it is missing.
    Absent,
}

impl Operation {
    /// Sets `key` to `value`.
    pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Action::Put(value.into()).on(key)
    }

    /// Adds `amount` to the number at `key`; refused if the sum is below zero.
    pub fn add(key: impl Into<Bytes>, amount: i64) -> Self {
        Action::Add(amount).on(key)
    }

    /// Refused unless `key` holds `value`.
    pub fn expect(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Action::Expect(value.into()).on(key)
    }
}

impl Action {
    /// The operation that does it to `key`.
    pub fn on(self, key: impl Into<Bytes>) -> Operation {
        let (key, action) = (key.into(), self);
        Operation { key, action }
    }
}

/// What one participant is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The participant.
    pub member: NodeId,
    /// In this order; each sees what those before it did.
    pub operations: Vec<Operation>,
}

/// A request that cannot be carried out, whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Nobody is to do anything.
    #[error("a transaction needs a participant, and each participant an operation")]
    Empty,
    /// A member is named twice.
    #[error("member {} is named twice", .0.0)]
    Twice(NodeId),
    /// Not a member.
    #[error("{} is not a member", .0.0)]
    NotAMember(NodeId),
    /// A key is empty or longer than [`KEY_BYTES_MAX`].
    #[error("a key of {0} bytes; from 1 to {KEY_BYTES_MAX} are allowed")]
    Key(usize),
    /// A value is longer than [`VALUE_BYTES_MAX`].
    #[error("a value of {0} bytes; at most {VALUE_BYTES_MAX} are allowed")]
    ValueTooLong(usize),
    /// More operations than [`OPERATIONS_MAX`], or more bytes than [`WORK_BYTES_MAX`].
    #[error(
        "too much for one transaction: at most {OPERATIONS_MAX} operations and {WORK_BYTES_MAX} bytes"
    )]
    TooMuch,
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
        1..=KEY_BYTES_MAX => Ok(key),
        other => Err(Invalid::Key(other)),
    }
}

fn value(value: Bytes) -> Result<Bytes, Invalid> {
    match value.len() {
        0..=VALUE_BYTES_MAX => Ok(value),
        long => Err(Invalid::ValueTooLong(long)),
    }
}

impl From<Operation> for proto::Operation {
    fn from(operation: Operation) -> Self {
        use proto::operation::Kind;
        let kind = match operation.action {
            Action::Put(value) => Kind::Put(value),
            Action::Delete => Kind::Delete(proto::Nothing {}),
            Action::Add(amount) => Kind::Add(amount),
            Action::Expect(value) => Kind::Expect(value),
            Action::Absent => Kind::Absent(proto::Nothing {}),
        };
        proto::Operation {
            key: operation.key,
            kind: Some(kind),
        }
    }
}

impl TryFrom<proto::Operation> for Operation {
    type Error = Invalid;

    fn try_from(operation: proto::Operation) -> Result<Self, Invalid> {
        use proto::operation::Kind;
        let action = match operation.kind.ok_or(Invalid::Missing("what to do"))? {
            Kind::Put(new) => Action::Put(value(new)?),
            Kind::Delete(proto::Nothing {}) => Action::Delete,
            Kind::Add(amount) => Action::Add(amount),
            Kind::Expect(expected) => Action::Expect(value(expected)?),
            Kind::Absent(proto::Nothing {}) => Action::Absent,
        };
        Ok(action.on(key(operation.key)?))
    }
}

impl From<Share> for proto::Share {
    fn from(share: Share) -> Self {
        proto::Share {
            member: share.member.0,
            operations: share.operations.into_iter().map(Into::into).collect(),
        }
    }
}

/// The shares of a request, if they may be those of a transaction.
pub(crate) fn shares(written: Vec<proto::Share>) -> Result<Vec<Share>, Invalid> {
    let operations: usize = written.iter().map(|share| share.operations.len()).sum();
    let bytes: usize = written.iter().map(Message::encoded_len).sum();
    if operations > OPERATIONS_MAX || bytes > WORK_BYTES_MAX {
        return Err(Invalid::TooMuch);
    }
    let mut members = BTreeSet::new();
    let mut shares = Vec::with_capacity(written.len());
    for share in written {
        let member = NodeId(share.member);
        if !members.insert(member) {
            return Err(Invalid::Twice(member));
        }
        shares.push(Share {
            member,
            operations: operations_of(share.operations)?,
        });
    }
    match shares.is_empty() {
        true => Err(Invalid::Empty),
        false => Ok(shares),
    }
}

fn operations_of(written: Vec<proto::Operation>) -> Result<Vec<Operation>, Invalid> {
    match written.is_empty() {
        true => Err(Invalid::Empty),
        false => written.into_iter().map(Operation::try_from).collect(),
    }
}

/// What one participant is sent: its operations, and by which name the caller knows the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The caller's name for the transaction.
    pub id: TransactionId,
    /// What to do.
    pub operations: Vec<Operation>,
}

impl Work {
    /// The bytes of it, as they travel to the participant.
    pub fn encode(self) -> Bytes {
        let work = proto::Work {
            id: Some(self.id.into()),
            operations: self.operations.into_iter().map(Into::into).collect(),
        };
        work.encode_to_vec().into()
    }

    /// What a coordinator has sent.
    ///
    /// # Errors
    ///
    /// If the bytes are no work, or more than may be.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let work = proto::Work::decode(bytes).map_err(|why| Malformed::new(why.to_string()))?;
        let id = work.id.ok_or(Invalid::Missing("a transaction's id"))?;
        if work.operations.len() > OPERATIONS_MAX {
            return Err(Invalid::TooMuch.into());
        }
        Ok(Work {
            id: id.into(),
            operations: operations_of(work.operations)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(shares_of: &[(u32, Vec<Operation>)]) -> Invalid {
        let written = shares_of.iter().map(|(member, operations)| {
            let member = NodeId(*member);
            let operations = operations.clone();
            proto::Share::from(Share { member, operations })
        });
        shares(written.collect()).unwrap_err()
    }

    #[test]
    fn what_cannot_be_a_transaction_is_refused() {
        let add = || Operation::add("a", 1);
        assert_eq!(refused(&[]), Invalid::Empty);
        assert_eq!(refused(&[(1, vec![])]), Invalid::Empty);
        let twice = refused(&[(1, vec![add()]), (1, vec![add()])]);
        assert_eq!(twice, Invalid::Twice(NodeId(1)));
        assert_eq!(refused(&[(1, vec![add(); 1025])]), Invalid::TooMuch);
        let long = Operation::put("a", vec![0; VALUE_BYTES_MAX + 1]);
        let too_long = Invalid::ValueTooLong(VALUE_BYTES_MAX + 1);
        assert_eq!(refused(&[(1, vec![long])]), too_long);
        assert_eq!(
            refused(&[(1, vec![Operation::add("", 1)])]),
            Invalid::Key(0)
        );
        let much = vec![Operation::put("a", vec![0; VALUE_BYTES_MAX]); 17];
        assert_eq!(refused(&[(1, much)]), Invalid::TooMuch);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Work::decode(bytes.into());
        }

        #[test]
        fn work_comes_back(key in "[a-z]{1,8}", amount: i64, value: Vec<u8>, nonce: u64) {
            let since = Default::default();
            let id = TransactionId { coordinator: NodeId(1), since, nonce };
            let actions = [
                Action::Add(amount),
                Action::Put(value.clone().into()),
                Action::Expect(value.into()),
                Action::Absent,
                Action::Delete,
            ];
            let operations = actions.map(|action| action.on(key.clone())).to_vec();
            let work = Work { id, operations };
            prop_assert_eq!(Work::decode(work.clone().encode()), Ok(work));
        }
    }
}
