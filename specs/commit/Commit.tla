------------------------------- MODULE Commit -------------------------------
(***************************************************************************)
(* Two-phase commit as the machine of crates/commit runs it: presumed      *)
(* abort, recovery by inquiry, cooperative termination, forgetting.  It    *)
(* has the grain of the machine, as specs/raft/Raft.tla explains:          *)
(*                                                                         *)
(*   - one event (a message, a timer, a word of a caller or a resource) is *)
(*     one step, which hands a batch of records to the disk: the batch     *)
(*     becomes durable later, by Sync, all or nothing;                     *)
(*   - what a step wants to say, to others or to its own resource, is a    *)
(*     promise: it leaves once every batch handed over before is durable,  *)
(*     or at once, if it claims nothing of a disk (SendNow);               *)
(*   - a crash loses memory, batches not yet durable, promises not yet due.*)
(*                                                                         *)
(* The network is the set of all messages ever sent, and receiving removes *)
(* nothing: messages are lost, late, out of order and duplicated without   *)
(* an action for any of these.  A message to oneself goes the same way.    *)
(*                                                                         *)
(* Every node has a resource beside it, and every transaction a caller.    *)
(* Crashes do not touch what these were told: it is what AC1 to AC5 are    *)
(* about (Bernstein, Hadzilacos, Goodman, 1987, section 7.3).              *)
(*                                                                         *)
(* Consensus, where a transaction is not to block, is what it promises: a  *)
(* value that is written once (`agreed').  specs/paxos keeps that promise. *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
    Node,
    Count,          \* transactions are numbered 1..Count; a coordinator begins its own in this order
    Coordinator,    \* of each transaction
    Participants,   \* of each transaction
    NonBlocking,    \* whether consensus decides
    Remembered      \* ended transactions that a coordinator remembers

Txn == 1..Count

ASSUME /\ Coordinator \in [Txn -> Node]
       /\ \A t \in Txn : Participants[t] \subseteq Node /\ Participants[t] # {}
       /\ NonBlocking \in BOOLEAN /\ Remembered \in Nat

VARIABLES
    node,       \* volatile: the machine of each node, or Down
    disk,       \* durable: what each disk holds
    unsynced,   \* per node, the batches of records on their way to the disk
    promised,   \* per node, what leaves when enough batches are durable
    net,        \* every message sent
    resource,   \* per node and transaction, what its resource said and was told
    caller,     \* per transaction, what its caller asked and was told
    agreed      \* per transaction, what consensus has decided

vars == <<node, disk, unsynced, promised, net, resource, caller, agreed>>

-----------------------------------------------------------------------------
(* The machine of one node.                                                *)

NotOpen == [stage |-> "None", missing |-> {}]
Voting(t) == [stage |-> "Voting", missing |-> Participants[t]]
Committed(t) == [stage |-> "Committed", missing |-> Participants[t]]
Proposed == [stage |-> "Proposed", missing |-> {}]

Down == [phase |-> "Down"]
Up(s) == node[s] # Down

EmptyDisk ==
    [epoch |-> 0,               \* of the last life that has begun a transaction
     committed |-> {},          \* as a coordinator: committed, or proposed to consensus
     ended |-> {},              \* committed, and every participant has acknowledged it
     forgotten |-> 0,           \* the latest that was committed and is not known any more
     votes |-> [t \in Txn |-> "None"],      \* as a participant
     latest |-> [c \in Node |-> 0]]         \* nothing up to it gets a yes that has none

Start(d) ==
    [epoch |-> d.epoch,
     last |-> 0,                \* the last that this life has begun
     prompt |-> FALSE,          \* whether questions wait for no disk any more
     open |-> [t \in Txn |-> IF t \notin d.committed THEN NotOpen
                             ELSE IF NonBlocking THEN Proposed ELSE Committed(t)],
     ended |-> d.ended, forgotten |-> d.forgotten,
     joined |-> d.votes,        \* or "Preparing", or "Done": committed, and the resource too
     latest |-> d.latest]

(***************************************************************************)
(* A turn is one event's handling in the making, as in Raft.tla.           *)
(***************************************************************************)
Turn(s, n) == [self |-> s, n |-> n, records |-> <<>>, before |-> {}, after |-> {}, now |-> {}]

Persist(u, record) == [u EXCEPT !.records = Append(@, record)]

Promise(u, messages) ==
    IF u.records = <<>> THEN [u EXCEPT !.before = @ \cup messages]
                        ELSE [u EXCEPT !.after = @ \cup messages]

\* What says nothing of the disk that is not durable leaves at once.
SendNow(u, messages) == [u EXCEPT !.now = @ \cup messages]

\* To a node, to the own resource, to the caller, to consensus.
Message(u, kind, t, to) == [kind |-> kind, txn |-> t, from |-> u.self, to |-> to, says |-> "Nothing"]
Saying(u, kind, t, to, says) == [Message(u, kind, t, to) EXCEPT !.says = says]
Tell(kind, t) == [kind |-> kind, txn |-> t]

Raise(latest, t) ==
    [latest EXCEPT ![Coordinator[t]] = IF @ < t THEN t ELSE @]

Smallest(S) == CHOOSE t \in S : \A o \in S : t <= o

-----------------------------------------------------------------------------
(* The coordinator: crates/commit/src/coordinator.rs                       *)

OnBegin(u, t) ==
    LET fresh == IF u.n.last > 0 THEN u
                 ELSE Persist([u EXCEPT !.n.epoch = @ + 1],
                              [kind |-> "Epoch", epoch |-> u.n.epoch + 1])
        voting == [fresh EXCEPT !.n.last = t, !.n.open[t] = Voting(t)]
        questions == {Message(u, "Prepare", t, p) : p \in Participants[t]}
    IN  IF u.n.prompt THEN SendNow(voting, questions) ELSE Promise(voting, questions)

\* What is not known to be committed is aborted: no record says so.
AbortIt(u, t, but) ==
    Promise([u EXCEPT !.n.open[t] = NotOpen],
            {Saying(u, "Decided", t, p, "Abort") : p \in Participants[t] \ but}
                \cup {Tell("FinishedAbort", t)})

\* Promises leave in their order.  So once all have said yes to the last question, the epoch is
\* durable, and no question is left behind that a later one could overtake.
CommitIt(u, t) ==
    LET written == Persist([u EXCEPT !.n.prompt = @ \/ t = u.n.last], [kind |-> "Committed", txn |-> t])
    IN  IF NonBlocking
        THEN Promise([written EXCEPT !.n.open[t] = Proposed], {Tell("ProposeCommit", t)})
        ELSE Promise([written EXCEPT !.n.open[t] = Committed(t)],
                     {Saying(u, "Decided", t, p, "Commit") : p \in Participants[t]}
                         \cup {Tell("FinishedCommit", t)})

OnVoted(u, m) ==
    LET t == m.txn
        open == u.n.open[t]
        rest == open.missing \ {m.from}
    IN  IF open.stage = "None"
        THEN IF m.says = "Yes" /\ t \notin u.n.ended
             THEN Promise(u, {Saying(u, "Decided", t, m.from, "Abort")})
             ELSE u
        ELSE IF open.stage = "Voting"
        THEN IF m.says = "No" THEN AbortIt(u, t, {m.from})
             ELSE IF rest = {} THEN CommitIt([u EXCEPT !.n.open[t].missing = {}], t)
             ELSE [u EXCEPT !.n.open[t].missing = rest]
        ELSE IF open.stage = "Committed"
        THEN Promise(u, {Saying(u, "Decided", t, m.from, "Commit")})
        ELSE u

OnAcknowledged(u, m) ==
    LET t == m.txn
        open == u.n.open[t]
        rest == open.missing \ {m.from}
        ended == u.n.ended \cup {t}
        over == IF Cardinality(ended) > Remembered THEN Smallest(ended) ELSE 0
        ending == [u EXCEPT !.n.open[t] = NotOpen, !.n.ended = ended \ {over},
                            !.n.forgotten = IF over > @ THEN over ELSE @]
    IN  IF open.stage = "None" THEN Promise(u, {Message(u, "Forget", t, m.from)})
        ELSE IF open.stage # "Committed" THEN u
        ELSE IF rest # {} THEN [u EXCEPT !.n.open[t].missing = rest]
        ELSE Promise(Persist(ending, [kind |-> "Ended", txn |-> t, forgets |-> over]),
                     {Message(u, "Forget", t, p) : p \in Participants[t]})

OnImpatience(u, t) ==
    IF u.n.open[t].stage = "Voting" THEN AbortIt(u, t, {})
                                    ELSE Promise(u, {Tell("ProposeCommit", t)})

\* Consensus has decided.
OnAgreed(u, t, what) ==
    IF u.n.open[t].stage # "Proposed" THEN u
    ELSE IF what = "Commit"
    THEN Promise([u EXCEPT !.n.open[t] = Committed(t)], {Tell("FinishedCommit", t)})
    ELSE AbortIt(Persist(u, [kind |-> "Abandoned", txn |-> t]), t, {})

-----------------------------------------------------------------------------
(* The participant: crates/commit/src/participant.rs                       *)

Instruction(t, what) == Tell(IF what = "Commit" THEN "Commit" ELSE "Abort", t)

\* A resource is told at once what was decided elsewhere: it is durable there, and an abort is presumed.
Instruct(u, t, what) == SendNow(u, {Instruction(t, what)})

IsSettled(n, t) == n.latest[Coordinator[t]] >= t

OnPrepare(u, m) ==
    IF u.n.joined[m.txn] # "None" THEN u
    ELSE IF IsSettled(u.n, m.txn)
    THEN Promise(u, {Saying(u, "Voted", m.txn, m.from, "No")})
    ELSE SendNow([u EXCEPT !.n.joined[m.txn] = "Preparing"], {Tell("Prepare", m.txn)})

\* Whoever has not voted yes gives up its right to, for good.
Refuse(u, t) ==
    IF IsSettled(u.n, t) THEN u
    ELSE Persist([u EXCEPT !.n.latest = Raise(@, t)], [kind |-> "Refused", txn |-> t])

OnPrepared(u, t, vote) ==
    LET is == u.n.joined[t]
        said == Saying(u, "Voted", t, Coordinator[t], vote)
        voted == Persist([u EXCEPT !.n.joined[t] = "Uncertain", !.n.latest = Raise(@, t)],
                         [kind |-> "Voted", txn |-> t])
    IN  IF is = "None"
        \* A crash took its vote, or it was told to abort before it had prepared.
        THEN IF vote = "Yes" THEN Promise(Refuse(u, t), {Tell("Abort", t)}) ELSE u
        ELSE IF is = "Preparing"
        THEN IF vote = "Yes" THEN Promise(voted, {said})
             ELSE Promise([u EXCEPT !.n.joined[t] = "None"], {said})
        ELSE IF is = "Uncertain" THEN u
        ELSE Instruct(u, t, IF is = "Abort" THEN "Abort" ELSE "Commit")

OnDecided(u, t, what) ==
    LET is == u.n.joined[t]
        decided == Persist([u EXCEPT !.n.joined[t] = what],
                           [kind |-> "Decided", txn |-> t, says |-> what])
    IN  IF is = "Uncertain" THEN Instruct(decided, t, what)
        ELSE IF is = "Preparing" /\ what = "Abort"
        THEN Instruct([u EXCEPT !.n.joined[t] = "None"], t, what)
        ELSE u

Forgetting(u, t) ==
    Persist([u EXCEPT !.n.joined[t] = "None"], [kind |-> "Forgotten", txn |-> t])

OnDone(u, t) ==
    CASE u.n.joined[t] \in {"Commit", "Done"} ->
            Promise([u EXCEPT !.n.joined[t] = "Done"],
                    {Message(u, "Acknowledged", t, Coordinator[t])})
      [] u.n.joined[t] = "Abort" -> Forgetting(u, t)
      [] OTHER -> u

OnForget(u, m) ==
    IF u.n.joined[m.txn] = "Done" THEN Forgetting(u, m.txn) ELSE u

OnInquire(u, m) ==
    LET t == m.txn
        is == u.n.joined[t]
        answer(v, what) == Promise(v, {Saying(u, "Answered", t, m.from, what)})
        stopped == Promise(Refuse([u EXCEPT !.n.joined[t] = "None"], t), {Tell("Abort", t)})
    IN  CASE is = "Uncertain" -> u
          [] is \in {"Commit", "Done"} -> answer(u, "Commit")
          [] is = "Abort" -> answer(u, "Abort")
          [] is = "Preparing" -> answer(stopped, "Abort")
          [] is = "None" -> answer(Refuse(u, t), "Abort")

\* Who waits asks.
OnWaiting(u, t) ==
    LET is == u.n.joined[t]
        vote == Saying(u, "Voted", t, Coordinator[t], "Yes")
        others == Participants[t] \ {u.self, Coordinator[t]}
    IN  CASE is = "Uncertain" ->
                Promise(u, {vote} \cup (IF NonBlocking THEN {Tell("ProposeAbort", t)}
                                        ELSE {Message(u, "Inquire", t, p) : p \in others}))
          [] is = "Done" -> Promise(u, {Message(u, "Acknowledged", t, Coordinator[t])})
          [] OTHER -> Instruct(u, t, is)

Handle(u, m) ==
    CASE m.kind = "Prepare"      -> OnPrepare(u, m)
      [] m.kind = "Voted"        -> OnVoted(u, m)
      [] m.kind = "Decided"      -> OnDecided(u, m.txn, m.says)
      [] m.kind = "Acknowledged" -> OnAcknowledged(u, m)
      [] m.kind = "Forget"       -> OnForget(u, m)
      [] m.kind = "Inquire"      -> OnInquire(u, m)
      [] m.kind = "Answered"     -> OnDecided(u, m.txn, m.says)

-----------------------------------------------------------------------------
(* The gate, and what it lets go.                                          *)

Vow(promises, messages, needs) ==
    LET last == Len(promises)
    IN  IF messages = {} THEN promises
        ELSE IF promises # <<>> /\ promises[last].needs = needs
        THEN [promises EXCEPT ![last].messages = @ \cup messages]
        ELSE Append(promises, [needs |-> needs, messages |-> messages])

Absorb(c, u) ==
    LET batches == IF u.records = <<>> THEN c.unsynced ELSE Append(c.unsynced, u.records)
    IN  [n |-> u.n, unsynced |-> batches,
         promised |-> Vow(Vow(c.promised, u.before, Len(c.unsynced)), u.after, Len(batches)),
         gone |-> c.gone \cup u.now]

RECURSIVE Release(_)
Release(c) ==
    IF c.promised = <<>> \/ Head(c.promised).needs > 0 THEN c
    ELSE Release([c EXCEPT !.promised = Tail(@), !.gone = @ \cup Head(c.promised).messages])

Core(s) == [n |-> node[s], unsynced |-> unsynced[s], promised |-> promised[s], gone |-> {}]

Kinds == {"Prepare", "Voted", "Decided", "Acknowledged", "Forget", "Inquire", "Answered"}
IsMessage(thing) == "to" \in DOMAIN thing

Instructed(r, what) == [r EXCEPT !.told = @ \cup {what}]

Heard(r, t, gone) ==
    LET anew == IF "Abort" \in r.told \/ r.voted = "No" THEN "None" ELSE r.voted
        asked == IF Tell("Prepare", t) \in gone
                 THEN [r EXCEPT !.asked = TRUE, !.voted = anew] ELSE r
        stopped == IF Tell("Abort", t) \in gone THEN Instructed(asked, "Abort") ELSE asked
    IN  IF Tell("Commit", t) \in gone THEN Instructed(stopped, "Commit") ELSE stopped

Agree(t, gone) ==
    IF agreed[t] # "None" THEN agreed[t]
    ELSE IF Tell("ProposeCommit", t) \in gone THEN "Commit"
    ELSE IF Tell("ProposeAbort", t) \in gone THEN "Abort"
    ELSE "None"

Finished(k, t, gone) ==
    [k EXCEPT !.told = @ \cup (IF Tell("FinishedCommit", t) \in gone THEN {"Commit"} ELSE {})
                         \cup (IF Tell("FinishedAbort", t) \in gone THEN {"Abort"} ELSE {})]

\* What s does to the others, beside what its step does to them (`r', `k').
Becomes(s, core, r, k) ==
    \E c \in {Release(core)} :
        /\ node' = [node EXCEPT ![s] = c.n]
        /\ unsynced' = [unsynced EXCEPT ![s] = c.unsynced]
        /\ promised' = [promised EXCEPT ![s] = c.promised]
        /\ net' = net \cup {m \in c.gone : IsMessage(m)}
        /\ resource' = [r EXCEPT ![s] = [t \in Txn |-> Heard(@[t], t, c.gone)]]
        /\ caller' = [t \in Txn |-> Finished(k[t], t, c.gone)]
        /\ agreed' = [t \in Txn |-> Agree(t, c.gone)]

Takes(s, u) == Becomes(s, Absorb(Core(s), u), resource, caller) /\ UNCHANGED disk

-----------------------------------------------------------------------------
(* The actions.                                                            *)

Init ==
    /\ disk = [s \in Node |-> EmptyDisk]
    /\ node = [s \in Node |-> Start(EmptyDisk)]
    /\ unsynced = [s \in Node |-> <<>>]
    /\ promised = [s \in Node |-> <<>>]
    /\ net = {}
    /\ resource = [s \in Node |-> [t \in Txn |->
                      [asked |-> FALSE, voted |-> "None", told |-> {}, done |-> FALSE]]]
    /\ caller = [t \in Txn |-> [asked |-> FALSE, told |-> {}]]
    /\ agreed = [t \in Txn |-> "None"]

Receive(m) == Up(m.to) /\ Takes(m.to, Handle(Turn(m.to, node[m.to]), m))

\* Identities of a coordinator grow.
Begin(t) ==
    LET s == Coordinator[t]
    IN  /\ Up(s) /\ ~caller[t].asked
        /\ \A o \in Txn : o < t /\ Coordinator[o] = s => caller[o].asked
        /\ Becomes(s, Absorb(Core(s), OnBegin(Turn(s, node[s]), t)), resource,
                   [caller EXCEPT ![t].asked = TRUE])
        /\ UNCHANGED disk

\* The resource votes whenever it was asked: anew if it was asked again of what it has undone or
\* refused.  It may say yes again of what it has not carried out: a crash may have come between its
\* being told and its doing it.
Vote(s, t, vote) ==
    /\ Up(s) /\ resource[s][t].asked
    /\ \/ resource[s][t].voted = "None" /\ "Commit" \notin resource[s][t].told
       \/ resource[s][t].voted = "Yes" /\ vote = "Yes" /\ ~resource[s][t].done
    /\ Becomes(s, Absorb(Core(s), OnPrepared(Turn(s, node[s]), t, vote)),
               [resource EXCEPT ![s][t].voted = vote], caller)
    /\ UNCHANGED disk

\* It has done what it was told; it says so again if it is told again.
Done(s, t) ==
    /\ Up(s) /\ resource[s][t].told # {}
    /\ resource[s][t].done => node[s].joined[t] \in {"Commit", "Abort"}
    /\ Becomes(s, Absorb(Core(s), OnDone(Turn(s, node[s]), t)),
               [resource EXCEPT ![s][t].done = TRUE], caller)
    /\ UNCHANGED disk

LosePatience(s, t) ==
    /\ Up(s) /\ node[s].open[t].stage \in {"Voting", "Proposed"}
    /\ Takes(s, OnImpatience(Turn(s, node[s]), t))

Wait(s, t) ==
    /\ Up(s) /\ node[s].joined[t] \notin {"None", "Preparing"}
    /\ Takes(s, OnWaiting(Turn(s, node[s]), t))

\* Consensus tells what it has decided.
Learn(s, t) ==
    /\ Up(s) /\ agreed[t] # "None"
    /\ Takes(s, OnDecided(OnAgreed(Turn(s, node[s]), t, agreed[t]), t, agreed[t]))

ApplyRecord(d, record) ==
    CASE record.kind = "Epoch" -> [d EXCEPT !.epoch = record.epoch]
      [] record.kind = "Committed" -> [d EXCEPT !.committed = @ \cup {record.txn}]
      [] record.kind = "Abandoned" -> [d EXCEPT !.committed = @ \ {record.txn}]
      [] record.kind = "Ended" ->
            [d EXCEPT !.committed = @ \ {record.txn},
                      !.ended = (@ \cup {record.txn}) \ {record.forgets},
                      !.forgotten = IF record.forgets > @ THEN record.forgets ELSE @]
      [] record.kind = "Voted" ->
            [d EXCEPT !.votes[record.txn] = "Uncertain", !.latest = Raise(@, record.txn)]
      [] record.kind = "Refused" -> [d EXCEPT !.latest = Raise(@, record.txn)]
      [] record.kind = "Decided" -> [d EXCEPT !.votes[record.txn] = record.says]
      [] record.kind = "Forgotten" -> [d EXCEPT !.votes[record.txn] = "None"]

RECURSIVE ApplyAll(_, _)
ApplyAll(d, records) ==
    IF records = <<>> THEN d ELSE ApplyAll(ApplyRecord(d, Head(records)), Tail(records))

Sync(s) ==
    /\ Up(s) /\ unsynced[s] # <<>>
    /\ disk' = [disk EXCEPT ![s] = ApplyAll(@, Head(unsynced[s]))]
    /\ Becomes(s, [Core(s) EXCEPT
            !.unsynced = Tail(@),
            !.promised = [i \in 1..Len(@) |->
                [@[i] EXCEPT !.needs = IF @ = 0 THEN 0 ELSE @ - 1]]], resource, caller)

Crash(s) ==
    /\ Up(s)
    /\ node' = [node EXCEPT ![s] = Down]
    /\ unsynced' = [unsynced EXCEPT ![s] = <<>>]
    /\ promised' = [promised EXCEPT ![s] = <<>>]
    /\ UNCHANGED <<disk, net, resource, caller, agreed>>

\* A node goes on where its disk says that it was.
Recover(s) ==
    LET n == Start(disk[s])
        decided == {t \in Txn : n.joined[t] \in {"Commit", "Abort"}}
        proposed == {t \in Txn : n.open[t].stage = "Proposed"}
    IN  /\ ~Up(s)
        /\ Becomes(s, Absorb([Core(s) EXCEPT !.n = n],
                             Promise(Turn(s, n), {Instruction(t, n.joined[t]) : t \in decided}
                                 \cup {Tell("ProposeCommit", t) : t \in proposed})),
                   resource, caller)
        /\ UNCHANGED disk

-----------------------------------------------------------------------------
(* What must hold.  The names are those of verification/model/src/commit.  *)

Told(t) == caller[t].told \cup UNION {resource[s][t].told : s \in Node}

\* AC1 and AC2: all who are told are told the same, callers too, and always.
AC1 == \A t \in Txn : Cardinality(Told(t)) <= 1

IsCommitted(t) ==
    "Commit" \in Told(t) \/ (~NonBlocking /\ \E s \in Node : t \in disk[s].committed)

\* Nothing commits without every vote.
AC3 == \A t \in Txn : IsCommitted(t) => \A p \in Participants[t] : resource[p][t].voted = "Yes"

\* Without a failure and a vote against, nothing aborts.
AC4 == \A t \in Txn : "Abort" \notin Told(t)

YesIsDurable ==
    \A t \in Txn : IsCommitted(t) => \A p \in Participants[t] :
        disk[p].votes[t] # "None" \/ (resource[p][t].done /\ resource[p][t].told = {"Commit"})

NoDiskDisagrees ==
    \A t \in Txn :
        LET votes == {disk[s].votes[t] : s \in Node} \cap {"Commit", "Abort"}
            known == \E s \in Node : t \in disk[s].ended \/ (~NonBlocking /\ t \in disk[s].committed)
        IN  Cardinality(votes \cup (IF known THEN {"Commit"} ELSE {})) <= 1

\* Disk and memory differ by the outstanding batches and by nothing else.
RECURSIVE AfterSyncs(_, _)
AfterSyncs(d, batches) ==
    IF batches = <<>> THEN d ELSE AfterSyncs(ApplyAll(d, Head(batches)), Tail(batches))

Vague(is) == IF is = "Preparing" THEN "None" ELSE IF is = "Done" THEN "Commit" ELSE is

DiskFollows ==
    \A s \in Node : Up(s) =>
        LET d == AfterSyncs(disk[s], unsynced[s])
            n == node[s]
        IN  /\ n.epoch = d.epoch /\ n.ended = d.ended /\ n.forgotten = d.forgotten
            /\ n.latest = d.latest
            /\ d.committed = {t \in Txn : n.open[t].stage \in {"Proposed", "Committed"}}
            /\ \A t \in Txn : Vague(n.joined[t]) = d.votes[t]

\* What a message claims of its sender's disk.
Backed(m, d) ==
    LET settled == d.latest[Coordinator[m.txn]] >= m.txn
        decided == \/ d.votes[m.txn] = m.says
                   \/ d.votes[m.txn] = "None" /\ settled
    IN  CASE m.kind = "Prepare" -> d.epoch > 0
          [] m.kind = "Voted" -> m.says = "Yes" => settled
          [] m.kind = "Inquire" -> settled
          [] m.kind = "Decided" ->
                IF m.says = "Commit"
                THEN m.txn \in d.committed \cup d.ended \/ m.txn <= d.forgotten
                ELSE m.txn \notin d.committed \cup d.ended
          [] m.kind = "Acknowledged" -> d.votes[m.txn] = "Commit" \/ (d.votes[m.txn] = "None" /\ settled)
          [] m.kind = "Forget" -> m.txn \notin d.committed
          [] m.kind = "Answered" -> decided

ReleasedIsBacked == \A m \in net : Backed(m, disk[m.from])

Stages == {"None", "Voting", "Proposed", "Committed"}
Phases == {"None", "Preparing", "Uncertain", "Commit", "Abort", "Done"}

TypeOK ==
    /\ \A s \in Node :
        /\ Up(s) => \A t \in Txn : /\ node[s].open[t].stage \in Stages
                                   /\ node[s].joined[t] \in Phases
        /\ \A i \in 1..Len(promised[s]) : promised[s][i].needs \in 1..Len(unsynced[s])
    /\ \A m \in net : m.kind \in Kinds /\ m.txn \in Txn /\ m.from \in Node /\ m.to \in Node

(* What a step may do.                                                     *)

NothingUndone ==
    [][\A s \in Node, t \in Txn :
        /\ disk[s].votes[t] \in {"Commit", "Abort"} =>
                disk'[s].votes[t] \in {disk[s].votes[t], "None"}
        /\ disk[s].votes[t] = "Uncertain" => disk'[s].votes[t] \in {"Uncertain", "Commit", "Abort"}
        /\ disk[s].latest[Coordinator[t]] <= disk'[s].latest[Coordinator[t]]]_vars

(* What happens in the end, if everything that can happen does.            *)

Uncertain(s, t) == disk[s].votes[t] = "Uncertain"
AC5 == \A s \in Node, t \in Txn : Uncertain(s, t) ~> ~Uncertain(s, t)
=============================================================================
