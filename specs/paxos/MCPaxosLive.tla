----------------------------- MODULE MCPaxosLive -----------------------------
(***************************************************************************)
(* Paxos in the end: what one proposer proposes is decided.  That two may  *)
(* prevent each other for ever, and what it takes that they do not, is     *)
(* verification/model/src/paxos/liveness.rs's: there rounds have no bound. *)
(***************************************************************************)
EXTENDS MCPaxos

OnItsWay(kind, from, to) ==
    \E m \in net : m.kind = kind /\ m.from = from /\ m.to = to /\ Receive(m) /\ Free

Kinds == {"Prepare", "Promised", "Accept", "Accepted", "Refused", "Decided"}
ArrivalsOf(kinds) ==
    \A kind \in kinds, from, to \in Server : WF_mcvars(OnItsWay(kind, from, to))
DisksWork == \A s \in Server : WF_mcvars(Free /\ Sync(s))

LiveSpec == MCSpec /\ ArrivalsOf(Kinds) /\ DisksWork
WithoutDisks == MCSpec /\ ArrivalsOf(Kinds)
WithoutPromises == MCSpec /\ ArrivalsOf(Kinds \ {"Promised"}) /\ DisksWork

ProposalIsDecided ==
    \A s \in Proposers : spent.proposals > 0 ~> IsDecided(node[s].known)
=============================================================================
