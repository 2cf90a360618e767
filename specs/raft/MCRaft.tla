------------------------------- MODULE MCRaft -------------------------------
(***************************************************************************)
(* Raft within bounds, so that TLC sees all of it.  A bound is a guard of  *)
(* an action, never a constraint on states: what TLC counts is exactly     *)
(* what the bounded system can reach.  Each .cfg beside this file is one   *)
(* configuration; README.md says what each is for.                         *)
(***************************************************************************)
EXTENDS Raft, TLC

CONSTANTS
    MaxTerm,        \* nobody stands for a later term
    MaxElections,   \* times that a server stands, or asks whether it may, of all together
    MaxForgets,     \* times that a follower gives its leader up, of all together
    MaxCrashes,     \* crashes of all servers together
    MaxWrites,      \* writes submitted by all sessions together, retries included
    MaxSequence,    \* numbers that a session uses
    MaxReads,       \* reads submitted
    MaxUnsynced,    \* outstanding batches of one server
    Heartbeats,     \* whether leaders send heartbeats
    Sought          \* what must be reached (below)

VARIABLE spent      \* ghost: what of the bounds is used up

mcvars == <<vars, spent>>

(***************************************************************************)
(* A configuration may narrow who stands when, and which messages are      *)
(* never received, to see a long story whole: it replaces these two.       *)
(***************************************************************************)
MayStand(s, term) == TRUE
MayReceive(m) == TRUE

\* Only elections: whatever a leader says is lost.
NoAppend(m) == m.kind # "Append"

(* A story: two rivals lead in turn, and one stands when the other leads   *)
(* the term before.  Disks are not what it is about: everyone waits.       *)
Rivals == CHOOSE pair \in Server \X Server : pair[1] # pair[2]
DisksAtRest == \A s \in Server : unsynced[s] = <<>>
InTurn(s, term) ==
    /\ DisksAtRest
    /\ s = IF term % 2 = 1 THEN Rivals[1] ELSE Rivals[2]
    /\ term = 1 \/ \E u \in Leaders : node[u].term = term - 1
AfterSync(m) == DisksAtRest

OldEntryOnMajority ==
    \E s \in Leaders :
        LET durable == DurableOnMajority(node[s].lead)
        IN  durable > 0 /\ TermAt(node[s].log, durable) < node[s].term

(* The rivals lead by the vote of the third server, and only it hears them *)
(* out; a refused vote never arrives.  In Figure 8 of the paper what they  *)
(* say in the first two terms is lost altogether, and the fourth term      *)
(* begins once the third has brought an old entry to a majority.           *)
ThroughTheThird(m) ==
    /\ DisksAtRest
    /\ m.kind = "Append" => m.to \notin {Rivals[1], Rivals[2]}
    /\ m.kind = "Voted" => m.granted /\ m.from \notin {Rivals[1], Rivals[2]}
TurnsOfFigure8(s, term) == InTurn(s, term) /\ (term = 4 => OldEntryOnMajority)
LossOfFigure8(m) == ThroughTheThird(m) /\ (m.kind = "Append" => m.term > 2)

MCInit ==
    Init /\ spent = [elections |-> 0, forgets |-> 0, crashes |-> 0, writes |-> 0, reads |-> 0]

Free == UNCHANGED spent
Spend(what) == spent' = [spent EXCEPT ![what] = @ + 1]

MCStep ==
    \/ Free /\ \E m \in net : MayReceive(m) /\ Receive(m)
    \/ \E s \in Server :
        \/ /\ spent.elections < MaxElections /\ Spend("elections")
           /\ Up(s) /\ node[s].leader = Nil
           /\ node[s].term < MaxTerm /\ MayStand(s, node[s].term + 1)
           /\ Timeout(s)
        \/ /\ spent.forgets < MaxForgets /\ Spend("forgets")
           /\ Up(s) /\ node[s].leader # Nil
           /\ Timeout(s)
        \/ Free /\ Heartbeats /\ Heartbeat(s)
        \/ Free /\ QuorumCheck(s)
        \/ Free /\ Replicate(s)
        \/ Free /\ Sync(s)
        \/ Free /\ Recover(s)
        \/ spent.crashes < MaxCrashes /\ Spend("crashes") /\ Crash(s)
        \/ spent.reads < MaxReads /\ Spend("reads") /\ ClientRead(s)
        \/ /\ spent.writes < MaxWrites /\ Spend("writes")
           /\ \E write \in [session : Session, sequence : 1..MaxSequence] : ClientWrite(s, write)

MCNext == MCStep /\ \A s \in Server : Len(unsynced'[s]) <= MaxUnsynced

MCSpec == MCInit /\ [][MCNext]_mcvars

\* Servers are alike, and nothing here is a liveness property, so states that
\* differ by a renaming of servers are one.
Symmetry == Permutations(Server)

-----------------------------------------------------------------------------
(***************************************************************************)
(* What must be reachable, or the properties above hold of nothing.  TLC   *)
(* evaluates `Sometimes' on every step that it takes, and prints what it   *)
(* sees for the first time (once per worker).  A configuration names in    *)
(* `Sought' what it has to reach; specs/check insists on all of it.        *)
(***************************************************************************)
NewlyDecided == Len(decided') > Len(decided)

Happens(what) ==
    CASE what = "crash-before-sync" ->
            \E s \in Server : Up(s) /\ ~Up(s)' /\ unsynced[s] # <<>>
      [] what = "entry-replaced" ->
            \E s \in Server : Runs(s) /\ ~IsPrefix(node[s].log, node'[s].log)
      [] what = "commit-in-term-1" -> NewlyDecided /\ decided'[Len(decided')].by = 1
      [] what = "commit-in-term-2" -> NewlyDecided /\ decided'[Len(decided')].by = 2
      [] what = "commit-ahead-of-own-disk" ->
            NewlyDecided /\ \E s \in Leaders : /\ Runs(s)
                                              /\ node'[s].commit = Len(decided')
                                              /\ Len(disk[s].log) < Len(decided')
      [] what = "old-entry-on-majority" -> OldEntryOnMajority
      [] what = "leader-steps-down" ->
            \E s \in Leaders : /\ Runs(s) /\ node'[s].role = "Follower"
                               /\ node'[s].term = node[s].term
      [] what = "two-leaders" -> Cardinality(Leaders) > 1
      [] what = "logs-conflict" ->
            \E m \in net' \ net : m.kind = "Conflicted" /\ m.hint.index > 0
      [] what = "retry-committed" ->
            NewlyDecided /\ \E i, j \in 1..Len(decided') :
                /\ i < j /\ decided'[i].entry.session # Nil
                /\ decided'[i].entry.session = decided'[j].entry.session
                /\ decided'[i].entry.sequence = decided'[j].entry.sequence
      [] what = "read-answered" -> answers' # answers
      [] what = "read-of-later-term" ->
            answers' # answers /\ \E s \in Leaders : Runs(s) /\ node[s].term > 1
                                    /\ node[s].lead.reads # node'[s].lead.reads

Occasions == <<
    "crash-before-sync", "entry-replaced", "commit-in-term-1", "commit-in-term-2",
    "commit-ahead-of-own-disk", "old-entry-on-majority", "leader-steps-down", "two-leaders",
    "logs-conflict", "retry-committed", "read-answered", "read-of-later-term" >>

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
