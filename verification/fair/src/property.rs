//! The forms of properties.

use stateright::Model;
use std::fmt;

type Predicate<S> = Box<dyn Fn(&S) -> bool>;

/// A liveness property of the states of a model.
pub struct Property<M: Model> {
    name: String,
    form: Form,
    predicates: Vec<Predicate<M::State>>,
}

/// The form of a property, with its TLA+.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `<>P`: every behaviour comes to a state of P.
    Eventually,
    /// `[]<>P`: every behaviour comes to states of P again and again.
    AlwaysEventually,
    /// `P ~> Q`: after every state of P, or in it, comes one of Q.
    LeadsTo,
    /// `<>[]P`: every behaviour is at last in P for ever.
    EventuallyAlways,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Form::Eventually => "eventually",
            Form::AlwaysEventually => "always eventually",
            Form::LeadsTo => "leads to",
            Form::EventuallyAlways => "eventually always",
        })
    }
}

impl<M: Model> Property<M> {
    /// `<>P`.
    pub fn eventually(name: impl Into<String>, p: impl Fn(&M::State) -> bool + 'static) -> Self {
        Property::new(name, Form::Eventually, vec![Box::new(p)])
    }

    /// `[]<>P`.
    pub fn always_eventually(
        name: impl Into<String>,
        p: impl Fn(&M::State) -> bool + 'static,
    ) -> Self {
        Property::new(name, Form::AlwaysEventually, vec![Box::new(p)])
    }

    /// `P ~> Q`.
    pub fn leads_to(
        name: impl Into<String>,
        p: impl Fn(&M::State) -> bool + 'static,
        q: impl Fn(&M::State) -> bool + 'static,
    ) -> Self {
        Property::new(name, Form::LeadsTo, vec![Box::new(p), Box::new(q)])
    }

    /// `<>[]P`.
    pub fn eventually_always(
        name: impl Into<String>,
        p: impl Fn(&M::State) -> bool + 'static,
    ) -> Self {
        Property::new(name, Form::EventuallyAlways, vec![Box::new(p)])
    }

    fn new(name: impl Into<String>, form: Form, predicates: Vec<Predicate<M::State>>) -> Self {
        Property {
            name: name.into(),
            form,
            predicates,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its form.
    pub fn form(&self) -> Form {
        self.form
    }

    /// P, and for *leads to* Q.
    pub(crate) fn predicates(&self) -> &[Predicate<M::State>] {
        &self.predicates
    }
}

impl<M: Model> fmt::Debug for Property<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.form)
    }
}
