----------------------------- MODULE MCRaftLive -----------------------------
(***************************************************************************)
(* Raft in the end: a leader is elected, and one stays, as long as what    *)
(* verification/model/src/raft/liveness.rs states and explains is the      *)
(* case.  Each .cfg beside this file drops one assumption or none.         *)
(*                                                                         *)
(* The machine is that of Raft.tla.  Three things are different here:      *)
(*                                                                         *)
(*   - a message that is received is gone, so that something may be fair   *)
(*     to those still on their way, and it can be told that none is;       *)
(*   - what only serves properties of states is left alone;                *)
(*   - terms are renumbered in every step.  Terms only grow, so nothing    *)
(*     that fails for ever could come back to a state; but only their      *)
(*     order and, for the terms that elections are about, their distances  *)
(*     make a difference.                                                  *)
(*                                                                         *)
(* `last' says which class of steps was taken, so that what is fair can be *)
(* told from it and from the classes' guards: TLC would otherwise work out *)
(* for every class in every state whether the whole step is possible.      *)
(***************************************************************************)
EXTENDS Raft

CONSTANTS
    Behind,     \* the server whose disk lacks an entry that the others have, or Nil
    Timely,     \* whether timers keep time
    Writes,     \* whether a client submits a write
    MaxSpread,  \* runs in which the terms of elections lie further apart are cut off
    MaxFlight   \* and so are runs with more messages in flight

VARIABLES
    last,       \* the class of the latest step, and whether the number of steps is odd
    asked       \* whether the client has submitted its write

livevars == <<vars, last, asked>>

-----------------------------------------------------------------------------
(* Renumbering.                                                            *)

Noop1 == [term |-> 1, session |-> Nil, sequence |-> 0]

TermsOfLog(log) == {log[i].term : i \in DOMAIN log}

TermsOfMessage(m) ==
    CASE m.kind \in {"RequestPreVote", "RequestVote"} -> {m.last.term}
      [] m.kind = "Append" -> {m.prev.term} \cup TermsOfLog(m.entries)
      [] m.kind = "Conflicted" -> {m.hint.term}
      [] OTHER -> {}

Range(seq) == {seq[i] : i \in DOMAIN seq}

\* (Intermediate results are bound by \E, as TLC would evaluate a LET at each use.)
\* Everything that was sent or will be, and everything on its way to a disk.
Messages(st) == st.net \cup UNION {p.messages : p \in UNION {Range(st.promised[s]) : s \in Server}}
Records(st) == UNION {Range(batch) : batch \in UNION {Range(st.unsynced[s]) : s \in Server}}

\* The terms that elections are about.
LiveTerms(st) ==
    {st.disk[s].term : s \in Server}
    \cup {st.node[s].term : s \in {u \in Server : st.node[u].role # "Down"}}
    \cup {m.term : m \in Messages(st)}
    \cup {r.term : r \in {x \in Records(st) : x.kind = "Vote"}}

\* The terms of entries and of positions.
LogTerms(st) ==
    UNION {TermsOfLog(st.disk[s].log) : s \in Server}
    \cup UNION {TermsOfLog(st.node[s].log) : s \in {u \in Server : st.node[u].role # "Down"}}
    \cup UNION {TermsOfMessage(m) : m \in Messages(st)}
    \cup UNION {TermsOfLog(r.entries) : r \in {x \in Records(st) : x.kind = "Append"}}

Least(S) == CHOOSE x \in S : \A y \in S : x <= y

\* The terms from `low' on are moved down together; those below it, `past', are
\* numbered in their order.
Renumbered(st, low, past) ==
    LET new(t) == IF t >= low THEN t - low + 1 + Cardinality(past)
                              ELSE Cardinality({p \in past : p <= t})
        position(p) == IF p.index = 0 THEN p ELSE [p EXCEPT !.term = new(@)]
        log(l) == [i \in DOMAIN l |-> [l[i] EXCEPT !.term = new(@)]]
        message(m) ==
            LET t == [m EXCEPT !.term = new(@)]
            IN  CASE m.kind \in {"RequestPreVote", "RequestVote"} -> [t EXCEPT !.last = position(@)]
                  [] m.kind = "Append" -> [t EXCEPT !.prev = position(@), !.entries = log(@)]
                  [] m.kind = "Conflicted" -> [t EXCEPT !.hint = position(@)]
                  [] OTHER -> t
        record(r) == IF r.kind = "Vote" THEN [r EXCEPT !.term = new(@)]
                                        ELSE [r EXCEPT !.entries = log(@)]
        batch(b) == [i \in DOMAIN b |-> record(b[i])]
        promise(p) == [p EXCEPT !.messages = {message(m) : m \in @}]
    IN  [node |-> [s \in Server |->
                      IF st.node[s].role = "Down" THEN st.node[s]
                      ELSE [st.node[s] EXCEPT !.term = new(@), !.log = log(@)]],
         disk |-> [s \in Server |-> [st.disk[s] EXCEPT !.term = new(@), !.log = log(@)]],
         unsynced |-> [s \in Server |-> [i \in DOMAIN st.unsynced[s] |-> batch(st.unsynced[s][i])]],
         promised |-> [s \in Server |-> [i \in DOMAIN st.promised[s] |-> promise(st.promised[s][i])]],
         net |-> {message(m) : m \in st.net}]

-----------------------------------------------------------------------------
(* The steps.                                                              *)

\* An answer that comes too late to count: nothing will ever hear it.
TooLate(m, d) ==
    CASE m.kind = "Voted" -> IF m.granted THEN m.term < d.term ELSE m.term <= d.term
      [] m.kind = "PreVoted" -> m.term <= d.term
      [] m.kind \in {"Appended", "Conflicted"} -> m.term < d.term
      [] OTHER -> FALSE

\* Server s becomes what is left of c, with this disk; `gone' has been received.
LiveBecomes(s, c, d, gone, class) ==
    \E r \in {Release(s, c)} :
    \E disks \in {[disk EXCEPT ![s] = d]} :
    \E raw \in {[node |-> [node EXCEPT ![s] = r.n],
                 disk |-> disks,
                 unsynced |-> [unsynced EXCEPT ![s] = r.unsynced],
                 promised |-> [promised EXCEPT ![s] = r.promised],
                 net |-> {m \in (net \ gone) \cup r.sent : ~TooLate(m, disks[m.to])}]} :
    \E low \in {Least(LiveTerms(raw))} :
    \E past \in {{t \in LogTerms(raw) : 0 < t /\ t < low}} :
    \E st \in {Renumbered(raw, low, past)} :
        /\ node' = st.node /\ disk' = st.disk /\ unsynced' = st.unsynced
        /\ promised' = st.promised /\ net' = st.net
        /\ last' = <<class, 1 - last[2]>>
        /\ asked' = (asked \/ class = <<"Writes">>)
        /\ UNCHANGED <<decided, acked, answers>>

LiveTakes(s, turn, gone, class) == LiveBecomes(s, Absorb(Core(s), turn), disk[s], gone, class)

\* Everything sent has arrived, no disk is busy, no leader has anything to begin.
AtRest ==
    /\ net = {}
    /\ \A s \in Server : unsynced[s] = <<>> /\ (IsLeader(s) => node[s].lead.proposals = <<>>)

OnItsWay(kind, from, to) == {m \in net : m.kind = kind /\ m.from = from /\ m.to = to}
Arrives(kind, from, to) ==
    \E m \in OnItsWay(kind, from, to) :
        LiveTakes(to, Handle(Turn(to, node[to]), m), {m}, <<"Arrives", kind, from, to>>)

MayElect(s) == ~IsLeader(s) /\ (Timely => AtRest /\ Leaders = {})
Elects(s) ==
    MayElect(s) /\ LiveTakes(s, OnElectionTimeout(Turn(s, node[s])), {}, <<"Elects", s>>)

MayBeat(s) == IsLeader(s) /\ (Timely => AtRest)
Beats(s) ==
    /\ MayBeat(s)
    /\ LiveTakes(s, SendAppends(Turn(s, node[s]), Server \ {s}, TRUE), {}, <<"Beats", s>>)

MaySync(s) == unsynced[s] # <<>>
Syncs(s) ==
    /\ MaySync(s)
    /\ LiveBecomes(s,
            [Core(s) EXCEPT
                !.unsynced = Tail(@),
                !.promised = [i \in 1..Len(@) |-> [@[i] EXCEPT !.needs = Max(@ - 1, 0)]]],
            ApplyAll(disk[s], Head(unsynced[s])), {}, <<"Syncs", s>>)

\* A client submits its write to a leader when it likes, and again when nothing is
\* on its way any more and the leader does not have it.
TheWrite == [session |-> CHOOSE x \in Session : TRUE, sequence |-> 1]
Has(log) == \E i \in DOMAIN log : log[i].session # Nil
MayWrite(s) == Writes /\ IsLeader(s) /\ (asked => AtRest /\ ~Has(node[s].log))
ClientWrites(s) ==
    /\ MayWrite(s)
    /\ LiveTakes(s, Turn(s, [node[s] EXCEPT !.lead.proposals = Append(@, TheWrite)]), {}, <<"Writes">>)

MayReplicate(s) == IsLeader(s) /\ node[s].lead.proposals # <<>>
Replicates(s) ==
    MayReplicate(s) /\ LiveTakes(s, OnReplicate(Turn(s, node[s])), {}, <<"Replicates", s>>)

Kinds == {"RequestPreVote", "PreVoted", "RequestVote", "Voted", "Append", "Appended", "Conflicted"}
Used == IF PreVote THEN Kinds ELSE Kinds \ {"RequestPreVote", "PreVoted"}
Links == {link \in Server \X Server : link[1] # link[2]}

LiveInit ==
    /\ disk = [s \in Server |->
            IF Behind = Nil THEN [term |-> 0, vote |-> Nil, log |-> <<>>]
            ELSE IF s = Behind THEN [term |-> 1, vote |-> Nil, log |-> <<>>]
            ELSE [term |-> 1, vote |-> CHOOSE u \in Server : u # Behind, log |-> <<Noop1>>]]
    /\ node = [s \in Server |-> Start(disk[s])]
    /\ unsynced = [s \in Server |-> <<>>]
    /\ promised = [s \in Server |-> <<>>]
    /\ net = {} /\ decided = <<>> /\ acked = {} /\ answers = {}
    /\ last = <<<<"Init">>, 0>> /\ asked = FALSE

LiveNext ==
    \/ \E kind \in Used, link \in Links : Arrives(kind, link[1], link[2])
    \/ \E s \in Server :
        Elects(s) \/ Beats(s) \/ Syncs(s) \/ ClientWrites(s) \/ Replicates(s)

-----------------------------------------------------------------------------
(* What is assumed, piece by piece.                                        *)

\* A step of a class that may be taken.  Each changes `last'.
Step(may, class) == may /\ last' = <<class, 1 - last[2]>>

ArrivalsOf(kinds) ==
    \A kind \in kinds, link \in Links :
        WF_last(Step(OnItsWay(kind, link[1], link[2]) # {}, <<"Arrives", kind, link[1], link[2]>>))
DisksWork == \A s \in Server : WF_last(Step(MaySync(s), <<"Syncs", s>>))
HeartsBeat == \A s \in Server : WF_last(Step(MayBeat(s), <<"Beats", s>>))
\* Now and then each timer is the first.
EachFirst == \A s \in Server : SF_last(Step(MayElect(s), <<"Elects", s>>))
SomeFirst == \A s \in Server : WF_last(Step(MayElect(s), <<"Elects", s>>))

Behaves == LiveInit /\ [][LiveNext]_livevars

Served ==
    /\ \A s \in Server : WF_last(Step(MayReplicate(s), <<"Replicates", s>>))
    /\ SF_last(Step(\E s \in Server : MayWrite(s), <<"Writes">>))

LiveSpec == Behaves /\ ArrivalsOf(Used) /\ DisksWork /\ HeartsBeat /\ EachFirst

WriteSpec == LiveSpec /\ Served
WithoutBeats == Behaves /\ ArrivalsOf(Used) /\ DisksWork /\ EachFirst /\ Served

WithoutVotes == Behaves /\ ArrivalsOf(Used \ {"Voted"}) /\ DisksWork /\ HeartsBeat /\ EachFirst
WithoutDisks == Behaves /\ ArrivalsOf(Used) /\ HeartsBeat /\ EachFirst
WithoutTimers == Behaves /\ ArrivalsOf(Used) /\ DisksWork /\ HeartsBeat
WithoutTurns == Behaves /\ ArrivalsOf(Used) /\ DisksWork /\ HeartsBeat /\ SomeFirst

\* Runs that go further are cut off.  What is enabled there stays enabled, so
\* that no cycle is fair because of the cut.
Near ==
    LET live == LiveTerms([node |-> node, disk |-> disk, unsynced |-> unsynced,
                           promised |-> promised, net |-> net])
    IN  /\ \A t, u \in live : t - u <= MaxSpread
        /\ Cardinality(net) <= MaxFlight
        /\ \A s \in Server : Len(unsynced[s]) <= 1
        /\ Leaders = {}         \* what they do later does not matter here

-----------------------------------------------------------------------------

\* A leader whom a majority follows.
IsLed ==
    \E s \in Leaders :
        IsQuorum({u \in Alive : node[u].leader = s /\ node[u].term = node[s].term})

LeaderStays == <>[]IsLed

LeaderComes == <>(Leaders # {})

\* Every server has applied what was submitted.
Applied == \A s \in Server : Up(s) /\ Has(SubSeq(node[s].log, 1, node[s].commit))
WriteApplied == asked ~> Applied
=============================================================================
