//! One protocol's side of the comparison: the Rust machine within the specification's bounds.

use crate::Value;
use quorate_model::{Action, Protocol, State, System};
use std::fmt::Display;
use std::hash::{Hash, Hasher};

/// A Rust model that claims to be what a specification describes. A protocol to be compared adds one; the
/// comparison itself knows nothing of any.
///
/// A state is a state of the [`System`] and a [`History`](Subject::History): what the specification remembers
/// and the system does not, such as what was ever committed, or how often a bounded thing has happened. A
/// history may be read by nobody but the abstraction and the bounds (Abadi and Lamport, *The existence of
/// refinement mappings*, 1991, call it a history variable).
pub trait Subject {
    /// Who runs the machine. Its clients' value may note what was said for [`Subject::follow`]; it is no part
    /// of the state.
    type Protocol: Protocol;
    /// What the specification remembers beside.
    type History: Clone + Eq + Hash;
    /// Why a state has no counterpart.
    type Error: Display;

    /// The system that is explored.
    fn system(&self) -> &System<Self::Protocol>;

    /// The history of the initial state.
    fn history(&self) -> Self::History;

    /// Adds to `out` what may happen within the bounds, each with the name of the specification's action that
    /// it should be. The order must be the same for equal states.
    fn actions(
        &self,
        state: &State<Self::Protocol>,
        history: &Self::History,
        out: &mut Vec<Move<Self::Protocol>>,
    );

    /// Hashes what tells a state from others. Two states that it does not tell apart are explored as one: what
    /// it leaves out must make no difference to what may happen, now or later, nor to the abstraction.
    fn identify(
        &self,
        state: &State<Self::Protocol>,
        history: &Self::History,
        hasher: &mut impl Hasher,
    );

    /// The history after a step, which may have changed nothing else.
    fn follow(
        &self,
        before: &State<Self::Protocol>,
        history: &Self::History,
        step: &Move<Self::Protocol>,
        after: &State<Self::Protocol>,
    ) -> Self::History;

    /// The state of the specification that this is: a record of its variables.
    ///
    /// # Errors
    ///
    /// If there is none.
    fn abstraction(
        &self,
        state: &State<Self::Protocol>,
        history: &Self::History,
    ) -> Result<Value, Self::Error>;
}

/// Something that may happen, and what the specification calls it.
pub struct Move<P: Protocol> {
    /// What happens.
    pub action: Action<P::Machine>,
    /// The name of the specification's action.
    pub name: &'static str,
}
