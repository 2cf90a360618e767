----------------------------- MODULE MCAssembly -----------------------------
(***************************************************************************)
(* Assembly within bounds.  A bound is a guard of an action.               *)
(***************************************************************************)
EXTENDS Assembly, TLC

CONSTANTS
    MaxOffers,      \* spans offered, repetitions included
    MaxEvictions,
    MaxCrashes,
    Sought          \* what must be reached (below)

CONSTANTS a, b, c, lost

VARIABLE spent      \* ghost: what of the bounds is used up

mcvars == <<vars, spent>>

\* A root, its child and a child of that.
Chain == (a :> Root) @@ (b :> a) @@ (c :> b)
\* The parent of one never comes; it is a span, but nobody offers it.
Gap == (a :> Root) @@ (b :> a) @@ (c :> lost) @@ (lost :> a)

Offered == Span \ {lost}

MCInit == Init /\ spent = [offers |-> 0, evictions |-> 0, crashes |-> 0]

Free == UNCHANGED spent
Spend(what) == spent' = [spent EXCEPT ![what] = @ + 1]

MCNext ==
    \/ Free /\ (Own \/ Ripen("quiet"))
    \/ spent.offers < MaxOffers /\ Spend("offers") /\ \E s \in Offered : Offer(s)
    \/ spent.evictions < MaxEvictions /\ Spend("evictions") /\ Ripen("evicted")
    \/ spent.crashes < MaxCrashes /\ Spend("crashes") /\ Crash

MCSpec == MCInit /\ [][MCNext]_mcvars /\ WF_mcvars(Free /\ Own)

-----------------------------------------------------------------------------
(* What must be reachable, or the properties hold of nothing.              *)
Newly == Len(store') > Len(store)
Verdict == store'[Len(store')].verdict

Happens(what) ==
    CASE what = "complete" -> Newly /\ Verdict = "complete"
      [] what = "timed-out" -> Newly /\ Verdict = "incomplete" /\ Missing(Stored') # {}
      [] what = "evicted" -> Newly /\ Verdict = "evicted"
      [] what = "healed" ->
            Newly /\ Len(store) > 0 /\ Verdict = "complete"
                  /\ store[Len(store)].verdict = "incomplete"
      [] what = "waited" -> phase = "sealing" /\ open # open'
      [] what = "collapsed" -> phase = "sealing" /\ given = Nothing /\ phase' # "sealing"
                                /\ sealing # {} /\ sealing \subseteq Stored
      [] what = "crash-before-store" -> Up /\ phase' = "down" /\ given # Nothing
                                /\ ~(given.spans \subseteq Stored)
      [] what = "crash-before-release" -> Up /\ phase' = "down" /\ given # Nothing
                                /\ given.spans \subseteq Stored

Occasions == <<
    "complete", "timed-out", "evicted", "healed", "waited", "collapsed",
    "crash-before-store", "crash-before-release" >>

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
