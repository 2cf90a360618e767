-------------------------------- MODULE Raft --------------------------------
(***************************************************************************)
(* Raft as the machine of crates/raft runs it: the paper's protocol with   *)
(* pre-vote, check-quorum, pipelined replication, client sessions and      *)
(* reads by read index.  Most specifications of Raft let a server change   *)
(* its disk and speak in one step.  This one does not, because a real one  *)
(* cannot.  It has the grain of the machine:                               *)
(*                                                                         *)
(*   - one event (a message, a timer, a client's command) is one step;     *)
(*   - a step changes volatile state, and hands a batch of records to the  *)
(*     disk: the batch becomes durable later, by Sync, all or nothing;     *)
(*   - what a step wants to say is a promise: it leaves once every batch   *)
(*     handed over before it is durable.  Only a leader's append does not  *)
(*     wait (dissertation, section 10.2.1);                                *)
(*   - a crash loses volatile state, batches not yet durable and promises  *)
(*     not yet due;                                                        *)
(*   - a message to oneself is handled as soon as it is due, in the same   *)
(*     step: that is how a server learns that its own disk has something.  *)
(*                                                                         *)
(* The network is the set of all messages ever sent, and receiving removes *)
(* nothing.  So a message may be lost (never received), late, out of order *)
(* and duplicated without an action for any of these.                      *)
(*                                                                         *)
(* Timers carry no time: one that is armed may fire at any moment.  Which  *)
(* are armed follows from the rest of the state, so no variable says it.   *)
(*                                                                         *)
(* References: Ongaro and Ousterhout, "In Search of an Understandable      *)
(* Consensus Algorithm" (2014); Ongaro's dissertation (2014).              *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets

CONSTANTS
    Server,         \* the members
    Nil,            \* nobody
    Session,        \* client sessions, open from the start
    PreVote,        \* whether a candidate first asks whether it could win
    CheckQuorum,    \* whether a leader steps down that does not hear a majority
    BatchEntries,   \* entries in one append, at most
    WindowEntries   \* entries sent to a follower and not acknowledged, at most

ASSUME /\ PreVote \in BOOLEAN /\ CheckQuorum \in BOOLEAN
       /\ BatchEntries > 0 /\ WindowEntries > 0
       /\ Nil \notin Server

VARIABLES
    node,       \* volatile: the machine of each server, or Down
    disk,       \* durable: the term, vote and log of each server
    unsynced,   \* per server, the batches of records on their way to the disk
    promised,   \* per server, what leaves when enough batches are durable
    net,        \* every message sent to another server
    decided,    \* ghost: every entry ever committed, with the term it was committed in
    acked,      \* ghost: the writes that some leader has answered
    answers     \* ghost: for each answered read, what it had to see and what it saw

vars == <<node, disk, unsynced, promised, net, decided, acked, answers>>

-----------------------------------------------------------------------------
(* Small words.                                                            *)

Max(a, b) == IF a >= b THEN a ELSE b
Min(a, b) == IF a <= b THEN a ELSE b
IsPrefix(s, t) == Len(s) <= Len(t) /\ SubSeq(t, 1, Len(s)) = s
IsQuorum(S) == 2 * Cardinality(S) > Cardinality(Server)

\* The highest value that a majority has reached.
OfMajority(f) ==
    LET reached(v) == {s \in Server : f[s] >= v}
    IN  CHOOSE v \in {f[s] : s \in Server} :
            /\ IsQuorum(reached(v))
            /\ \A w \in {f[s] : s \in Server} : IsQuorum(reached(w)) => w <= v

(***************************************************************************)
(* Entries, logs and positions.  An entry is a no-op or a write, which a   *)
(* session numbers; sessions are open from the start (opening one is one   *)
(* more kind of entry, with an effect on no other session).                *)
(***************************************************************************)
Noop == [session |-> Nil, sequence |-> 0]

TermAt(log, index) == IF index = 0 THEN 0 ELSE log[index].term
Position(log, index) == [term |-> TermAt(log, index), index |-> index]
Last(log) == Position(log, Len(log))
Contains(log, position) ==
    position.index <= Len(log) /\ TermAt(log, position.index) = position.term

\* Section 5.4.1: the later term wins, and within a term the longer log.
UpToDate(p, q) == p.term > q.term \/ (p.term = q.term /\ p.index >= q.index)

Splice(log, after, entries) == SubSeq(log, 1, after) \o entries

\* How many of the entries after `prev' the log already has.
Matching(log, prev, entries) ==
    LET agree(n) == \A i \in 1..n :
            prev + i <= Len(log) /\ log[prev + i].term = entries[i].term
    IN  CHOOSE n \in 0..Len(entries) :
            agree(n) /\ (n = Len(entries) \/ ~agree(n + 1))

\* The last position at or before `index' whose term is at most `term'.
LastAtMost(log, index, term) ==
    LET within == {i \in 1..Min(index, Len(log)) : log[i].term <= term}
    IN  Position(log, Cardinality(within))      \* terms ascend along a log

(***************************************************************************)
(* The replicated state, as far as it matters here, follows from the log   *)
(* alone: which entries take effect.  A retried write does not, nor does   *)
(* one that its session has moved past (section 8; dissertation, 6.3).     *)
(***************************************************************************)
TakesEffect(log, index) ==
    LET entry == log[index]
    IN  /\ entry.session # Nil
        /\ \A i \in 1..(index - 1) :
              log[i].session = entry.session => log[i].sequence < entry.sequence

-----------------------------------------------------------------------------
(***************************************************************************)
(* The machine of one server: a record.  What only a leader knows is in    *)
(* the field `lead', and is gone when it stops leading.                    *)
(***************************************************************************)
NoLead == [first |-> 0]

Start(durable) ==
    [role |-> "Follower", term |-> durable.term, vote |-> durable.vote,
     log |-> durable.log, commit |-> 0, leader |-> Nil, votes |-> {},
     lead |-> NoLead]

Down == [role |-> "Down"]

NewLead(last) ==
    [first |-> last + 1,            \* the first entry of this leader's term
     proposals |-> <<Noop>>,        \* what the next Replicate appends
     reads |-> <<>>,                \* reads that wait for their round
     round |-> 0,                   \* the latest read round that was sent
     progress |-> [p \in Server |->
        [matched |-> 0, next |-> last + 1, flow |-> "Probe",
         round |-> 0, active |-> TRUE]]]

Up(s) == node[s].role # "Down"
Leads(n) == n.role = "Leader"
IsLeader(s) == Leads(node[s])

(***************************************************************************)
(* A turn is one event's handling in the making: the machine `n' of server *)
(* `self', the records to persist, and what to say.  A promise made before *)
(* the first record of its turn does not wait for the turn's batch.        *)
(***************************************************************************)
Turn(s, n) ==
    [self |-> s, n |-> n, records |-> <<>>, before |-> {}, after |-> {},
     now |-> {}, said |-> {}]

Persist(t, record) == [t EXCEPT !.records = Append(@, record)]

Promise(t, message) ==
    IF t.records = <<>> THEN [t EXCEPT !.before = @ \cup {message}]
                        ELSE [t EXCEPT !.after  = @ \cup {message}]

PromiseAll(t, messages) ==
    IF t.records = <<>> THEN [t EXCEPT !.before = @ \cup messages]
                        ELSE [t EXCEPT !.after  = @ \cup messages]

Peers(t) == Server \ {t.self}

-----------------------------------------------------------------------------
(* Elections: crates/raft/src/election.rs                                  *)

Enter(t, term, vote) ==
    Persist([t EXCEPT !.n.term = term, !.n.vote = vote],
            [kind |-> "Vote", term |-> term, vote |-> vote])

Follow(t, leader) ==
    [t EXCEPT !.n.role = "Follower", !.n.leader = leader, !.n.votes = {},
              !.n.lead = NoLead]

CatchUpWith(t, term) == Enter(Follow(t, Nil), term, Nil)

Stand(t) ==
    LET term == t.n.term + 1
        standing == [t EXCEPT !.n.role = "Candidate", !.n.votes = {}, !.n.leader = Nil]
        request(p) == [kind |-> "RequestVote", from |-> t.self, to |-> p,
                       term |-> term, last |-> Last(t.n.log)]
        \* Its own vote counts like any other's: once it is on disk.
        own == [kind |-> "Voted", from |-> t.self, to |-> t.self,
                term |-> term, granted |-> TRUE]
    IN  PromiseAll(Enter(standing, term, t.self), {request(p) : p \in Peers(t)} \cup {own})

AskForPreVotes(t) ==
    LET asking == [t EXCEPT !.n.role = "PreCandidate", !.n.votes = {t.self}]
        request(p) == [kind |-> "RequestPreVote", from |-> t.self, to |-> p,
                       term |-> t.n.term + 1, last |-> Last(t.n.log)]
    IN  IF IsQuorum({t.self}) THEN Stand(asking)
                              ELSE PromiseAll(asking, {request(p) : p \in Peers(t)})

\* The timer fires twice: first the leader is forgotten, which frees this
\* server to vote for another, then the server stands itself.
OnElectionTimeout(t) ==
    IF t.n.leader # Nil THEN [t EXCEPT !.n.leader = Nil]
    ELSE IF PreVote     THEN AskForPreVotes(t)
    ELSE Stand(t)

OnRequestPreVote(t, m) ==
    LET granted == m.term > t.n.term /\ t.n.leader = Nil /\ UpToDate(m.last, Last(t.n.log))
    \* A refusal carries the voter's own term, so that a candidate left behind catches up.
    IN  Promise(t, [kind |-> "PreVoted", from |-> t.self, to |-> m.from,
                    term |-> IF granted THEN m.term ELSE t.n.term, granted |-> granted])

OnPreVoted(t, m) ==
    LET votes == t.n.votes \cup {m.from}
    IN  IF ~m.granted THEN IF m.term > t.n.term THEN CatchUpWith(t, m.term) ELSE t
        ELSE IF t.n.role # "PreCandidate" \/ m.term # t.n.term + 1 THEN t
        ELSE IF IsQuorum(votes) THEN Stand([t EXCEPT !.n.votes = votes])
        ELSE [t EXCEPT !.n.votes = votes]

OnRequestVote(t, m) ==
    LET undisturbed == (PreVote \/ CheckQuorum) /\ t.n.leader # Nil /\ m.term > t.n.term
        ahead == m.term > t.n.term
        u == IF ahead
             THEN LET f == Follow(t, Nil) IN [f EXCEPT !.n.term = m.term, !.n.vote = Nil]
             ELSE t
        granted == /\ m.term = u.n.term
                   /\ u.n.vote \in {Nil, m.from}
                   /\ u.n.leader = Nil
                   /\ UpToDate(m.last, Last(u.n.log))
        newly == granted /\ u.n.vote = Nil
        v == IF ahead \/ newly
             THEN Enter(u, u.n.term, IF newly THEN m.from ELSE u.n.vote)
             ELSE u
    IN  IF undisturbed THEN t
        ELSE Promise(v, [kind |-> "Voted", from |-> t.self, to |-> m.from,
                         term |-> v.n.term, granted |-> granted])

-----------------------------------------------------------------------------
(* Replication: crates/raft/src/replication.rs                             *)

(***************************************************************************)
(* What the leader sends one peer: as many appends as the peer's flow      *)
(* allows, and one at least if it announces something.  To a peer whose    *)
(* log is not known to agree, one at a time: "Probe", then "Awaiting".     *)
(***************************************************************************)
RECURSIVE Burst(_, _, _, _, _)
Burst(n, self, peer, pr, announce) ==
    LET inFlight == (pr.next - 1) - pr.matched
        room == CASE pr.flow = "Awaiting" /\ ~announce -> 0
                  [] pr.flow \in {"Probe", "Awaiting"} -> BatchEntries
                  [] OTHER -> Max(0, WindowEntries - inFlight)
        prev == pr.next - 1
        upto == Min(prev + Min(room, BatchEntries), Len(n.log))
        message == [kind |-> "Append", from |-> self, to |-> peer, term |-> n.term,
                    prev |-> Position(n.log, prev),
                    entries |-> SubSeq(n.log, prev + 1, upto),
                    commit |-> n.commit, round |-> n.lead.round]
        sent == IF pr.flow = "Stream" THEN [pr EXCEPT !.next = upto + 1]
                                      ELSE [pr EXCEPT !.flow = "Awaiting"]
        rest == Burst(n, self, peer, sent, FALSE)
    IN  IF ~announce /\ (room = 0 \/ pr.next > Len(n.log))
        THEN [pr |-> pr, messages |-> {}]
        ELSE [pr |-> rest.pr, messages |-> rest.messages \cup {message}]

SendAppends(t, peers, announce) ==
    LET burst(p) == Burst(t.n, t.self, p, t.n.lead.progress[p], announce)
        bursts == [p \in peers |-> burst(p)]
    IN  [t EXCEPT
            !.n.lead.progress =
                [p \in Server |-> IF p \in peers THEN bursts[p].pr ELSE @[p]],
            \* At once: an append says nothing about its sender's disk but the
            \* term, which was durable before the first vote could be asked for.
            !.now = @ \cup UNION {bursts[p].messages : p \in peers}]

CommitTo(t, index) == [t EXCEPT !.n.commit = Max(@, Min(index, Len(t.n.log)))]

(***************************************************************************)
(* An entry of the leader's own term that a majority has on disk is        *)
(* committed, and with it all before.  An older one may still be replaced: *)
(* section 5.4.2, Figure 8.                                                *)
(***************************************************************************)
DurableOnMajority(lead) == OfMajority([p \in Server |-> lead.progress[p].matched])

AdvanceCommit(t) ==
    LET durable == DurableOnMajority(t.n.lead)
    IN  IF TermAt(t.n.log, durable) = t.n.term THEN CommitTo(t, durable) ELSE t

(***************************************************************************)
(* Reads: crates/raft/src/read.rs.  A read is answered from the applied    *)
(* state once a majority has confirmed the leader in a round that began    *)
(* after the read arrived, and once the state has what was committed then. *)
(* `must' is a ghost: how much was committed anywhere when it arrived.     *)
(***************************************************************************)
RECURSIVE AnswerReads(_)
AnswerReads(t) ==
    LET reads == t.n.lead.reads
        confirmed == OfMajority([p \in Server |-> t.n.lead.progress[p].round])
        answer == [must |-> Head(reads).must, saw |-> t.n.commit]
    IN  IF reads # <<>> /\ Head(reads).round <= confirmed /\ Head(reads).index <= t.n.commit
        THEN AnswerReads([t EXCEPT !.n.lead.reads = Tail(@), !.said = @ \cup {answer}])
        ELSE t

RoundWanted(lead) == lead.reads # <<>> /\ lead.reads[Len(lead.reads)].round > lead.round

BeginRound(t) ==
    IF RoundWanted(t.n.lead)
    THEN [t EXCEPT !.n.lead.round = @ + 1,
                   !.n.lead.progress[t.self].round = t.n.lead.round + 1]
    ELSE t

\* Until an entry of its own term is committed, a leader does not know what
\* earlier leaders committed (dissertation, section 6.4).
ReadIndex(n) == Max(n.commit, n.lead.first)

\* What has gathered becomes one record, and an append to every follower.
OnReplicate(t) ==
    LET announce == RoundWanted(t.n.lead)
        begun == BeginRound(t)
        after == Len(t.n.log)
        entries == [i \in 1..Len(t.n.lead.proposals) |->
                       [term |-> t.n.term, session |-> t.n.lead.proposals[i].session,
                        sequence |-> t.n.lead.proposals[i].sequence]]
        written == Persist([begun EXCEPT !.n.log = @ \o entries, !.n.lead.proposals = <<>>],
                           [kind |-> "Append", after |-> after, entries |-> entries])
        \* Promised to itself: due once the record is durable.
        counted == Promise(written,
                           [kind |-> "Appended", from |-> t.self, to |-> t.self,
                            term |-> t.n.term, matched |-> after + Len(entries), round |-> 0])
    IN  AnswerReads(SendAppends(IF entries = <<>> THEN begun ELSE counted, Peers(t), announce))

OnVoted(t, m) ==
    LET votes == t.n.votes \cup {m.from}
        leading == [t EXCEPT !.n.role = "Leader", !.n.leader = t.self, !.n.votes = {},
                             !.n.lead = NewLead(Len(t.n.log))]
    IN  IF m.term > t.n.term THEN CatchUpWith(t, m.term)
        ELSE IF m.term < t.n.term \/ ~m.granted \/ t.n.role # "Candidate" THEN t
        ELSE IF IsQuorum(votes) THEN OnReplicate(leading)
        ELSE [t EXCEPT !.n.votes = votes]

OnQuorumCheck(t) ==
    LET heard == {p \in Server : p = t.self \/ t.n.lead.progress[p].active}
    IN  IF IsQuorum(heard)
        THEN [t EXCEPT !.n.lead.progress = [p \in Server |-> [@[p] EXCEPT !.active = FALSE]]]
        ELSE Follow(t, Nil)

Conflicted(t, m, hint) ==
    [kind |-> "Conflicted", from |-> t.self, to |-> m.from, term |-> t.n.term,
     refused |-> m.prev.index, hint |-> hint, round |-> m.round]

OnAppend(t, m) ==
    LET caught == IF m.term > t.n.term THEN CatchUpWith(t, m.term) ELSE t
        u == Follow(caught, m.from)
        matched == m.prev.index + Len(m.entries)
        known == Matching(u.n.log, m.prev.index, m.entries)
        after == m.prev.index + known
        news == SubSeq(m.entries, known + 1, Len(m.entries))
        written == IF news = <<>> THEN u
                   ELSE Persist([u EXCEPT !.n.log = Splice(@, after, news)],
                                [kind |-> "Append", after |-> after, entries |-> news])
        appended == [kind |-> "Appended", from |-> t.self, to |-> m.from,
                     term |-> u.n.term, matched |-> matched, round |-> m.round]
    IN  IF m.term < t.n.term
        THEN Promise(t, Conflicted(t, m, Position(<<>>, 0)))    \* its term is over
        ELSE IF Leads(t.n) /\ m.term = t.n.term THEN t
        ELSE IF ~Contains(u.n.log, m.prev)
        THEN Promise(u, Conflicted(u, m, LastAtMost(u.n.log, m.prev.index - 1, m.prev.term)))
        ELSE IF news # <<>> /\ after < u.n.commit THEN u
        ELSE CommitTo(Promise(written, appended), Min(m.commit, matched))

\* A leader has an answer of its own term; it hears a later term in `Heard'.
Answers(n, m) == Leads(n) /\ m.term = n.term /\ m.round <= n.lead.round

Heard(t, m) ==
    IF m.term > t.n.term THEN CatchUpWith(t, m.term)
    ELSE IF Answers(t.n, m)
    THEN [t EXCEPT !.n.lead.progress[m.from].active = TRUE,
                   !.n.lead.progress[m.from].round = Max(@, m.round)]
    ELSE t

OnAppended(t, m) ==
    LET u == Heard(t, m)
        pr == u.n.lead.progress[m.from]
        matched == Max(pr.matched, m.matched)
        next == Max(pr.next, matched + 1)
        v == [u EXCEPT !.n.lead.progress[m.from] =
                [pr EXCEPT !.matched = matched, !.next = next,
                           !.flow = IF m.matched + 1 >= next THEN "Stream" ELSE @]]
    IN  IF ~Answers(t.n, m) \/ m.matched > Len(t.n.log) THEN u
        ELSE AnswerReads(SendAppends(AdvanceCommit(v), {m.from} \ {t.self}, FALSE))

OnConflicted(t, m) ==
    LET agree == LastAtMost(t.n.log, m.hint.index, m.hint.term).index
        u == Heard(t, m)
        pr == u.n.lead.progress[m.from]
        stale == m.refused <= pr.matched \/ m.refused >= pr.next
        next == Max(Min(agree + 1, m.refused), pr.matched + 1)
        v == [u EXCEPT !.n.lead.progress[m.from] = [pr EXCEPT !.next = next, !.flow = "Probe"]]
    IN  IF ~Answers(t.n, m) THEN u
        ELSE AnswerReads(IF stale THEN u ELSE SendAppends(v, {m.from}, FALSE))

Handle(t, m) ==
    CASE m.kind = "RequestPreVote" -> OnRequestPreVote(t, m)
      [] m.kind = "PreVoted"       -> OnPreVoted(t, m)
      [] m.kind = "RequestVote"    -> OnRequestVote(t, m)
      [] m.kind = "Voted"          -> OnVoted(t, m)
      [] m.kind = "Append"         -> OnAppend(t, m)
      [] m.kind = "Appended"       -> OnAppended(t, m)
      [] m.kind = "Conflicted"     -> OnConflicted(t, m)

-----------------------------------------------------------------------------
(***************************************************************************)
(* The gate: the only place that knows "persist before send".  A server    *)
(* `c' is its machine, its outstanding batches and promises, and what it   *)
(* sends and says in this step.  Promises that need the same number of     *)
(* batches leave together, so they are kept as one.                        *)
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
         sent |-> c.sent \cup t.now, said |-> c.said \cup t.said]

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

\* What s has just committed, noted with the term of the first to commit it.
Committed(n) ==
    decided \o [i \in 1..(n.commit - Len(decided)) |->
                   [entry |-> n.log[Len(decided) + i], by |-> n.term]]

\* A leader answers a write when it applies it or finds it applied before; one
\* that its session has moved past is refused instead.
NewlyAcked(before, n) ==
    LET answered(i) ==
            /\ n.log[i].session # Nil
            /\ \A j \in 1..i : n.log[j].session = n.log[i].session
                                => n.log[j].sequence <= n.log[i].sequence
    IN  IF ~Leads(n) THEN {}
        ELSE {[session |-> n.log[i].session, sequence |-> n.log[i].sequence] :
                 i \in {j \in (before + 1)..n.commit : answered(j)}}

\* Server s becomes what is left of c after everything due has left.  (Bound by
\* \E rather than LET, which TLC would evaluate anew at each use in an action.)
Becomes(s, c) ==
    \E r \in {Release(s, c)} :
        /\ node' = [node EXCEPT ![s] = r.n]
        /\ unsynced' = [unsynced EXCEPT ![s] = r.unsynced]
        /\ promised' = [promised EXCEPT ![s] = r.promised]
        /\ net' = net \cup r.sent
        /\ decided' = IF r.n.commit > Len(decided) THEN Committed(r.n) ELSE decided
        /\ acked' = acked \cup NewlyAcked(node[s].commit, r.n)
        /\ answers' = answers \cup r.said

Takes(s, turn) == Becomes(s, Absorb(Core(s), turn)) /\ UNCHANGED disk

-----------------------------------------------------------------------------
(* The actions.                                                            *)

Init ==
    /\ disk = [s \in Server |-> [term |-> 0, vote |-> Nil, log |-> <<>>]]
    /\ node = [s \in Server |-> Start(disk[s])]
    /\ unsynced = [s \in Server |-> <<>>]
    /\ promised = [s \in Server |-> <<>>]
    /\ net = {}
    /\ decided = <<>>
    /\ acked = {}
    /\ answers = {}

Receive(m) == Up(m.to) /\ Takes(m.to, Handle(Turn(m.to, node[m.to]), m))

\* Armed at every server that does not lead.
Timeout(s) == Up(s) /\ ~IsLeader(s) /\ Takes(s, OnElectionTimeout(Turn(s, node[s])))

Heartbeat(s) == IsLeader(s) /\ Takes(s, SendAppends(Turn(s, node[s]), Server \ {s}, TRUE))

QuorumCheck(s) == CheckQuorum /\ IsLeader(s) /\ Takes(s, OnQuorumCheck(Turn(s, node[s])))

(***************************************************************************)
(* A write and its replication are two actions, as they are two events of  *)
(* the machine: the server may be deposed or crash in between, and then    *)
(* the write was never begun.                                              *)
(***************************************************************************)
ClientWrite(s, write) ==
    IsLeader(s) /\ Takes(s, Turn(s, [node[s] EXCEPT !.lead.proposals = Append(@, write)]))

ClientRead(s) ==
    /\ IsLeader(s)
    /\ LET n == node[s]
           read == [round |-> n.lead.round + 1, index |-> ReadIndex(n), must |-> Len(decided)]
       IN  Takes(s, Turn(s, [n EXCEPT !.lead.reads = Append(@, read)]))

Replicate(s) ==
    /\ IsLeader(s)
    /\ node[s].lead.proposals # <<>> \/ RoundWanted(node[s].lead)
    /\ Takes(s, OnReplicate(Turn(s, node[s])))

ApplyRecord(d, record) ==
    IF record.kind = "Vote"
    THEN [d EXCEPT !.term = record.term, !.vote = record.vote]
    ELSE [d EXCEPT !.log = Splice(@, record.after, record.entries)]

RECURSIVE ApplyAll(_, _)
ApplyAll(d, records) ==
    IF records = <<>> THEN d ELSE ApplyAll(ApplyRecord(d, Head(records)), Tail(records))

\* The oldest batch becomes durable; a write of several is several of these.
Sync(s) ==
    /\ Up(s)
    /\ unsynced[s] # <<>>
    /\ disk' = [disk EXCEPT ![s] = ApplyAll(@, Head(unsynced[s]))]
    /\ Becomes(s, [Core(s) EXCEPT
            !.unsynced = Tail(@),
            !.promised = [i \in 1..Len(@) |-> [@[i] EXCEPT !.needs = Max(@ - 1, 0)]]])

Crash(s) ==
    /\ Up(s)
    /\ node' = [node EXCEPT ![s] = Down]
    /\ unsynced' = [unsynced EXCEPT ![s] = <<>>]
    /\ promised' = [promised EXCEPT ![s] = <<>>]
    /\ UNCHANGED <<disk, net, decided, acked, answers>>

Recover(s) ==
    /\ ~Up(s)
    /\ node' = [node EXCEPT ![s] = Start(disk[s])]
    /\ UNCHANGED <<disk, unsynced, promised, net, decided, acked, answers>>

Write == [session : Session, sequence : Nat \ {0}]

Next ==
    \/ \E m \in net : Receive(m)
    \/ \E s \in Server :
        \/ Timeout(s) \/ Heartbeat(s) \/ QuorumCheck(s) \/ Replicate(s)
        \/ \E write \in Write : ClientWrite(s, write)
        \/ ClientRead(s)
        \/ Sync(s) \/ Crash(s) \/ Recover(s)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* What must hold.  The names are those of crates/raft/src/invariants.rs.  *)

Alive == {s \in Server : Up(s)}
Leaders == {s \in Server : IsLeader(s)}

TypeOK ==
    /\ \A s \in Alive :
        LET n == node[s]
        IN  /\ n.role \in {"Follower", "PreCandidate", "Candidate", "Leader"}
            /\ n.term \in Nat /\ n.commit \in Nat
            /\ n.vote \in Server \cup {Nil} /\ n.leader \in Server \cup {Nil}
            /\ n.votes \subseteq Server
    /\ \A s \in Server :
        /\ disk[s].term \in Nat /\ disk[s].vote \in Server \cup {Nil}
        /\ \A i \in 1..Len(disk[s].log) : disk[s].log[i].term \in Nat \ {0}
        /\ \A i \in 1..Len(promised[s]) : promised[s][i].needs \in 1..Len(unsynced[s])
    /\ \A m \in net : m.from \in Server /\ m.to \in Server \ {m.from}

\* What one server's own state must satisfy.
NodeIsSound ==
    \A s \in Alive :
        LET n == node[s]
        IN  /\ n.commit <= Len(n.log)
            /\ Last(n.log).term <= n.term
            /\ Leads(n) => \A p \in Server :
                LET pr == n.lead.progress[p]
                IN  /\ pr.matched <= Len(n.log)
                    /\ pr.matched < pr.next
                    /\ pr.next <= Len(n.log) + 1
                    /\ pr.round <= n.lead.round

\* Disk and memory differ by the outstanding batches and by nothing else.
RECURSIVE AfterSyncs(_, _)
AfterSyncs(d, batches) ==
    IF batches = <<>> THEN d ELSE AfterSyncs(ApplyAll(d, Head(batches)), Tail(batches))

DiskFollows ==
    \A s \in Alive :
        LET d == AfterSyncs(disk[s], unsynced[s])
        IN  node[s].term = d.term /\ node[s].vote = d.vote /\ node[s].log = d.log

\* At most one leader in a term.
ElectionSafety ==
    \A s, u \in Leaders : node[s].term = node[u].term => s = u

\* Logs that share a position are the same up to it.  Checked of memory and
\* of disks.
LogsMatch(a, b) ==
    \A i \in 1..Min(Len(a), Len(b)) :
        a[i].term = b[i].term => SubSeq(a, 1, i) = SubSeq(b, 1, i)

LogMatching ==
    LET logs == {node[s].log : s \in Alive} \cup {disk[s].log : s \in Server}
    IN  \A a, b \in logs : LogsMatch(a, b)

(***************************************************************************)
(* A leader has everything that was committed in earlier terms.  The term  *)
(* that counts is the one an entry was committed in, not the entry's own:  *)
(* a leader of term 2 that has not heard of term 3 need not have an entry  *)
(* of term 1 that the leader of term 3 committed.                          *)
(***************************************************************************)
LeaderCompleteness ==
    \A s \in Leaders : \A i \in 1..Len(decided) :
        decided[i].by < node[s].term =>
            i <= Len(node[s].log) /\ node[s].log[i] = decided[i].entry

\* No two servers ever commit different entries at the same index.
StateMachineSafety ==
    \A s \in Alive :
        /\ node[s].commit <= Len(decided)
        /\ \A i \in 1..node[s].commit : node[s].log[i] = decided[i].entry

\* A majority of disks has every entry ever committed.
CommittedIsDurable ==
    \A i \in 1..Len(decided) :
        IsQuorum({s \in Server : i <= Len(disk[s].log) /\ disk[s].log[i] = decided[i].entry})

\* What a message claims of its sender's disk.  A sender that has moved on to
\* a later term made its claim in good faith earlier.
Backed(m, d) ==
    CASE m.kind \in {"RequestPreVote", "PreVoted"} -> TRUE
      [] m.kind \in {"RequestVote", "Append", "Conflicted"} -> d.term >= m.term
      [] m.kind = "Voted" ->
            \/ d.term > m.term
            \/ d.term = m.term /\ (m.granted => d.vote = m.to)
      [] m.kind = "Appended" ->
            \/ d.term > m.term
            \/ d.term = m.term /\ Len(d.log) >= m.matched

ReleasedIsBacked == \A m \in net : Backed(m, disk[m.from])

\* A write that was answered takes effect once, and a session's writes in order.
ExactlyOnce ==
    LET log == [i \in 1..Len(decided) |-> decided[i].entry]
        effective == {i \in 1..Len(log) : TakesEffect(log, i)}
        is(i, w) == log[i].session = w.session /\ log[i].sequence = w.sequence
    IN  /\ \A w \in acked : Cardinality({i \in effective : is(i, w)}) = 1
        /\ \A i, j \in effective :
              log[i].session = log[j].session /\ i < j => log[i].sequence < log[j].sequence

\* A read sees everything that was committed anywhere when it arrived.
ReadsAreLinearizable == \A answer \in answers : answer.saw >= answer.must

(* What a step may do.                                                     *)

\* No crash and no recovery of s in between.
Runs(s) == Up(s) /\ node'[s].role # "Down"

LeaderAppendOnly ==
    [][\A s \in Server :
        /\ Runs(s) /\ IsLeader(s) /\ Leads(node'[s]) /\ node[s].term = node'[s].term
        => IsPrefix(node[s].log, node'[s].log)]_vars

MonotonicTermCommit ==
    [][\A s \in Server :
        /\ disk[s].term <= disk'[s].term
        /\ Runs(s) => node[s].term <= node'[s].term /\ node[s].commit <= node'[s].commit]_vars

VoteStands ==
    [][\A s \in Server :
        LET stands(a, b) == a.term = b.term /\ a.vote # Nil => b.vote = a.vote
        IN  stands(disk[s], disk'[s]) /\ (Runs(s) => stands(node[s], node'[s]))]_vars

CommittedStays ==
    [][\A s \in Server :
        Runs(s) => /\ Len(node'[s].log) >= node[s].commit
                   /\ SubSeq(node'[s].log, 1, node[s].commit)
                        = SubSeq(node[s].log, 1, node[s].commit)]_vars
=============================================================================
