--------------------------- MODULE MCBroadcastLive ---------------------------
(***************************************************************************)
(* Causal broadcast, in the end: what is broadcast is delivered by all.    *)
(*                                                                         *)
(* The network is a set that never shrinks, so the bound on the number of  *)
(* repairs is replaced: a repair timer fires when it changes something.    *)
(* Which deliveries are owed is said by `Owed': not those of updates, which *)
(* bring nothing to a member that is `Lossy'.                              *)
(***************************************************************************)
EXTENDS MCBroadcast

CONSTANTS
    Returns,        \* whether who has crashed comes back
    Owed,           \* kinds of messages of which each that is sent arrives in the end
    DisksWork,      \* whether disks that have something to write do
    TimersFire      \* whether repair timers fire

\* Somebody may always say again what it has said before: that is no step.
Speaks(s) == Free /\ Repair(s) /\ FewRecords

LiveNext ==
    \/ ReceivesUpdate \/ ReceivesOffer \/ ReceivesAsk \/ ReceivesSupply
    \/ \E s \in Member :
        \/ Submits(s) \/ Flushes(s) \/ Speaks(s) \/ Syncs(s) \/ Crashes(s) \/ Recovers(s)

\* What was sent stays in the network, so weak fairness is enough.  It is asked
\* for as little as is needed: each formula doubles TLC's work.
Fair ==
    /\ WF_mcvars(\E s \in Member : Flushes(s))
    /\ DisksWork => WF_mcvars(\E s \in Member : Syncs(s))
    /\ TimersFire => WF_mcvars(Speaks(1))
    /\ Returns => WF_mcvars(\E s \in Member : Recovers(s))
    /\ "Offer" \in Owed => WF_mcvars(ReceivesOffer)
    /\ "Ask" \in Owed => WF_mcvars(ReceivesAsk)
    /\ "Supply" \in Owed => WF_mcvars(ReceivesSupply)

LiveSpec == MCInit /\ [][LiveNext]_mcvars /\ Fair

Known == UNION {{What(m) : m \in told[s]} : s \in Member}
DeliveredByAll ==
    \A s \in Member : \A i \in 1..MaxBroadcasts :
        [sender |-> s, payload |-> i] \in Known
            ~> \A p \in Member : [sender |-> s, payload |-> i] \in {What(m) : m \in told[p]}
=============================================================================
