//! What a message claims about its sender's disk. The checkers hold every message on the wire against
//! [`Machine::backed`], so a claim that it does not see is a bug that nobody finds.

use quorate_machine::{Machine, NodeId};
use quorate_raft::{
    Durable, Entry, Index, Log, Message, Payload, Position, Raft, StateMachine, Term,
};

/// A state machine without a state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Nothing;

impl StateMachine for Nothing {
    type Command = ();
    type Query = ();
    type Response = ();
    fn apply(&mut self, _: Index, _: &()) {}
    fn query(&self, _: &()) {}
}

const TERM: Term = Term(3);
const CANDIDATE: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);

/// A disk that has entered `term`, voted, and has `entries` entries.
fn disk(term: u64, vote: Option<NodeId>, entries: usize) -> Durable<()> {
    let entry = Entry {
        term: Term(1),
        payload: Payload::Noop,
    };
    let mut log = Log::default();
    log.splice(Index(0), vec![entry; entries]);
    Durable {
        term: Term(term),
        vote,
        log,
    }
}

fn backed(message: &Message<()>, disk: &Durable<()>) -> bool {
    assert_eq!(message.term(), TERM);
    Raft::<Nothing>::backed(CANDIDATE, message, disk)
}

#[test]
fn a_vote_is_on_disk_before_the_candidate_hears_of_it() {
    let vote = Message::Voted {
        term: TERM,
        granted: true,
    };
    assert!(backed(&vote, &disk(3, Some(CANDIDATE), 0)));
    assert!(!backed(&vote, &disk(3, None, 0)), "not written yet");
    assert!(!backed(&vote, &disk(3, Some(OTHER), 0)), "a second vote");
    assert!(!backed(&vote, &disk(2, Some(CANDIDATE), 0)), "an old vote");
    // In a later term the disk no longer tells; it did when the vote left.
    assert!(backed(&vote, &disk(4, None, 0)));
}

#[test]
fn a_refusal_is_backed_by_the_term_alone() {
    let refusal = Message::Voted {
        term: TERM,
        granted: false,
    };
    assert!(backed(&refusal, &disk(3, Some(OTHER), 0)));
    assert!(backed(&refusal, &disk(3, None, 0)));
    assert!(backed(&refusal, &disk(4, None, 0)));
    assert!(!backed(&refusal, &disk(2, None, 0)));
}

#[test]
fn an_acknowledgement_is_backed_by_every_entry_up_to_it() {
    let acknowledgement = Message::Appended {
        term: TERM,
        matched: Index(2),
        round: 0,
    };
    assert!(backed(&acknowledgement, &disk(3, None, 2)));
    assert!(backed(&acknowledgement, &disk(3, None, 5)));
    assert!(!backed(&acknowledgement, &disk(3, None, 1)));
    // With the entries, but in a term that a crash would take back.
    assert!(!backed(&acknowledgement, &disk(2, None, 2)));
    // Its entries may have been replaced since.
    assert!(backed(&acknowledgement, &disk(4, None, 1)));
}

#[test]
fn whoever_speaks_in_a_term_has_entered_it_on_disk() {
    let last = Position::default();
    let messages = [
        Message::RequestVote { term: TERM, last },
        Message::Append {
            term: TERM,
            prev: last,
            entries: Vec::new(),
            commit: Index(0),
            round: 0,
        },
        Message::Conflicted {
            term: TERM,
            refused: Index(1),
            hint: last,
            round: 0,
        },
    ];
    for message in messages {
        assert!(backed(&message, &disk(3, None, 0)), "{message:?}");
        assert!(backed(&message, &disk(4, None, 0)), "{message:?}");
        assert!(!backed(&message, &disk(2, None, 0)), "{message:?}");
    }
}

#[test]
fn asking_before_an_election_claims_nothing() {
    let last = Position::default();
    let (question, granted) = (Message::RequestPreVote { term: TERM, last }, true);
    let answer = Message::PreVoted {
        term: TERM,
        granted,
    };
    assert!(backed(&question, &disk(2, None, 0)));
    assert!(backed(&answer, &disk(2, None, 0)));
}
