//! What a node cannot run with is refused before it runs.

use quorate_machine::NodeId;
use quorate_raft::{Config, ConfigError, Index, StateMachine};

/// A state machine without a state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Nothing;

impl StateMachine for Nothing {
    type Command = u64;
    type Query = ();
    type Response = ();
    fn apply(&mut self, _: Index, _: &u64) {}
    fn query(&self, _: &()) {}
}

/// The verdict on a configuration that is good but for `change`.
fn verdict(change: impl FnOnce(&mut Config<Nothing>)) -> Result<(), ConfigError> {
    let mut config = Config::new(NodeId(2), [1, 2, 3].map(NodeId), Nothing);
    change(&mut config);
    config.validate()
}

#[test]
fn members_are_each_listed_once_in_order_and_with_the_node_itself() {
    assert_eq!(verdict(|_| ()), Ok(()));
    assert_eq!(verdict(|config| config.members = vec![NodeId(2)]), Ok(()));
    let refused = verdict(|config| config.id = NodeId(4));
    assert_eq!(refused, Err(ConfigError::NotAMember(NodeId(4))));
    // Majorities are counted over this list: who is in it twice would count twice.
    for members in [vec![1, 2, 2], vec![2, 1, 3], vec![]] {
        let refused = verdict(|config| config.members = members.into_iter().map(NodeId).collect());
        assert!(refused.is_err(), "{refused:?}");
    }
}

#[test]
fn a_follower_hears_its_leader_before_it_stands() {
    assert_eq!(verdict(|config| config.election_ticks = 11..=11), Ok(()));
    let refusals = [
        verdict(|config| config.election_ticks = 10..=20),
        verdict(|config| config.election_ticks = 3..=20),
        verdict(|config| config.heartbeat_ticks = 0),
    ];
    for refused in refusals {
        let is_it = matches!(refused, Err(ConfigError::ElectionBeforeHeartbeat { .. }));
        assert!(is_it, "{refused:?}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "that is refused")]
    let refused = verdict(|config| config.election_ticks = 30..=20);
    assert_eq!(refused, Err(ConfigError::EmptyElectionRange));
}

#[test]
fn a_limit_of_zero_would_stop_everything() {
    let zero = |name| Err(ConfigError::ZeroLimit(name));
    let refused = verdict(|config| config.batch_entries = 0);
    assert_eq!(refused, zero("batch_entries"));
    let refused = verdict(|config| config.window_entries = 0);
    assert_eq!(refused, zero("window_entries"));
    let refused = verdict(|config| config.max_waiting = 0);
    assert_eq!(refused, zero("max_waiting"));
    let refused = verdict(|config| config.max_sessions = 0);
    assert_eq!(refused, zero("max_sessions"));
    // A batch always takes one entry, and a queue one command, however long.
    assert_eq!(verdict(|config| config.batch_bytes = 0), Ok(()));
    assert_eq!(verdict(|config| config.max_waiting_bytes = 0), Ok(()));
}

/// Limits of bytes hold, if roughly, for a state machine that does not say how long its commands are.
#[test]
fn a_command_is_as_long_as_in_memory_unless_it_says_otherwise() {
    assert_eq!(Nothing::size_bytes(&7), 8);
}

/// A refusal reaches whoever wrote the configuration.
#[test]
fn a_refusal_says_what_is_wrong_with_what() {
    let refused = verdict(|config| config.max_sessions = 0);
    let text = refused.map_err(|error| error.to_string());
    assert_eq!(text, Err("max_sessions must be at least 1".to_owned()));
    let refused = verdict(|config| config.election_ticks = 3..=20);
    let text = refused.map_or_else(|error| error.to_string(), |()| String::new());
    assert!(
        text.contains("3 ticks") && text.contains("10 ticks"),
        "{text}"
    );
}
