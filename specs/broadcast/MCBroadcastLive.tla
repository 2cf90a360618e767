--------------------------- MODULE MCBroadcastLive ---------------------------
(***************************************************************************)
(* Causal broadcast, in the end: what is broadcast is delivered by all.    *)
(*                                                                         *)
(* The network is a set that never shrinks, so the bound on the number of  *)
(* repairs is replaced: a repair timer fires when it changes something.    *)
(* Which deliveries are owed is said by `Owed'.                            *)
(***************************************************************************)
EXTENDS MCBroadcast

CONSTANTS
    Returns,        \* members that come back from every crash
    Owed,           \* kinds of messages of which each that is sent arrives in the end
    DisksWork,      \* whether disks that have something to write do
    TimersFire      \* whether repair timers fire

\* Somebody may always say again what it has said before: that is no step.
Speaks(s) == Free /\ Repair(s) /\ FewRecords

LiveNext ==
    \/ ReceivesUpdate \/ ReceivesOffer \/ ReceivesAsk \/ ReceivesSupply
    \/ \E s \in Member :
        \/ Submits(s) \/ Flushes(s) \/ Speaks(s) \/ Syncs(s) \/ Crashes(s) \/ Recovers(s)

Arrives_(m) == Free /\ m \in net /\ (m.to \in Lossy => m.kind # "Update" \/ m.batches = <<>>)
                /\ Receive(m) /\ FewRecords

\* The messages that matter are few: a kind on a link, with what it lets its receiver do.
Link(kind, p, q) == \E m \in net : m.kind = kind /\ m.from = p /\ m.to = q /\ Arrives_(m)

\* Of the messages of a kind on a link, the last that was sent tells most.
Newest(kind, p, q) ==
    \E m \in net :
        /\ m.kind = kind /\ m.from = p /\ m.to = q
        /\ \A k \in net : k.kind = kind /\ k.from = p /\ k.to = q => Covers(m.holds, k.holds)
        /\ Arrives_(m)

Fair ==
    /\ \A s \in Member : WF_mcvars(Flushes(s))
    /\ DisksWork => \A s \in Member : WF_mcvars(Syncs(s))
    /\ TimersFire => \A s \in Member : WF_mcvars(Speaks(s))
    /\ \A s \in Returns : WF_mcvars(Recovers(s))
    /\ \A kind \in Owed : \A p, q \in Member : SF_mcvars(Newest(kind, p, q))

LiveSpec == MCInit /\ [][LiveNext]_mcvars /\ Fair

Known == UNION {{What(m) : m \in told[s]} : s \in Member}
DeliveredByAll ==
    \A s \in Member : \A i \in 1..MaxBroadcasts :
        [sender |-> s, payload |-> i] \in Known
            ~> \A p \in Member : [sender |-> s, payload |-> i] \in {What(m) : m \in told[p]}
=============================================================================
