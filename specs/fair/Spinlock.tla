------------------------------ MODULE Spinlock ------------------------------
(***************************************************************************)
(* A lock that is taken by whoever comes first when it is free.            *)
(***************************************************************************)
EXTENDS Naturals

CONSTANT N          \* processes

VARIABLE pc         \* where each process is: who is critical has the lock

Process == 0 .. N - 1

Init == pc = [p \in Process |-> "idle"]

Request(p) == pc[p] = "idle" /\ pc' = [pc EXCEPT ![p] = "trying"]

Acquire(p) ==
    /\ pc[p] = "trying" /\ \A other \in Process : pc[other] # "critical"
    /\ pc' = [pc EXCEPT ![p] = "critical"]

Release(p) == pc[p] = "critical" /\ pc' = [pc EXCEPT ![p] = "idle"]

Next == \E p \in Process : Request(p) \/ Acquire(p) \/ Release(p)

Spec == Init /\ [][Next]_pc

WeakSpec == Spec /\ \A p \in Process : WF_pc(Acquire(p)) /\ WF_pc(Release(p))

StrongSpec == Spec /\ \A p \in Process : SF_pc(Acquire(p)) /\ WF_pc(Release(p))

NobodyStarves == \A p \in Process : (pc[p] = "trying") ~> (pc[p] = "critical")

\* Somebody comes in, if not everybody.
SomebodyEnters ==
    (\E p \in Process : pc[p] = "trying") ~> (\E p \in Process : pc[p] = "critical")
=============================================================================
