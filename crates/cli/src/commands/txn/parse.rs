//! Transactions as they are written on the command line.

use quorate::NodeId;
use quorate_transactions::{Action, Operation, Share};

/// A key of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) member: NodeId,
    pub(super) key: String,
}

/// Reads `MEMBER/KEY`.
pub(super) fn parse_account(text: &str) -> Result<Account, String> {
    let parts = text.split_once('/').and_then(|(member, key)| {
        let member = NodeId(member.parse().ok()?);
        let key = key.to_owned();
        (!key.is_empty()).then_some(Account { member, key })
    });
    parts.ok_or_else(|| "a member and a key are needed, such as 1/alice".to_owned())
}

/// Reads `MEMBER: OPERATION; OPERATION; …`.
pub(super) fn parse_share(text: &str) -> Result<Share, String> {
    let parts = text.split_once(':').and_then(|(member, operations)| {
        let member = NodeId(member.trim().parse().ok()?);
        Some((member, operations))
    });
    let Some((member, operations)) = parts else {
        return Err("a member and operations are needed, such as \"1: add alice 10\"".to_owned());
    };
    let operations = operations.split(';').map(str::trim);
    let operations = operations.filter(|operation| !operation.is_empty());
    let operations: Vec<Operation> = operations.map(parse_operation).collect::<Result<_, _>>()?;
    match operations.is_empty() {
        true => Err(format!("member {} has nothing to do", member.0)),
        false => Ok(Share { member, operations }),
    }
}

fn parse_operation(text: &str) -> Result<Operation, String> {
    let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let (key, value) = match rest.trim().split_once(char::is_whitespace) {
        Some((key, value)) => (key, Some(value.trim().to_owned())),
        None => (rest.trim(), None),
    };
    let action = match (verb, value) {
        ("add", Some(number)) => match number.parse() {
            Ok(number) => Action::Add(number),
            Err(_) => return Err(format!("{text:?}: {number:?} is not a whole number")),
        },
        ("put", Some(value)) => Action::Put(value.into()),
        ("expect", Some(value)) => Action::Expect(value.into()),
        ("delete", None) => Action::Delete,
        ("absent", None) => Action::Absent,
        _ => {
            return Err(format!(
                "{text:?} is no operation: add KEY NUMBER, put KEY VALUE, delete KEY, expect KEY VALUE, absent KEY"
            ));
        }
    };
    match key.is_empty() {
        true => Err(format!("{text:?}: a key is needed")),
        false => Ok(action.on(key.to_owned())),
    }
}

/// Members that are named several times have one share with everything.
pub(super) fn merge(shares: Vec<Share>) -> Vec<Share> {
    let mut merged = Vec::<Share>::new();
    for share in shares {
        match merged.iter_mut().find(|known| known.member == share.member) {
            Some(known) => known.operations.extend(share.operations),
            None => merged.push(share),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_as_it_is_meant() {
        let share =
            parse_share(" 2 : add alice -10; put text one  two ;delete a; absent b;expect c d;")
                .unwrap();
        assert_eq!(share.member, NodeId(2));
        let expected = [
            Operation::add("alice", -10),
            Operation::put("text", "one  two"),
            Action::Delete.on("a"),
            Action::Absent.on("b"),
            Operation::expect("c", "d"),
        ];
        assert_eq!(share.operations, expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, word) in [
            ("1: add alice ten", "\"ten\" is not a whole number"),
            ("1: give alice 10", "is no operation"),
            ("1: put alice", "is no operation"),
            ("1: delete alice 10", "is no operation"),
            ("1: delete", "a key is needed"),
            ("1: ;", "member 1 has nothing to do"),
            ("one: add a 1", "a member and operations are needed"),
        ] {
            let error = parse_share(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(parse_account("1/").is_err() && parse_account("x/y").is_err());
        // A key may have slashes of its own.
        assert_eq!(parse_account("1/a/b").unwrap().key, "a/b");
    }

    #[test]
    fn a_member_that_is_named_twice_has_one_share() {
        let shares = ["1: add a 1", "2: add b 1", "1: add c 1"];
        let shares = merge(shares.map(|text| parse_share(text).unwrap()).into());
        assert_eq!(shares.len(), 2);
        assert_eq!(shares[0].operations.len(), 2);
    }
}
