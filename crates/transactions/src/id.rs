//! A transaction's name among callers.

use crate::proto;
use quorate::NodeId;
use quorate_commit::{RequestId, TxnId};
use std::fmt;
use std::str::FromStr;

/// How far a coordinator was at a moment: everything that it begins later is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) epoch: u64,
    pub(crate) number: u64,
}

impl From<TxnId> for Mark {
    fn from(txn: TxnId) -> Self {
        Mark {
            epoch: txn.epoch,
            number: txn.number,
        }
    }
}

/// A caller's name for a transaction: whoever repeats a request repeats it, and asks by it later.
///
/// It names the member that coordinates the transaction, says how far that member was when the id was made, and has a
/// random part. That it says how old it is makes retries safe for ever: a coordinator remembers a limited number of
/// transactions, and refuses an id that is older than what it remembers instead of taking it for a new one.
///
/// ```
/// use quorate_transactions::TransactionId;
///
/// let id: TransactionId = "3-1.57-9f86d081884c7d65".parse()?;
/// assert_eq!(id.coordinator().0, 3);
/// assert_eq!(id.to_string(), "3-1.57-9f86d081884c7d65");
/// # Ok::<(), quorate_transactions::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId {
    pub(crate) coordinator: NodeId,
    /// What the coordinator had begun when the id was made.
    pub(crate) since: Mark,
    pub(crate) nonce: u64,
}

impl TransactionId {
    /// The member that coordinates it.
    pub fn coordinator(&self) -> NodeId {
        self.coordinator
    }

    /// What the protocol calls it: the random part.
    pub fn request(&self) -> RequestId {
        RequestId(self.nonce)
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mark { epoch, number } = self.since;
        let (node, nonce) = (self.coordinator.0, self.nonce);
        write!(f, "{node}-{epoch}.{number}-{nonce:016x}")
    }
}

/// A text that is no [`TransactionId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a transaction's id, such as 3-1.57-9f86d081884c7d65")]
pub struct InvalidId(String);

impl FromStr for TransactionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let parse = || {
            let (coordinator, rest) = text.split_once('-')?;
            let (since, nonce) = rest.split_once('-')?;
            let (epoch, number) = since.split_once('.')?;
            Some(TransactionId {
                coordinator: NodeId(coordinator.parse().ok()?),
                since: Mark {
                    epoch: epoch.parse().ok()?,
                    number: number.parse().ok()?,
                },
                nonce: u64::from_str_radix(nonce, 16).ok()?,
            })
        };
        parse().ok_or_else(|| InvalidId(text.to_owned()))
    }
}

impl From<TransactionId> for proto::Id {
    fn from(id: TransactionId) -> Self {
        proto::Id {
            coordinator: id.coordinator.0,
            epoch: id.since.epoch,
            number: id.since.number,
            nonce: id.nonce,
        }
    }
}

impl From<proto::Id> for TransactionId {
    fn from(id: proto::Id) -> Self {
        TransactionId {
            coordinator: NodeId(id.coordinator),
            since: Mark {
                epoch: id.epoch,
                number: id.number,
            },
            nonce: id.nonce,
        }
    }
}

impl From<TxnId> for proto::Txn {
    fn from(txn: TxnId) -> Self {
        proto::Txn {
            coordinator: txn.coordinator.0,
            epoch: txn.epoch,
            number: txn.number,
        }
    }
}

impl From<proto::Txn> for TxnId {
    fn from(txn: proto::Txn) -> Self {
        TxnId {
            coordinator: NodeId(txn.coordinator),
            epoch: txn.epoch,
            number: txn.number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_come_back(coordinator: u32, epoch: u64, number: u64, nonce: u64) {
            let since = Mark { epoch, number };
            let id = TransactionId { coordinator: NodeId(coordinator), since, nonce };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(TransactionId::from(proto::Id::from(id)), id);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<TransactionId>();
        }
    }

    #[test]
    fn what_is_no_id_is_named() {
        for text in ["", "3", "3-1-1", "x-1.1-1", "3-1.1-", "3-1.1-g"] {
            let error = text.parse::<TransactionId>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("{text:?} is not")));
        }
    }
}
