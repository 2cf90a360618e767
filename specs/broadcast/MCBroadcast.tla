----------------------------- MODULE MCBroadcast -----------------------------
(***************************************************************************)
(* Causal broadcast within bounds, so that TLC sees all of it.  A bound is *)
(* a guard of an action, never a constraint on states.  Each .cfg beside   *)
(* this file is one configuration; README.md says what each is for.        *)
(*                                                                         *)
(* Each kind of step has a name: TLC writes its graph with these names,    *)
(* and verification/refinement holds the graph of the Rust machine against *)
(* it, step by step.                                                       *)
(***************************************************************************)
EXTENDS Broadcast, TLC

CONSTANTS
    Senders,        \* members whose applications broadcast
    MaxBroadcasts,  \* messages that each of them broadcasts
    Replies,        \* whether all but the first broadcast only when they were told something
    Consumers,      \* members whose applications consume
    MaxRepairs,     \* times that repair timers fire, of all together
    MaxCrashes,     \* crashes of all together
    MaxUnsynced,    \* outstanding records of one member
    Lossy,          \* members to whom no Update with a message arrives: only repair helps them
    Sought          \* what must be reached (below)

VARIABLE spent      \* ghost: what of the bounds is used up

mcvars == <<vars, spent>>

MCInit == Init /\ spent = [repairs |-> 0, crashes |-> 0]

Free == UNCHANGED spent
Spend(what) == spent' = [spent EXCEPT ![what] = @ + 1]
FewRecords == \A s \in Member : Len(unsynced'[s]) <= MaxUnsynced

Submits(s) ==
    /\ Free /\ s \in Senders /\ Len(asked[s]) < MaxBroadcasts
    /\ s = 1 \/ ~Replies \/ told[s] # {}
    /\ Submit(s) /\ FewRecords
Consuming(s) == Free /\ s \in Consumers /\ Consumes(s) /\ FewRecords
Flushes(s) == Free /\ Flush(s) /\ FewRecords
Repairs(s) == spent.repairs < MaxRepairs /\ Spend("repairs") /\ Repair(s) /\ FewRecords
Syncs(s) == Free /\ Sync(s) /\ FewRecords
Crashes(s) == spent.crashes < MaxCrashes /\ Spend("crashes") /\ Crash(s) /\ FewRecords
Recovers(s) == Free /\ Recover(s) /\ FewRecords

Arrives(kind) ==
    \E m \in net :
        /\ m.kind = kind
        /\ m.to \in Lossy => m.kind # "Update" \/ m.batches = <<>>
        /\ Receive(m)
ReceivesUpdate == Free /\ Arrives("Update") /\ FewRecords
ReceivesOffer  == Free /\ Arrives("Offer")  /\ FewRecords
ReceivesAsk    == Free /\ Arrives("Ask")    /\ FewRecords
ReceivesSupply == Free /\ Arrives("Supply") /\ FewRecords

MCNext ==
    \/ ReceivesUpdate \/ ReceivesOffer \/ ReceivesAsk \/ ReceivesSupply
    \/ \E s \in Member :
        \/ Submits(s) \/ Consuming(s) \/ Flushes(s) \/ Repairs(s)
        \/ Syncs(s) \/ Crashes(s) \/ Recovers(s)

MCSpec == MCInit /\ [][MCNext]_mcvars

-----------------------------------------------------------------------------
(* What must be reachable, or the properties above hold of nothing.        *)

Happens(what) ==
    CASE what = "all-told" ->
            \A s \in Member : Cardinality(told'[s]) = MaxBroadcasts * Cardinality(Senders)
      [] what = "waits-for-cause" ->
            \E s \in Member : node'[s].up /\ \E p \in Member : node'[s].ledger.pending[p] > 0
      [] what = "orders-differ" ->
            \E s, q \in Member : \E a, b \in told'[s] : \E c, d \in told'[q] :
                /\ What(a) = What(c) /\ What(b) = What(d)
                /\ a.position < b.position /\ c.position > d.position
      [] what = "collected" ->
            \E s, p \in Member : disk'[s].holds[p] > 0 /\ disk'[s].kept[p] = <<>>
      [] what = "crash-before-sync" ->
            \E s \in Member : Up(s) /\ ~node'[s].up /\ unsynced[s] # <<>>
      [] what = "relayed" ->
            \E m \in net' \ net : m.kind = "Supply"
                /\ \E i \in 1..Len(m.batches) :
                    m.batches[i].sender # m.from /\ ~node'[m.batches[i].sender].up
      [] what = "batched" ->
            \E m \in net' \ net : \E i \in 1..Len(m.batches) : Len(m.batches[i].payloads) > 1
      [] what = "window-full" ->
            \E s \in Member : node'[s].up /\ ~Accepts(node'[s], s)

Occasions == <<
    "all-told", "waits-for-cause", "orders-differ", "collected",
    "crash-before-sync", "relayed", "batched", "window-full" >>

Wanted == {i \in 1..Len(Occasions) : Occasions[i] \in Sought}

ASSUME /\ Cardinality(Wanted) = Cardinality(Sought)
       /\ \A i \in Wanted : TLCSet(i, FALSE)

Sometimes ==
    \A i \in Wanted :
        IF TLCGet(i) THEN TRUE
        ELSE IF Happens(Occasions[i])
             THEN TLCSet(i, TRUE) /\ PrintT(<<"sometimes", Occasions[i]>>)
             ELSE TRUE
=============================================================================
