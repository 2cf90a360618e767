------------------------------ MODULE Assembly ------------------------------
(***************************************************************************)
(* Assembly of one trace: spans arrive in any order, or not, or twice; a   *)
(* log holds what was accepted, a store what was sealed; a crash leaves    *)
(* these two and nothing else.                                             *)
(*                                                                         *)
(* Traces do not meet each other, so one is enough.  Time is not modelled: *)
(* the quiet window and the deadline end at any moment.                    *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
    Span,       \* the spans that there are
    Parent,     \* a function: the parent of each span, which may never come, or Root
    Root        \* no parent

VARIABLES
    unlogged,   \* offered, and not yet in the log
    log,        \* durable: accepted and not released
    store,      \* durable: the revisions of the trace, in order
    told,       \* the spans whose senders know that they are accepted
    open,       \* memory: spans of the next revision
    sealing,    \* memory: spans that the sealer has
    phase,      \* of the trace, or "down" while the node is
    cause,      \* why the sealer has it
    given       \* what is on its way to the store, or Nothing

vars == <<unlogged, log, store, told, open, sealing, phase, cause, given>>

Nothing == [spans |-> {}, verdict |-> "nothing"]

ASSUME Parent \in [Span -> Span \cup {Root}] /\ Root \notin Span

-----------------------------------------------------------------------------
(* What a trace is.                                                        *)

StoredUpTo(n) == UNION {store[i].spans : i \in 1..n}
Stored == StoredUpTo(Len(store))

Missing(spans) == {Parent[s] : s \in spans} \ (spans \cup {Root})
Rooted(spans) == \E s \in spans : Parent[s] = Root
Whole(spans) == Rooted(spans) /\ Missing(spans) = {}

Up == phase # "down"

TypeOK ==
    /\ unlogged \subseteq Span /\ log \subseteq Span /\ told \subseteq Span
    /\ open \subseteq Span /\ sealing \subseteq Span
    /\ phase \in {"absent", "active", "collecting", "sealing", "down"}
    /\ cause \in {"none", "quiet", "deadline", "evicted"}
    /\ \A i \in 1..Len(store) : /\ store[i].spans \subseteq Span
                                /\ store[i].verdict \in {"complete", "incomplete", "evicted"}

Init ==
    /\ unlogged = {} /\ log = {} /\ store = <<>> /\ told = {}
    /\ open = {} /\ sealing = {} /\ phase = "absent" /\ cause = "none" /\ given = Nothing

-----------------------------------------------------------------------------
(* A span arrives: first it is durable, then it enters, then its sender is *)
(* told.                                                                   *)

Offer(s) ==
    /\ Up /\ s \notin unlogged
    /\ unlogged' = unlogged \cup {s}
    /\ UNCHANGED <<log, store, told, open, sealing, phase, cause, given>>

Enter(spans) ==
    LET fresh == spans \ (open \cup sealing)
    IN  /\ open' = open \cup fresh
        /\ phase' = IF fresh # {} /\ phase # "sealing" THEN "active" ELSE phase

Logged(s) ==
    /\ Up /\ s \in unlogged
    /\ unlogged' = unlogged \ {s}
    /\ log' = log \cup {s}
    /\ told' = told \cup {s}
    /\ Enter({s})
    /\ UNCHANGED <<store, sealing, cause, given>>

-----------------------------------------------------------------------------
(* A trace is sealed: its spans go to the sealer, who looks at the store,  *)
(* judges, writes, and lets go.                                            *)

Ripen(why) ==
    /\ phase \in {"active", "collecting"}
    /\ why = "quiet" => phase = "active"
    /\ sealing' = open /\ open' = {} /\ phase' = "sealing"
    /\ cause' = why
    /\ UNCHANGED <<unlogged, log, store, told, given>>

\* What waited begins the next revision.
LetGo ==
    /\ log' = log \ sealing
    /\ sealing' = {} /\ given' = Nothing /\ cause' = "none"
    /\ phase' = IF open = {} THEN "absent" ELSE "active"
    /\ UNCHANGED <<unlogged, store, told, open>>

TakeBack ==
    /\ phase' = IF open = {} THEN "collecting" ELSE "active"
    /\ open' = open \cup sealing /\ sealing' = {} /\ cause' = "none"
    /\ UNCHANGED <<unlogged, log, store, told, given>>

Give(verdict) ==
    /\ given' = [spans |-> sealing \ Stored, verdict |-> verdict]
    /\ UNCHANGED <<unlogged, log, store, told, open, sealing, phase, cause>>

Judge ==
    /\ phase = "sealing" /\ given = Nothing
    /\ IF sealing \subseteq Stored THEN LetGo
       ELSE IF cause = "quiet"
            THEN IF Whole(Stored \cup sealing) /\ open = {} THEN Give("complete") ELSE TakeBack
            ELSE Give(IF cause = "evicted" THEN "evicted" ELSE "incomplete")

Write ==
    /\ phase = "sealing" /\ given # Nothing
    /\ given.spans \cap Stored = {}
    /\ store' = Append(store, given)
    /\ UNCHANGED <<unlogged, log, told, open, sealing, phase, cause, given>>

Sealed ==
    /\ phase = "sealing" /\ given # Nothing /\ given.spans \subseteq Stored
    /\ LetGo

-----------------------------------------------------------------------------
(* A crash leaves log and store.  A start offers the whole log again.      *)

Crash ==
    /\ Up
    /\ unlogged' = {} /\ open' = {} /\ sealing' = {}
    /\ phase' = "down" /\ cause' = "none" /\ given' = Nothing
    /\ UNCHANGED <<log, store, told>>

Start ==
    /\ ~Up
    /\ open' = log
    /\ phase' = IF log = {} THEN "absent" ELSE "active"
    /\ UNCHANGED <<unlogged, log, store, told, sealing, cause, given>>

-----------------------------------------------------------------------------
(* The node's own steps: they are fair, and so every accepted span comes   *)
(* to the store in the end.  The quiet window need not: the deadline does. *)

Own ==
    \/ \E s \in Span : Logged(s)
    \/ Ripen("deadline")
    \/ Judge \/ Write \/ Sealed
    \/ Start

Next ==
    \/ \E s \in Span : Offer(s)
    \/ Own
    \/ Ripen("quiet") \/ Ripen("evicted")
    \/ Crash

-----------------------------------------------------------------------------
(* What must hold.                                                         *)

AcknowledgedIsDurable == told \subseteq log \cup Stored

AcceptedIsKept == Up => told \subseteq open \cup sealing \cup Stored

SealedOnce ==
    /\ \A i, j \in 1..Len(store) : i # j => store[i].spans \cap store[j].spans = {}
    /\ \A i \in 1..Len(store) : store[i].spans # {}

CompleteIsComplete ==
    \A i \in 1..Len(store) : store[i].verdict = "complete" => Whole(StoredUpTo(i))

ALateSpanAmends == phase = "absent" => told \subseteq Stored /\ log = {}

OpenIsWatched == (phase \in {"absent", "down"}) => open = {} /\ sealing = {}

IsPrefixOf(one, other) ==
    Len(one) <= Len(other) /\ \A i \in 1..Len(one) : one[i] = other[i]

StoreGrows == [][IsPrefixOf(store, store')]_vars

EverySpanIsStored == \A s \in Span : (s \in told) ~> (s \in Stored)
=============================================================================
