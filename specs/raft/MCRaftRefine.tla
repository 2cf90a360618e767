----------------------------- MODULE MCRaftRefine -----------------------------
(***************************************************************************)
(* The same system as MCRaft, with a name for each kind of step.  TLC      *)
(* writes its graph with these names, and verification/refinement holds    *)
(* the graph of the Rust machine against it, step by step.                 *)
(***************************************************************************)
EXTENDS MCRaft

Fits == \A s \in Server : Len(unsynced'[s]) <= MaxUnsynced

Stands(s) ==
    /\ spent.elections < MaxElections /\ Spend("elections")
    /\ Up(s) /\ node[s].leader = Nil
    /\ node[s].term < MaxTerm /\ MayStand(s, node[s].term + 1)
    /\ Timeout(s) /\ Fits

Forgets(s) ==
    /\ spent.forgets < MaxForgets /\ Spend("forgets")
    /\ Up(s) /\ node[s].leader # Nil
    /\ Timeout(s) /\ Fits

Beats(s) == Free /\ Heartbeats /\ Heartbeat(s) /\ Fits
Checks(s) == Free /\ QuorumCheck(s) /\ Fits
Replicates(s) == Free /\ Replicate(s) /\ Fits
Syncs(s) == Free /\ Sync(s) /\ Fits
Recovers(s) == Free /\ Recover(s) /\ Fits
Crashes(s) == spent.crashes < MaxCrashes /\ Spend("crashes") /\ Crash(s) /\ Fits
Reads(s) == spent.reads < MaxReads /\ Spend("reads") /\ ClientRead(s) /\ Fits

Writes(s) ==
    /\ spent.writes < MaxWrites /\ Spend("writes")
    /\ \E write \in [session : Session, sequence : 1..MaxSequence] : ClientWrite(s, write)
    /\ Fits

Arrives(kind) == \E m \in net : m.kind = kind /\ MayReceive(m) /\ Receive(m)
ReceivesRequestPreVote == Free /\ Arrives("RequestPreVote") /\ Fits
ReceivesPreVoted == Free /\ Arrives("PreVoted") /\ Fits
ReceivesRequestVote == Free /\ Arrives("RequestVote") /\ Fits
ReceivesVoted == Free /\ Arrives("Voted") /\ Fits
ReceivesAppend == Free /\ Arrives("Append") /\ Fits
ReceivesAppended == Free /\ Arrives("Appended") /\ Fits
ReceivesConflicted == Free /\ Arrives("Conflicted") /\ Fits

RefineNext ==
    \/ \E s \in Server :
        \/ Stands(s) \/ Forgets(s)
        \/ Beats(s) \/ Checks(s) \/ Replicates(s)
        \/ Syncs(s) \/ Crashes(s) \/ Recovers(s)
        \/ Writes(s) \/ Reads(s)
    \/ ReceivesRequestPreVote \/ ReceivesPreVoted
    \/ ReceivesRequestVote \/ ReceivesVoted
    \/ ReceivesAppend \/ ReceivesAppended \/ ReceivesConflicted

RefineSpec == MCInit /\ [][RefineNext]_mcvars

\* Nothing here that is not there.  That nothing is missing shows in the number
\* of states, which is that of MCSpec without symmetry: 997 for one election,
\* 9193 for one election and one write.
IsMCRaft == [][MCNext]_mcvars
=============================================================================
