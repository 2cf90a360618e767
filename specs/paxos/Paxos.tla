------------------------------- MODULE Paxos -------------------------------
(***************************************************************************)
(* Single-decree Paxos as the machine of crates/paxos runs it: one of its  *)
(* decisions (they have nothing to do with each other), with proposals and *)
(* reads of clients.  Most specifications of Paxos let an acceptor promise *)
(* and speak in one step.  This one does not, because a real one cannot.   *)
(* It has the grain of the machine:                                        *)
(*                                                                         *)
(*   - one event (a message, a timer, a client's request) is one step;     *)
(*   - a step changes volatile state, and hands a batch of records to the  *)
(*     disk: the batch becomes durable later, by Sync, all or nothing;     *)
(*   - what a step wants to say is a promise to the network: it leaves     *)
(*     once every batch handed over before it is durable;                  *)
(*   - a crash loses volatile state, batches not yet durable and what has  *)
(*     not left yet;                                                       *)
(*   - a message to oneself is handled as soon as it is due, in the same   *)
(*     step: that is how a server learns that its own disk has something.  *)
(*                                                                         *)
(* The network is the set of all messages ever sent, and receiving removes *)
(* nothing.  So a message may be lost (never received), late, out of order *)
(* and duplicated without an action for any of these.                      *)
(*                                                                         *)
(* Timers carry no time: one that is armed may fire at any moment.  It is  *)
(* armed where something is attempted.                                     *)
(*                                                                         *)
(* Servers are numbers, as they are part of ballots, which are ordered.    *)
(* Each proposes its own number: what values are makes no difference.      *)
(*                                                                         *)
(* References: Lamport, "The Part-Time Parliament" (1998), "Paxos Made     *)
(* Simple" (2001).                                                         *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets

CONSTANTS
    Server,     \* the members
    Nil         \* nothing

ASSUME Server \subseteq Nat \ {0} /\ Nil \notin Nat

VARIABLES
    node,       \* volatile: the machine of each server, or Down
    disk,       \* durable: what each server knows of the decision
    unsynced,   \* per server, the batches of records on their way to the disk
    promised,   \* per server, what leaves when enough batches are durable
    net,        \* every message sent to another server
    voted,      \* ghost: per server, every proposal that its disk ever accepted
    answers     \* ghost: for each answered read, what it had to see and what it saw

vars == <<node, disk, unsynced, promised, net, voted, answers>>

-----------------------------------------------------------------------------
(* Small words.                                                            *)

Max(a, b) == IF a >= b THEN a ELSE b
IsQuorum(S) == 2 * Cardinality(S) > Cardinality(Server)

(* Ballots: a round and the server that proposes.  Lower is earlier.       *)
NoBallot == <<0, 0>>
Less(b, c) == b[1] < c[1] \/ (b[1] = c[1] /\ b[2] < c[2])
AtMost(b, c) == b = c \/ Less(b, c)

BallotOf(accepted) == IF accepted = Nil THEN NoBallot ELSE accepted.ballot

(* What a server knows of the decision, in memory and on disk.             *)
Open(ballot, accepted) == [kind |-> "Open", promised |-> ballot, accepted |-> accepted]
Decided(value) == [kind |-> "Decided", value |-> value]
IsDecided(known) == known.kind = "Decided"

\* A majority of disks has accepted the value under one ballot.
Chosen ==
    LET under(b) == {s \in Server : \E p \in voted[s] : p.ballot = b}
        proposals == UNION {voted[s] : s \in Server}
    IN  {p.value : p \in {q \in proposals : IsQuorum(under(q.ballot))}}

-----------------------------------------------------------------------------
(***************************************************************************)
(* The machine of one server: what it knows, and what it attempts.  An     *)
(* attempt has the value that it proposes if nothing is uncovered, who     *)
(* waits for it, and its phase.                                            *)
(***************************************************************************)
Start(durable) == [up |-> TRUE, known |-> durable, attempt |-> Nil]
Down == [up |-> FALSE]
Up(s) == node[s].up

Preparing(b) == [kind |-> "Preparing", ballot |-> b, promised |-> {}, uncovered |-> Nil]
Accepting(p) == [kind |-> "Accepting", proposal |-> p, accepted |-> {}]
SetBack(above) == [kind |-> "SetBack", above |-> above]

\* The ballot that an attempt uses, if any.
Uses(attempt) ==
    IF attempt = Nil THEN NoBallot
    ELSE CASE attempt.phase.kind = "Preparing" -> attempt.phase.ballot
           [] attempt.phase.kind = "Accepting" -> attempt.phase.proposal.ballot
           [] OTHER -> NoBallot

(* Who waits: for the decision; or for that or the word that there was     *)
(* none, which must be said by a phase 1 that began after the question.    *)
ForDecision == [wish |-> "Decision"]
ForAnswer(must) == [wish |-> "Answer", covered |-> FALSE, must |-> must]
Reads(waiting) == {w \in waiting : w.wish = "Answer"}
Covered(waiting) == {w \in Reads(waiting) : w.covered}

(***************************************************************************)
(* A turn is one event's handling in the making: the machine `n' of server *)
(* `self', the records to persist, and what to say.  What is said before   *)
(* the first record of its turn does not wait for the turn's batch.        *)
(***************************************************************************)
Turn(s, n) ==
    [self |-> s, n |-> n, records |-> <<>>, before |-> {}, after |-> {}, said |-> {}]

Persist(t, record) == [t EXCEPT !.records = Append(@, record)]

Send(t, messages) ==
    IF t.records = <<>> THEN [t EXCEPT !.before = @ \cup messages]
                        ELSE [t EXCEPT !.after  = @ \cup messages]

Peers(t) == Server \ {t.self}

Answer(t, reads, saw) ==
    [t EXCEPT !.said = @ \cup {[must |-> w.must, saw |-> saw] : w \in reads}]

Prepare(t, p, b) == [kind |-> "Prepare", from |-> t.self, to |-> p, ballot |-> b]
Promised(t, p, b, a) ==
    [kind |-> "Promised", from |-> t.self, to |-> p, ballot |-> b, accepted |-> a]
Accept(t, p, proposal) ==
    [kind |-> "Accept", from |-> t.self, to |-> p,
     ballot |-> proposal.ballot, value |-> proposal.value]
Accepted(t, p, b) == [kind |-> "Accepted", from |-> t.self, to |-> p, ballot |-> b]
Refused(t, p, b, higher) ==
    [kind |-> "Refused", from |-> t.self, to |-> p, ballot |-> b, promised |-> higher]
Tell(t, p, v) == [kind |-> "Decided", from |-> t.self, to |-> p, value |-> v]

-----------------------------------------------------------------------------
(* Learners: crates/paxos/src/learner.rs                                   *)

\* Whoever waits is answered, and the decision remembered.  Nothing waits for the record.
Learn(t, value) ==
    IF IsDecided(t.n.known) THEN t
    ELSE LET reads == IF t.n.attempt = Nil THEN {} ELSE Reads(t.n.attempt.waiting)
             told == Answer(t, reads, value)
         IN  Persist([told EXCEPT !.n.known = Decided(value), !.n.attempt = Nil],
                     [kind |-> "Decided", value |-> value])

-----------------------------------------------------------------------------
(* Proposers: crates/paxos/src/proposer.rs                                 *)

\* Phase 1a: a new ballot, durable as the server's own promise before it is used.
Begin(t, attempt) ==
    LET above == IF attempt.phase.kind = "SetBack" THEN attempt.phase.above ELSE 0
        b == <<Max(above, t.n.known.promised[1]) + 1, t.self>>
        cover(w) == IF w.wish = "Answer" THEN [w EXCEPT !.covered = TRUE] ELSE w
        begun == [attempt EXCEPT !.phase = Preparing(b), !.waiting = {cover(w) : w \in @}]
        record == [kind |-> "Promised", ballot |-> b]
        began == [t EXCEPT !.n.attempt = begun, !.n.known.promised = b]
    IN  Send(Persist(began, record),
             {Prepare(t, p, b) : p \in Peers(t)}
                \cup {Promised(t, t.self, b, t.n.known.accepted)})

\* Phase 2a: what phase 1 has uncovered, or the attempt's own value.  The proposal says
\* nothing of this disk but that it has the ballot, and leaves before the own acceptance.
Propose(t, proposal) ==
    LET b == proposal.ballot
        proposing == Send([t EXCEPT !.n.attempt.phase = Accepting(proposal)],
                          {Accept(t, p, proposal) : p \in Peers(t)})
        record == [kind |-> "Accepted", proposal |-> proposal]
        accepting == Persist([proposing EXCEPT !.n.known.accepted = proposal], record)
    IN  Send(accepting, {Accepted(t, t.self, b)})

\* A majority has promised.
Conclude(t, b, uncovered) ==
    LET waiting == t.n.attempt.waiting
        own == t.n.attempt.value
        \* If nothing is uncovered, nothing was decided when phase 1 began.
        left == IF uncovered = Nil THEN waiting \ Covered(waiting) ELSE waiting
        told == IF uncovered = Nil THEN Answer(t, Covered(waiting), Nil) ELSE t
        u == [told EXCEPT !.n.attempt.waiting = left]
    IN  IF uncovered # Nil THEN Propose(u, [ballot |-> b, value |-> uncovered.value])
        ELSE IF own # Nil THEN Propose(u, [ballot |-> b, value |-> own])
        ELSE IF left = {} THEN [u EXCEPT !.n.attempt = Nil]
        ELSE Begin(u, u.n.attempt)      \* somebody asked meanwhile

OnPromised(t, m) ==
    LET phase == t.n.attempt.phase
        higher == m.accepted # Nil /\ Less(BallotOf(phase.uncovered), m.accepted.ballot)
        now == [phase EXCEPT !.promised = @ \cup {m.from},
                             !.uncovered = IF higher THEN m.accepted ELSE @]
    IN  IF t.n.attempt = Nil THEN t
        ELSE IF phase.kind # "Preparing" THEN t
        ELSE IF phase.ballot # m.ballot THEN t
        ELSE IF IsQuorum(now.promised) THEN Conclude(t, m.ballot, now.uncovered)
        ELSE [t EXCEPT !.n.attempt.phase = now]

OnAccepted(t, m) ==
    LET phase == t.n.attempt.phase
        now == [phase EXCEPT !.accepted = @ \cup {m.from}]
        value == phase.proposal.value
    IN  IF t.n.attempt = Nil THEN t
        ELSE IF phase.kind # "Accepting" THEN t
        ELSE IF phase.proposal.ballot # m.ballot THEN t
        ELSE IF IsQuorum(now.accepted)
             THEN Learn(Send(t, {Tell(t, p, value) : p \in Peers(t)}), value)
             ELSE [t EXCEPT !.n.attempt.phase = now]

\* Somebody has promised a higher ballot.
OnRefused(t, m) ==
    IF Uses(t.n.attempt) = m.ballot
    THEN [t EXCEPT !.n.attempt.phase = SetBack(m.promised[1])]
    ELSE t

\* The server's own acceptor has.
GiveWay(t, b) ==
    LET own == Uses(t.n.attempt)
    IN  IF own # NoBallot /\ Less(own, b)
        THEN [t EXCEPT !.n.attempt.phase = SetBack(0)]
        ELSE t

\* Says again what may be lost, or tries a higher ballot.
OnRetry(t) ==
    LET phase == t.n.attempt.phase
    IN  CASE phase.kind = "SetBack" -> Begin(t, t.n.attempt)
          [] phase.kind = "Preparing" ->
                Send(t, {Prepare(t, p, phase.ballot) : p \in Peers(t) \ phase.promised})
          [] phase.kind = "Accepting" ->
                Send(t, {Accept(t, p, phase.proposal) : p \in Peers(t) \ phase.accepted})

OnRequest(t, value, waits) ==
    IF IsDecided(t.n.known) THEN Answer(t, Reads({waits}), t.n.known.value)
    ELSE IF t.n.attempt = Nil
    THEN Begin(t, [value |-> value, waiting |-> {waits}, phase |-> SetBack(0)])
    ELSE [t EXCEPT !.n.attempt.waiting = @ \cup {waits},
                   !.n.attempt.value = IF @ = Nil THEN value ELSE @]

-----------------------------------------------------------------------------
(* Acceptors: crates/paxos/src/acceptor.rs                                 *)

Promises(t, m) ==
    LET accepted == t.n.known.accepted
        later == Less(t.n.known.promised, m.ballot)
        promising == Persist([t EXCEPT !.n.known.promised = m.ballot],
                             [kind |-> "Promised", ballot |-> m.ballot])
        u == IF later THEN promising ELSE t
    IN  GiveWay(Send(u, {Promised(t, m.from, m.ballot, accepted)}), m.ballot)

\* To accept is to promise as well.
Raise(known, b) == [known EXCEPT !.promised = b]

Accepts(t, m) ==
    LET proposal == [ballot |-> m.ballot, value |-> m.value]
        accepting == Persist([t EXCEPT !.n.known = [Raise(@, m.ballot) EXCEPT !.accepted = proposal]],
                             [kind |-> "Accepted", proposal |-> proposal])
        u == IF BallotOf(t.n.known.accepted) # m.ballot THEN accepting ELSE t
    IN  GiveWay(Send(u, {Accepted(t, m.from, m.ballot)}), m.ballot)

OnAsked(t, m) ==
    LET known == t.n.known
    IN  IF IsDecided(known) THEN Send(t, {Tell(t, m.from, known.value)})
        ELSE IF Less(m.ballot, known.promised)
        THEN Send(t, {Refused(t, m.from, m.ballot, known.promised)})
        ELSE IF m.kind = "Prepare" THEN Promises(t, m) ELSE Accepts(t, m)

Handle(t, m) ==
    CASE m.kind \in {"Prepare", "Accept"} -> OnAsked(t, m)
      [] m.kind = "Promised" -> OnPromised(t, m)
      [] m.kind = "Accepted" -> OnAccepted(t, m)
      [] m.kind = "Refused" -> OnRefused(t, m)
      [] m.kind = "Decided" -> Learn(t, m.value)

-----------------------------------------------------------------------------
(***************************************************************************)
(* The gate: what is said waits for the batches before it.  What waits for *)
(* the same number of batches leaves together.                             *)
(***************************************************************************)
Vow(promises, messages, needs) ==
    LET last == Len(promises)
    IN  IF messages = {} THEN promises
        ELSE IF promises # <<>> /\ promises[last].needs = needs
        THEN [promises EXCEPT ![last].messages = @ \cup messages]
        ELSE Append(promises, [needs |-> needs, messages |-> messages])

Absorb(c, t) ==
    LET batches == IF t.records = <<>> THEN c.unsynced ELSE Append(c.unsynced, t.records)
    IN  [n |-> t.n, unsynced |-> batches,
         promised |-> Vow(Vow(c.promised, t.before, Len(c.unsynced)), t.after, Len(batches)),
         sent |-> c.sent, said |-> c.said \cup t.said]

\* Releases what is due, in order, and handles what the server told itself:
\* one message at most in one promise, as such a message comes with a batch.
RECURSIVE Release(_, _)
Release(s, c) ==
    LET first == Head(c.promised)
        own == {m \in first.messages : m.to = s}
        rest == [c EXCEPT !.promised = Tail(@), !.sent = @ \cup (first.messages \ own)]
    IN  IF c.promised = <<>> \/ first.needs > 0 THEN c
        ELSE IF own = {} THEN Release(s, rest)
        ELSE Release(s, Absorb(rest, Handle(Turn(s, rest.n), CHOOSE m \in own : TRUE)))

Core(s) ==
    [n |-> node[s], unsynced |-> unsynced[s], promised |-> promised[s], sent |-> {}, said |-> {}]

\* Server s becomes what is left of c after everything due has left.  (Bound by
\* \E rather than LET, which TLC would evaluate anew at each use in an action.)
Becomes(s, c) ==
    \E r \in {Release(s, c)} :
        /\ node' = [node EXCEPT ![s] = r.n]
        /\ unsynced' = [unsynced EXCEPT ![s] = r.unsynced]
        /\ promised' = [promised EXCEPT ![s] = r.promised]
        /\ net' = net \cup r.sent
        /\ answers' = answers \cup r.said

Takes(s, turn) == Becomes(s, Absorb(Core(s), turn)) /\ UNCHANGED <<disk, voted>>

-----------------------------------------------------------------------------
(* The actions.                                                            *)

Init ==
    /\ disk = [s \in Server |-> Open(NoBallot, Nil)]
    /\ node = [s \in Server |-> Start(disk[s])]
    /\ unsynced = [s \in Server |-> <<>>]
    /\ promised = [s \in Server |-> <<>>]
    /\ net = {}
    /\ voted = [s \in Server |-> {}]
    /\ answers = {}

Receive(m) == Up(m.to) /\ Takes(m.to, Handle(Turn(m.to, node[m.to]), m))

ClientProposes(s) == Up(s) /\ Takes(s, OnRequest(Turn(s, node[s]), s, ForDecision))

ClientReads(s) == Up(s) /\ Takes(s, OnRequest(Turn(s, node[s]), Nil, ForAnswer(Chosen)))

Retry(s) == Up(s) /\ node[s].attempt # Nil /\ Takes(s, OnRetry(Turn(s, node[s])))

ApplyRecord(d, record) ==
    IF record.kind = "Decided" THEN Decided(record.value)
    ELSE IF IsDecided(d) THEN d
    ELSE IF record.kind = "Promised" THEN [d EXCEPT !.promised = record.ballot]
    ELSE [Raise(d, record.proposal.ballot) EXCEPT !.accepted = record.proposal]

RECURSIVE ApplyAll(_, _)
ApplyAll(d, records) ==
    IF records = <<>> THEN d ELSE ApplyAll(ApplyRecord(d, Head(records)), Tail(records))

Proposals(records) ==
    {records[i].proposal : i \in {j \in DOMAIN records : records[j].kind = "Accepted"}}

\* The oldest batch becomes durable; a write of several is several of these.
Sync(s) ==
    /\ Up(s)
    /\ unsynced[s] # <<>>
    /\ disk' = [disk EXCEPT ![s] = ApplyAll(@, Head(unsynced[s]))]
    /\ voted' = [voted EXCEPT ![s] = @ \cup Proposals(Head(unsynced[s]))]
    /\ Becomes(s, [Core(s) EXCEPT
            !.unsynced = Tail(@),
            !.promised = [i \in 1..Len(@) |-> [@[i] EXCEPT !.needs = Max(@ - 1, 0)]]])

Crash(s) ==
    /\ Up(s)
    /\ node' = [node EXCEPT ![s] = Down]
    /\ unsynced' = [unsynced EXCEPT ![s] = <<>>]
    /\ promised' = [promised EXCEPT ![s] = <<>>]
    /\ UNCHANGED <<disk, net, voted, answers>>

Recover(s) ==
    /\ ~Up(s)
    /\ node' = [node EXCEPT ![s] = Start(disk[s])]
    /\ UNCHANGED <<disk, unsynced, promised, net, voted, answers>>

Next ==
    \/ \E m \in net : Receive(m)
    \/ \E s \in Server :
        \/ ClientProposes(s) \/ ClientReads(s) \/ Retry(s)
        \/ Sync(s) \/ Crash(s) \/ Recover(s)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* What must hold.  The names are those of crates/paxos/src/invariants.rs. *)

Alive == {s \in Server : Up(s)}

IsBallot(b) == b[1] \in Nat /\ b[2] \in Server \cup {0}
IsKnown(k) ==
    IF IsDecided(k) THEN k.value \in Server
    ELSE IsBallot(k.promised) /\ IsBallot(BallotOf(k.accepted))

TypeOK ==
    /\ \A s \in Server :
        /\ IsKnown(disk[s])
        /\ Up(s) => IsKnown(node[s].known)
        /\ \A i \in 1..Len(promised[s]) : promised[s][i].needs \in 1..Len(unsynced[s])
    /\ \A m \in net : m.from \in Server /\ m.to \in Server \ {m.from}

\* What one server's own state must satisfy.
NodeIsSound ==
    \A s \in Alive :
        LET n == node[s]
        IN  /\ ~IsDecided(n.known) => AtMost(BallotOf(n.known.accepted), n.known.promised)
            /\ n.attempt # Nil =>
                /\ ~IsDecided(n.known)
                /\ n.attempt.waiting # {} \/ n.attempt.value # Nil
                /\ Uses(n.attempt) # NoBallot =>
                    Uses(n.attempt) = n.known.promised /\ Uses(n.attempt)[2] = s
                /\ n.attempt.phase.kind = "Accepting" =>
                    n.known.accepted = n.attempt.phase.proposal

\* Memory runs ahead of the disk by the batches on their way, and no further.
RECURSIVE ApplyBatches(_, _)
ApplyBatches(d, batches) ==
    IF batches = <<>> THEN d ELSE ApplyBatches(ApplyAll(d, Head(batches)), Tail(batches))
DiskFollows == \A s \in Alive : node[s].known = ApplyBatches(disk[s], unsynced[s])

\* At most one value is chosen.
Agreement == Cardinality(Chosen) <= 1

\* What any server believes to be decided, or tells, is chosen: on a majority of disks.
DecidedIsChosen ==
    /\ \A s \in Alive : IsDecided(node[s].known) => node[s].known.value \in Chosen
    /\ \A s \in Server : IsDecided(disk[s]) => disk[s].value \in Chosen
    /\ \A m \in net : m.kind = "Decided" => m.value \in Chosen

\* No two proposals share a ballot.
OneValuePerBallot ==
    LET sent == {[ballot |-> m.ballot, value |-> m.value] : m \in {x \in net : x.kind = "Accept"}}
        all == sent \cup UNION {voted[s] : s \in Server}
    IN  \A p, q \in all : p.ballot = q.ballot => p.value = q.value

\* What a message claims of its sender's disk.
Backed(m, d) ==
    IF IsDecided(d) \/ m.kind = "Decided" THEN TRUE
    ELSE CASE m.kind \in {"Prepare", "Accept"} -> AtMost(m.ballot, d.promised)
           [] m.kind = "Promised" ->
                /\ AtMost(m.ballot, d.promised)
                /\ AtMost(m.ballot, BallotOf(d.accepted)) \/ d.accepted = m.accepted
           [] m.kind = "Accepted" -> AtMost(m.ballot, BallotOf(d.accepted))
           [] m.kind = "Refused" -> AtMost(m.promised, d.promised)

ReleasedIsBacked == \A m \in net : Backed(m, disk[m.from])

\* A read sees what was chosen when it was asked.
ReadsAreLinearizable == \A a \in answers : a.must # {} => a.saw \in a.must

(* What a step may do.                                                     *)

\* From one state of an instance to another.
Grows(a, b) ==
    IF IsDecided(a) THEN b = a
    ELSE IF IsDecided(b) THEN TRUE
    ELSE /\ AtMost(a.promised, b.promised)
         /\ \/ a.accepted = b.accepted
            \/ /\ Less(BallotOf(a.accepted), BallotOf(b.accepted))
               /\ AtMost(a.promised, BallotOf(b.accepted))

PromisesStand ==
    [][\A s \in Server :
        /\ Grows(disk[s], disk'[s])
        /\ Up(s) /\ node'[s].up => Grows(node[s].known, node'[s].known)]_vars

ChosenStays == [][Chosen \subseteq Chosen']_vars
=============================================================================
