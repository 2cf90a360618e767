------------------------------ MODULE MCPaxos ------------------------------
(***************************************************************************)
(* Paxos within bounds, so that TLC sees all of it.  A bound is a guard of *)
(* an action, never a constraint on states: what TLC counts is exactly     *)
(* what the bounded system can reach.  Each .cfg beside this file is one   *)
(* configuration; README.md says what each is for.                         *)
(***************************************************************************)
EXTENDS Paxos, TLC

CONSTANTS
    Proposers,      \* the servers whose clients propose
    Readers,        \* the servers whose clients read
    MaxProposals,   \* proposals of all clients together
    MaxReads,       \* reads of all clients together
    MaxRound,       \* nobody begins a later round
    MaxCrashes,     \* crashes of all servers together
    MaxUnsynced,    \* outstanding batches of one server
    Repeats,        \* whether a proposer says again what may be lost
    Sought          \* what must be reached (below)

VARIABLE spent      \* ghost: what of the bounds is used up

mcvars == <<vars, spent>>

(***************************************************************************)
(* A configuration may narrow which messages are received when, to see a   *)
(* long story whole: it replaces this.                                     *)
(***************************************************************************)
MayReceive(m) == TRUE

\* Disks are not what the story is about: everyone waits for them.
AfterSync(m) == \A s \in Server : unsynced[s] = <<>>

MCInit == Init /\ spent = [proposals |-> 0, reads |-> 0, crashes |-> 0]

Free == UNCHANGED spent
Spend(what) == spent' = [spent EXCEPT ![what] = @ + 1]

\* Whether server s may begin a ballot in the next round, if it has to.
MayBegin(s) ==
    LET above == IF node[s].attempt # Nil /\ node[s].attempt.phase.kind = "SetBack"
                 THEN node[s].attempt.phase.above ELSE 0
    IN  ~IsDecided(node[s].known) => Max(above, node[s].known.promised[1]) < MaxRound

\* A request begins a ballot unless it joins an attempt.
MayAsk(s) == Up(s) /\ (node[s].attempt = Nil => MayBegin(s))

MayRetry(s) ==
    /\ Up(s)
    /\ node[s].attempt # Nil
    /\ IF node[s].attempt.phase.kind = "SetBack" THEN MayBegin(s) ELSE Repeats

\* No step begins a round beyond the bound: one that joins a read does so later.
Fits ==
    \A s \in Server :
        /\ Len(unsynced'[s]) <= MaxUnsynced
        /\ node'[s].up /\ ~IsDecided(node'[s].known) => node'[s].known.promised[1] <= MaxRound

MCStep ==
    \/ Free /\ \E m \in net : MayReceive(m) /\ Receive(m)
    \/ \E s \in Proposers :
        spent.proposals < MaxProposals /\ MayAsk(s) /\ Spend("proposals") /\ ClientProposes(s)
    \/ \E s \in Readers :
        spent.reads < MaxReads /\ MayAsk(s) /\ Spend("reads") /\ ClientReads(s)
    \/ \E s \in Server :
        \/ Free /\ MayRetry(s) /\ Retry(s)
        \/ Free /\ Sync(s)
        \/ Free /\ Recover(s)
        \/ spent.crashes < MaxCrashes /\ Spend("crashes") /\ Crash(s)

MCNext == MCStep /\ Fits

MCSpec == MCInit /\ [][MCNext]_mcvars

-----------------------------------------------------------------------------
(***************************************************************************)
(* What must be reachable, or the properties above hold of nothing.  TLC   *)
(* evaluates `Sometimes' on every step that it takes, and prints what it   *)
(* sees for the first time (once per worker).  A configuration names in    *)
(* `Sought' what it has to reach; specs/check insists on all of it.        *)
(***************************************************************************)
Phase(s, kind) == Up(s) /\ node[s].attempt # Nil /\ node[s].attempt.phase.kind = kind

Happens(what) ==
    CASE what = "decided" -> \E s \in Server : Up(s) /\ IsDecided(node[s].known)
      [] what = "chosen-unknown" -> Chosen # {} /\ \A s \in Alive : ~IsDecided(node[s].known)
      [] what = "two-in-phase-2" ->
            \E s, u \in Server : s # u /\ Phase(s, "Accepting") /\ Phase(u, "Accepting")
      [] what = "set-back" -> \E s \in Server : Phase(s, "SetBack")
      [] what = "takes-up-another" ->
            \E s \in Server : /\ Phase(s, "Accepting")
                              /\ node[s].attempt.value \notin {Nil, node[s].attempt.phase.proposal.value}
      [] what = "two-values-uncovered" ->
            \E m, x \in net : /\ m.kind = "Promised" /\ x.kind = "Promised"
                              /\ m.ballot = x.ballot /\ m.accepted # Nil /\ x.accepted # Nil
                              /\ m.accepted.value # x.accepted.value
      [] what = "accepted-unasked" ->
            \E s \in Server : /\ ~IsDecided(disk[s])
                              /\ Less(disk[s].promised, BallotOf(disk'[s].accepted))
                              /\ ~IsDecided(disk'[s])
      [] what = "read-undecided" -> \E a \in answers : a.saw = Nil
      [] what = "read-decided" -> \E a \in answers : a.saw # Nil
      [] what = "read-completes" ->
            \E s \in Server : Phase(s, "Accepting") /\ node[s].attempt.value = Nil
      [] what = "crash-before-sync" ->
            \E s \in Server : Up(s) /\ ~node'[s].up /\ unsynced[s] # <<>>

Occasions == <<
    "decided", "chosen-unknown", "two-in-phase-2", "set-back", "takes-up-another",
    "two-values-uncovered", "accepted-unasked", "read-undecided", "read-decided",
    "read-completes", "crash-before-sync" >>

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
