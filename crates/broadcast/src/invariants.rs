//! What must hold: of a member at any time, of a step, and of a whole group.
//!
//! The names are those of `specs/broadcast`. The model checker evaluates them in every state; debug builds
//! evaluate [`node`] after every step.

use crate::{Broadcast, Clock, Config, Ledger, Payload};
use quorate_machine::NodeId;

/// What must hold of one member by itself.
///
/// # Errors
///
/// What does not.
pub fn node<P: Payload>(config: &Config, member: &Broadcast<P>) -> Result<(), &'static str> {
    let ledger = member.ledger();
    ledger.consistent()?;
    let own = ledger.holds().get(config.id);
    if member.rows().iter().any(|row| row.get(config.id) > own) {
        return Err("nobody has a message before its sender");
    }
    if ledger.pending(config.id) > 0 {
        return Err("own messages are delivered at once");
    }
    let (kept, bytes) = ledger.kept(config.id);
    if kept > config.window_messages || bytes > config.window_bytes {
        return Err("own messages are within the window");
    }
    let one_batch = |sender: NodeId| ledger.kept_after(sender, 0).nth(1).is_none();
    for sender in config.peers() {
        let (kept, bytes) = ledger.kept(sender);
        let within = kept <= config.hold_messages() && bytes <= config.hold_bytes();
        if !within && !one_batch(sender) {
            return Err("the messages of a sender are within the limit");
        }
    }
    Ok(())
}

/// Whether one clock is nowhere behind another.
fn covers(more: &Clock, less: &Clock) -> bool {
    less.iter()
        .all(|(member, number)| more.get(member) >= number)
}

/// What a step may do to one member: nothing that it has, has delivered or has consumed is taken back.
///
/// # Errors
///
/// What the step must not do.
pub fn step<P: Payload>(before: &Broadcast<P>, after: &Broadcast<P>) -> Result<(), &'static str> {
    let (was, is) = (before.ledger(), after.ledger());
    if !covers(is.holds(), was.holds()) {
        return Err("what is held stays held");
    }
    if !covers(is.delivered(), was.delivered()) || is.position() < was.position() {
        return Err("what is delivered stays delivered");
    }
    if is.consumed() < was.consumed() || !covers(is.floor(), was.floor()) {
        return Err("what is let go stays let go");
    }
    let old = was.delivered_after(is.consumed());
    if !old.eq(is
        .unconsumed()
        .take(was.delivered_after(is.consumed()).count()))
    {
        return Err("the order of what is delivered stays");
    }
    Ok(())
}

/// Garbage collection: what a member takes for held by all is on every disk but perhaps its own.
pub fn floor_is_held<'a, P: Payload>(
    id: NodeId,
    floor: &Clock,
    disks: impl IntoIterator<Item = (NodeId, &'a Ledger<P>)>,
) -> bool {
    let mut others = disks.into_iter().filter(|(member, _)| *member != id);
    others.all(|(_, disk)| covers(disk.holds(), floor))
}

/// Agreement: of two members, wherever both hold a message, it is the same message.
pub fn same_messages<P: Payload>(sender: NodeId, one: &Ledger<P>, other: &Ledger<P>) -> bool {
    let shared = one.holds().get(sender).min(other.holds().get(sender));
    let theirs = || other.kept_after(sender, 0);
    let mut mine = one.kept_after(sender, 0);
    let mut shared = mine.by_ref().take_while(|batch| batch.first <= shared);
    shared.all(|batch| {
        let same_place = theirs().find(|theirs| theirs.first == batch.first);
        same_place.is_none_or(|theirs| theirs == batch)
    })
}
