//! A machine for tests of what is around machines: it does nothing.

use crate::{Effects, Event, Machine, NodeId};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Inert;

impl Machine for Inert {
    type Config = ();
    type Command = ();
    type Message = u8;
    type Timer = u8;
    type Record = u8;
    type Durable = ();
    type Output = u8;

    fn apply(_: &mut (), _: &u8) {}

    fn start(_: &(), _: &(), _: &mut Effects<Self>) -> Self {
        Inert
    }

    fn step(&mut self, _: &(), _: Event<Self>, _: &mut Effects<Self>) {}

    fn backed(_: NodeId, _: &u8, _: &()) -> bool {
        true
    }
}
