------------------------------ MODULE Broadcast ------------------------------
(***************************************************************************)
(* Reliable causal broadcast as the machine of crates/broadcast runs it:   *)
(* the vector-clock delivery of Birman, Schiper and Stephenson (1991) for  *)
(* processes that crash and come back with their disks (Cachin, Guerraoui  *)
(* and Rodrigues 2011, section 3.9).  It has the grain of the machine:     *)
(*                                                                         *)
(*   - one event (a message, a timer, a command) is one step;              *)
(*   - a step changes volatile state, and hands a record to the disk,      *)
(*     which has it later, by Sync;                                        *)
(*   - what a step wants to say, to others or to its application, is a     *)
(*     promise: it leaves once every record handed over before is durable; *)
(*   - a crash loses volatile state, records that are not durable and      *)
(*     promises that are not due.                                          *)
(*                                                                         *)
(* The network is the set of all messages ever sent, and receiving removes *)
(* nothing.  So a message may be lost (never received), late, out of order *)
(* and duplicated without an action for any of these.                      *)
(*                                                                         *)
(* Timers carry no time.  Flush is armed when there is something to say,   *)
(* Repair always.                                                          *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets

CONSTANTS
    N,                  \* the members are 1..N
    BatchMessages,      \* messages in a batch, at most
    WindowMessages      \* own messages that somebody lacks or that are not consumed, at most

ASSUME N > 0 /\ BatchMessages > 0 /\ WindowMessages >= BatchMessages

Member == 1..N

VARIABLES
    node,       \* volatile: the machine of each member, or Down
    disk,       \* durable: the ledger of each member
    unsynced,   \* per member, the records on their way to the disk
    promised,   \* per member, what leaves when enough records are durable
    net,        \* every message ever sent
    told,       \* ghost: what each application was told, with positions
    asked       \* ghost: per application, for each of its broadcasts, what it had been told before

vars == <<node, disk, unsynced, promised, net, told, asked>>

-----------------------------------------------------------------------------
(* Clocks, batches.  A clock is total here; an absent member counts zero.  *)

Zero == [p \in Member |-> 0]
Max(a, b) == IF a >= b THEN a ELSE b
Min(a, b) == IF a <= b THEN a ELSE b
Merge(c, d) == [p \in Member |-> Max(c[p], d[p])]
Covers(c, d) == \A p \in Member : c[p] >= d[p]
Least(S) == CHOOSE x \in S : \A y \in S : x <= y

\* The number of a batch's last message.
Last(b) == b.first + Len(b.payloads) - 1

RECURSIVE Size(_)
Size(batches) ==
    IF batches = <<>> THEN 0 ELSE Len(Head(batches).payloads) + Size(Tail(batches))

-----------------------------------------------------------------------------
(***************************************************************************)
(* The ledger: crates/broadcast/src/ledger.rs.  What decides about delivery *)
(* is Take alone, so the disk, which takes the same batches in the same    *)
(* order, has the same deliveries at the same positions.                   *)
(***************************************************************************)
EmptyLedger ==
    [holds |-> Zero, delivered |-> Zero, consumed |-> Zero, floor |-> Zero,
     kept |-> [p \in Member |-> <<>>],      \* batches, by sender
     pending |-> [p \in Member |-> 0],      \* how many of them are not delivered: the last
     causes |-> [p \in Member |-> Zero],    \* of the last delivered batch
     position |-> 0,
     unconsumed |-> <<>>]                   \* delivered, with positions

Candidate(l, p) == l.kept[p][Len(l.kept[p]) - l.pending[p] + 1]
Deliverable(l, b) == Covers(l.delivered, b.after)
Ready(l) == {p \in Member : l.pending[p] > 0 /\ Deliverable(l, Candidate(l, p))}

Deliver(l, p) ==
    LET b == Candidate(l, p)
        causes == Merge(l.causes[p], b.after)
    IN  [l EXCEPT !.pending[p] = @ - 1, !.causes[p] = causes, !.delivered[p] = Last(b),
                  !.position = @ + Len(b.payloads),
                  !.unconsumed = Append(@, [position |-> l.position + 1, batch |-> b,
                                            clock |-> [causes EXCEPT ![p] = b.first]])]

RECURSIVE Settle(_)
Settle(l) == IF Ready(l) = {} THEN l ELSE Settle(Deliver(l, Least(Ready(l))))

Next_(l, b) == b.first = l.holds[b.sender] + 1

Take(l, b) ==
    IF ~Next_(l, b) THEN l
    ELSE Settle([l EXCEPT !.kept[b.sender] = Append(@, b), !.pending[b.sender] = @ + 1,
                          !.holds[b.sender] = Last(b)])

RECURSIVE ForgetUpTo(_, _)
ForgetUpTo(batches, number) ==
    IF batches = <<>> \/ Last(Head(batches)) > number THEN batches
    ELSE ForgetUpTo(Tail(batches), number)

Forget(l) ==
    [l EXCEPT !.kept = [p \in Member |-> ForgetUpTo(@[p], Min(l.floor[p], l.consumed[p]))]]

Collect(l, floor) == Forget([l EXCEPT !.floor = Merge(@, floor)])

RECURSIVE Consume_(_, _)
Consume_(l, position) ==
    IF l.unconsumed = <<>> THEN l
    ELSE LET d == Head(l.unconsumed)
         IN  IF d.position + Len(d.batch.payloads) - 1 > position THEN l
             ELSE Consume_([l EXCEPT !.unconsumed = Tail(@),
                                     !.consumed[d.batch.sender] = Last(d.batch)], position)
Consume(l, position) == Forget(Consume_(l, position))

ConsumedPosition(l) ==
    IF l.unconsumed = <<>> THEN l.position ELSE Head(l.unconsumed).position - 1

RECURSIVE TakeAll(_, _)
TakeAll(l, batches) == IF batches = <<>> THEN l ELSE TakeAll(Take(l, Head(batches)), Tail(batches))

ApplyRecord(l, r) == Consume(Collect(TakeAll(l, r.batches), r.floor), r.consumed)

Kept(l, p) == Size(l.kept[p])

-----------------------------------------------------------------------------
(* The machine of one member: a record.                                    *)

Start(ledger) ==
    [up |-> TRUE, ledger |-> ledger,
     rows |-> [p \in Member |-> Zero],  \* what each other is known to have on its disk
     outbox |-> <<>>,                   \* what the next Flush broadcasts
     untold |-> FALSE,                  \* whether something was taken since all were told
     asking |-> FALSE,                  \* whether an answer to an Ask is awaited
     unrecorded |-> FALSE]              \* whether floor or consumed grew since the last record

Down == [up |-> FALSE]
Up(s) == node[s].up

(***************************************************************************)
(* A turn is one event's handling in the making: the machine `n' of member *)
(* `self', the record to persist (one at most), and what to say.  What is  *)
(* said before the record does not wait for it.                            *)
(***************************************************************************)
Turn(s) ==
    [self |-> s, n |-> node[s], records |-> <<>>, before |-> {}, after |-> {}, tells |-> {}]

Promise(t, messages) ==
    IF t.records = <<>> THEN [t EXCEPT !.before = @ \cup messages]
                        ELSE [t EXCEPT !.after  = @ \cup messages]

\* Deliveries are told after the record of what was taken.
Tell(t, position) ==
    LET news == {i \in 1..Len(t.n.ledger.unconsumed) :
                    t.n.ledger.unconsumed[i].position > position}
    IN  [t EXCEPT !.tells = @ \cup {t.n.ledger.unconsumed[i] : i \in news}]

Record(t, batches) ==
    [t EXCEPT !.n.unrecorded = FALSE,
              !.records = Append(@, [batches |-> batches, floor |-> t.n.ledger.floor,
                                     consumed |-> ConsumedPosition(t.n.ledger)])]

Peers(t) == Member \ {t.self}

Message(t, kind, to, batches) ==
    [kind |-> kind, from |-> t.self, to |-> to, holds |-> t.n.ledger.holds, batches |-> batches]

\* What all others are known to have, and this member has.
Floor(t) ==
    LET l == t.n.ledger
    IN  [p \in Member |-> Least({l.holds[p]} \cup {t.n.rows[q][p] : q \in Peers(t)})]

CollectHeld(t) ==
    IF Covers(t.n.ledger.floor, Floor(t)) THEN t
    ELSE [t EXCEPT !.n.ledger = Collect(@, Floor(t)), !.n.unrecorded = TRUE]

Learn(t, m) == CollectHeld([t EXCEPT !.n.rows[m.from] = Merge(@, m.holds)])

-----------------------------------------------------------------------------
(* Spreading: crates/broadcast/src/spread.rs                               *)

HoldMessages == 2 * WindowMessages
Fits(l, b) == Kept(l, b.sender) = 0 \/ Kept(l, b.sender) + Len(b.payloads) <= HoldMessages
HasRoom(l, p) == Kept(l, p) = 0 \/ Kept(l, p) + BatchMessages <= HoldMessages

\* The batches that are taken, one after the other, of those that came.
RECURSIVE Taken(_, _, _)
Taken(self, l, batches) ==
    IF batches = <<>> THEN <<>>
    ELSE LET b == Head(batches)
             takes == b.sender # self /\ Next_(l, b) /\ Fits(l, b)
         IN  IF takes THEN <<b>> \o Taken(self, Take(l, b), Tail(batches))
                      ELSE Taken(self, l, Tail(batches))

TakeIn(t, batches) ==
    LET taken == Taken(t.self, t.n.ledger, batches)
        u == CollectHeld([t EXCEPT !.n.ledger = TakeAll(@, taken), !.n.untold = TRUE])
    IN  IF taken = <<>> THEN t ELSE Tell(Record(u, taken), t.n.ledger.position)

Ask(t, whom) ==
    IF t.n.asking THEN t
    ELSE Promise([t EXCEPT !.n.asking = TRUE], {Message(t, "Ask", whom, <<>>)})

OnUpdate(t, m) ==
    LET u == TakeIn(t, m.batches)
        l == u.n.ledger
    IN  IF m.holds[m.from] > l.holds[m.from] /\ HasRoom(l, m.from) THEN Ask(u, m.from) ELSE u

Accepts(n, s) == Kept(n.ledger, s) + Len(n.outbox) + 1 <= WindowMessages

\* What is delivered of others since the last own batch.
CausesNow(l, s) ==
    [p \in Member |->
        IF p = s \/ l.delivered[p] <= l.causes[s][p] THEN 0 ELSE l.delivered[p]]

Cut(t) ==
    LET l == t.n.ledger
        count == Min(Len(t.n.outbox), BatchMessages)
        batch == [sender |-> t.self, first |-> l.holds[t.self] + 1,
                  after |-> CausesNow(l, t.self), payloads |-> SubSeq(t.n.outbox, 1, count)]
        u == [t EXCEPT !.n.ledger = Take(l, batch),
                       !.n.outbox = SubSeq(@, count + 1, Len(@))]
    IN  IF count = 0 THEN [t |-> t, news |-> <<>>]
        ELSE [t |-> CollectHeld(Tell(Record(u, <<batch>>), l.position)), news |-> <<batch>>]

OnFlush(t) ==
    LET cut == Cut(t)
        u == [cut.t EXCEPT !.n.untold = FALSE]
    IN  IF cut.news = <<>> /\ ~t.n.untold THEN t
        ELSE Promise(u, {Message(u, "Update", p, cut.news) : p \in Peers(u)})

-----------------------------------------------------------------------------
(* Repair: crates/broadcast/src/repair.rs                                  *)

Lacks(l, holds) == \E p \in Member : holds[p] > l.holds[p] /\ HasRoom(l, p)

OnOffer(t, m) ==
    IF Lacks(t.n.ledger, m.holds) THEN Ask(t, m.from)
    ELSE Promise(t, {Message(t, "Update", m.from, <<>>)})

\* A batch of each sender, then another of each, up to what a message carries.
RECURSIVE Rounds(_, _, _)
Rounds(wanted, i, sofar) ==
    LET has == {p \in Member : Len(wanted[p]) >= i}
        RECURSIVE Row(_)
        Row(p) == IF p > N THEN <<>>
                  ELSE (IF p \in has THEN <<wanted[p][i]>> ELSE <<>>) \o Row(p + 1)
        all == sofar \o Row(1)
    IN  IF has = {} \/ Size(all) >= BatchMessages THEN all ELSE Rounds(wanted, i + 1, all)

Supply(l, holds) ==
    LET wanted(p) == SelectSeq(l.kept[p], LAMBDA b : b.first > holds[p])
    IN  Rounds([p \in Member |-> wanted(p)], 1, <<>>)

OnAsk(t, m) ==
    LET batches == Supply(t.n.ledger, m.holds)
    IN  IF batches = <<>> THEN t ELSE Promise(t, {Message(t, "Supply", m.from, batches)})

OnSupply(t, m) ==
    LET u == TakeIn([t EXCEPT !.n.asking = FALSE], m.batches)
        any == u.n.ledger.holds # t.n.ledger.holds
    IN  IF any /\ Lacks(u.n.ledger, m.holds) THEN Ask(u, m.from) ELSE u

OnRepair(t) ==
    LET u == [t EXCEPT !.n.asking = FALSE]
        v == IF u.n.unrecorded THEN Record(u, <<>>) ELSE u
        behind == {p \in Peers(t) : ~Covers(t.n.rows[p], t.n.ledger.holds)}
    IN  Promise(v, {Message(v, "Offer", p, <<>>) : p \in behind})

Handle(t, m) ==
    LET u == Learn(t, m)
    IN  CASE m.kind = "Update" -> OnUpdate(u, m)
          [] m.kind = "Offer"  -> OnOffer(u, m)
          [] m.kind = "Ask"    -> OnAsk(u, m)
          [] m.kind = "Supply" -> OnSupply(u, m)

-----------------------------------------------------------------------------
(***************************************************************************)
(* The gate: the only place that knows "persist before send".  Promises    *)
(* that need the same number of records leave together, so they are one.   *)
(***************************************************************************)
Vow(promises, messages, tells, needs) ==
    LET last == Len(promises)
    IN  IF messages = {} /\ tells = {} THEN promises
        ELSE IF promises # <<>> /\ promises[last].needs = needs
        THEN [promises EXCEPT ![last].messages = @ \cup messages, ![last].tells = @ \cup tells]
        ELSE Append(promises, [needs |-> needs, messages |-> messages, tells |-> tells])

\* What a delivery tells: its messages, each with its position.
Told(d) ==
    {[position |-> d.position + i - 1, sender |-> d.batch.sender,
      number |-> d.batch.first + i - 1, payload |-> d.batch.payloads[i]] :
        i \in 1..Len(d.batch.payloads)}

Due(promises) == {i \in 1..Len(promises) : promises[i].needs = 0}

\* Member s becomes n, with these records and promises outstanding, after everything due has left.
Becomes(s, n, records, promises) ==
    LET due == Due(promises)
    IN  /\ node' = [node EXCEPT ![s] = n]
        /\ unsynced' = [unsynced EXCEPT ![s] = records]
        /\ promised' = [promised EXCEPT ![s] =
                            SubSeq(promises, Cardinality(due) + 1, Len(promises))]
        /\ net' = net \cup UNION {promises[i].messages : i \in due}
        /\ told' = [told EXCEPT ![s] =
                        @ \cup UNION {Told(d) : d \in UNION {promises[i].tells : i \in due}}]

Takes(s, turn) ==
    \E t \in {turn} :
        LET records == unsynced[s] \o t.records
            before == Vow(promised[s], t.before, {}, Len(unsynced[s]))
        IN  /\ Becomes(s, t.n, records, Vow(before, t.after, t.tells, Len(records)))
            /\ UNCHANGED disk

-----------------------------------------------------------------------------
(* The actions.                                                            *)

Init ==
    /\ disk = [s \in Member |-> EmptyLedger]
    /\ node = [s \in Member |-> Start(EmptyLedger)]
    /\ unsynced = [s \in Member |-> <<>>]
    /\ promised = [s \in Member |-> <<>>]
    /\ net = {}
    /\ told = [s \in Member |-> {}]
    /\ asked = [s \in Member |-> <<>>]

Receive(m) == Up(m.to) /\ Takes(m.to, Handle(Turn(m.to), m)) /\ UNCHANGED asked

What(message) == [sender |-> message.sender, payload |-> message.payload]

\* The application broadcasts: its messages are 1, 2, and so on.  A full window refuses.
Submit(s) ==
    /\ Up(s)
    /\ Accepts(node[s], s)
    /\ asked' = [asked EXCEPT ![s] = Append(@, {What(m) : m \in told[s]})]
    /\ Takes(s, [Turn(s) EXCEPT !.n.outbox = Append(@, Len(asked[s]) + 1)])

\* The application consumes everything that it was told.
Consumes(s) ==
    LET l == Consume(node[s].ledger, Cardinality(told[s]))
    IN  /\ Up(s)
        /\ ConsumedPosition(l) > ConsumedPosition(node[s].ledger)
        /\ Takes(s, [Turn(s) EXCEPT !.n.ledger = l, !.n.unrecorded = TRUE])
        /\ UNCHANGED asked

Flush(s) ==
    /\ Up(s)
    /\ node[s].outbox # <<>> \/ node[s].untold
    /\ Takes(s, OnFlush(Turn(s)))
    /\ UNCHANGED asked

Repair(s) == Up(s) /\ Takes(s, OnRepair(Turn(s))) /\ UNCHANGED asked

\* The oldest record becomes durable.
Sync(s) ==
    /\ Up(s)
    /\ unsynced[s] # <<>>
    /\ disk' = [disk EXCEPT ![s] = ApplyRecord(@, Head(unsynced[s]))]
    /\ Becomes(s, node[s], Tail(unsynced[s]),
               [i \in 1..Len(promised[s]) |-> [promised[s][i] EXCEPT !.needs = Max(@ - 1, 0)]])
    /\ UNCHANGED asked

Crash(s) ==
    /\ Up(s)
    /\ node' = [node EXCEPT ![s] = Down]
    /\ unsynced' = [unsynced EXCEPT ![s] = <<>>]
    /\ promised' = [promised EXCEPT ![s] = <<>>]
    /\ UNCHANGED <<disk, net, told, asked>>

\* What was not consumed is delivered again.
Recover(s) ==
    LET again == {disk[s].unconsumed[i] : i \in 1..Len(disk[s].unconsumed)}
    IN  /\ ~Up(s)
        /\ node' = [node EXCEPT ![s] = Start(disk[s])]
        /\ told' = [told EXCEPT ![s] = @ \cup UNION {Told(d) : d \in again}]
        /\ UNCHANGED <<disk, unsynced, promised, net, asked>>

Next ==
    \/ \E m \in net : Receive(m)
    \/ \E s \in Member :
        \/ Submit(s) \/ Consumes(s) \/ Flush(s) \/ Repair(s)
        \/ Sync(s) \/ Crash(s) \/ Recover(s)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* What must hold.  Most of it is said of what applications were told.     *)

At(s, position) == CHOOSE m \in told[s] : m.position = position

\* One message at each position, from the first, also after a crash.
SameOrderAgain ==
    \A s \in Member :
        /\ \A m, k \in told[s] : m.position = k.position => m = k
        /\ {m.position : m \in told[s]} = 1..Cardinality(told[s])

NoDuplication ==
    \A s \in Member : \A m, k \in told[s] : What(m) = What(k) => m.position = k.position

NoCreation == \A s \in Member : \A m \in told[s] : m.payload <= Len(asked[m.sender])

\* Everything that its sender had been told when it broadcast comes first.
CausalDelivery ==
    \A s \in Member : \A m \in told[s] : \A cause \in asked[m.sender][m.payload] :
        \E k \in told[s] : What(k) = cause /\ k.position < m.position

FifoDelivery ==
    \A s \in Member : \A m, k \in told[s] :
        m.sender = k.sender /\ m.payload < k.payload => m.position < k.position

NumbersGivenOnce ==
    LET all == UNION {told[s] : s \in Member}
    IN  \A m, k \in all : m.sender = k.sender /\ m.number = k.number => m.payload = k.payload

Ledgers == {<<s, disk[s]>> : s \in Member} \cup {<<s, node[s].ledger>> : s \in {p \in Member : Up(p)}}

CollectedIsHeldByAll ==
    \A pair \in Ledgers : \A p \in Member \ {pair[1]} : Covers(disk[p].holds, pair[2].floor)

\* Whoever has a message on its disk can supply it to whoever lacks it.
KeepsUntilAllHave ==
    \A s, q, p \in Member :
        LET lacking == disk[q].holds[p]
            news == SelectSeq(disk[s].kept[p], LAMBDA b : b.first > lacking)
        IN  disk[s].holds[p] > lacking => news # <<>> /\ Head(news).first = lacking + 1

IsBounded ==
    \A pair \in Ledgers : \A p \in Member :
        Kept(pair[2], p) <= IF p = pair[1] THEN WindowMessages ELSE HoldMessages

LedgerIsSound ==
    \A pair \in Ledgers :
        LET l == pair[2]
        IN  /\ Covers(l.holds, l.delivered) /\ Covers(l.delivered, l.consumed)
            /\ Covers(l.holds, l.floor)
            /\ Ready(l) = {}
            /\ l.pending[pair[1]] = 0

\* Memory and disk take the same batches; the disk may be behind in what is let go.
RECURSIVE AfterSyncs(_, _)
AfterSyncs(l, records) ==
    IF records = <<>> THEN l ELSE AfterSyncs(ApplyRecord(l, Head(records)), Tail(records))

DiskFollows ==
    \A s \in Member : Up(s) =>
        LET l == AfterSyncs(disk[s], unsynced[s])
            n == node[s].ledger
        IN  /\ l.holds = n.holds /\ l.delivered = n.delivered /\ l.position = n.position
            /\ Covers(n.floor, l.floor) /\ Covers(n.consumed, l.consumed)

Backed(m, l) ==
    /\ Covers(l.holds, m.holds)
    /\ \A i \in 1..Len(m.batches) : Last(m.batches[i]) <= l.holds[m.batches[i].sender]

ReleasedIsBacked == \A m \in net : Backed(m, disk[m.from])

\* Members that hold the same have nothing left that waits, and have told the same.
Agreement ==
    LET rests(s) == Up(s) /\ unsynced[s] = <<>> /\ promised[s] = <<>>
        set(s) == {What(m) : m \in told[s]}
    IN  /\ \A s, p \in Member :
                rests(s) /\ rests(p) /\ node[s].ledger.holds = node[p].ledger.holds
                    => set(s) = set(p)
        /\ (\A s \in Member : rests(s) /\ node[s].ledger.holds = node[1].ledger.holds)
                => node[1].ledger.delivered = node[1].ledger.holds

(* What a step may do.                                                     *)

NothingTakenBack ==
    [][\A s \in Member :
        /\ Covers(disk'[s].holds, disk[s].holds)
        /\ Up(s) /\ node'[s].up =>
            /\ Covers(node'[s].ledger.delivered, node[s].ledger.delivered)
            /\ node'[s].ledger.position >= node[s].ledger.position]_vars
=============================================================================
