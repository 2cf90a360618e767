---------------------------- MODULE MCPaxosRefine ----------------------------
(***************************************************************************)
(* The same system as MCPaxos, with a name for each kind of step.  TLC     *)
(* writes its graph with these names, and verification/refinement holds    *)
(* the graph of the Rust machine against it, step by step.                 *)
(***************************************************************************)
EXTENDS MCPaxos

Proposes(s) ==
    /\ s \in Proposers /\ spent.proposals < MaxProposals
    /\ MayAsk(s) /\ Spend("proposals") /\ ClientProposes(s) /\ Fits
Asks(s) ==
    /\ s \in Readers /\ spent.reads < MaxReads
    /\ MayAsk(s) /\ Spend("reads") /\ ClientReads(s) /\ Fits

Retries(s) == Free /\ MayRetry(s) /\ Retry(s) /\ Fits
Syncs(s) == Free /\ Sync(s) /\ Fits
Recovers(s) == Free /\ Recover(s) /\ Fits
Crashes(s) == spent.crashes < MaxCrashes /\ Spend("crashes") /\ Crash(s) /\ Fits

Arrives(kind) == \E m \in net : m.kind = kind /\ MayReceive(m) /\ Receive(m)
ReceivesPrepare == Free /\ Arrives("Prepare") /\ Fits
ReceivesPromised == Free /\ Arrives("Promised") /\ Fits
ReceivesAccept == Free /\ Arrives("Accept") /\ Fits
ReceivesAccepted == Free /\ Arrives("Accepted") /\ Fits
ReceivesRefused == Free /\ Arrives("Refused") /\ Fits
ReceivesDecided == Free /\ Arrives("Decided") /\ Fits

RefineNext ==
    \/ \E s \in Server :
        \/ Proposes(s) \/ Asks(s) \/ Retries(s)
        \/ Syncs(s) \/ Crashes(s) \/ Recovers(s)
    \/ ReceivesPrepare \/ ReceivesPromised
    \/ ReceivesAccept \/ ReceivesAccepted
    \/ ReceivesRefused \/ ReceivesDecided

RefineSpec == MCInit /\ [][RefineNext]_mcvars

\* Nothing here that is not there.  That nothing is missing shows in the number
\* of states, which is that of MCSpec.
IsMCPaxos == [][MCNext]_mcvars
=============================================================================
