------------------------------ MODULE Peterson ------------------------------
(***************************************************************************)
(* Mutual exclusion of two: Peterson, Myths about the mutual exclusion     *)
(* problem (1981).                                                         *)
(***************************************************************************)
EXTENDS Naturals

VARIABLES
    pc,         \* where each process is
    flag,       \* whether each one wants to enter
    turn        \* who goes first if both do

vars == <<pc, flag, turn>>

Process == {0, 1}
Other(p) == 1 - p

Init ==
    /\ pc = [p \in Process |-> "idle"]
    /\ flag = [p \in Process |-> FALSE]
    /\ turn = 0

Go(p, place) == pc' = [pc EXCEPT ![p] = place]

Request(p) ==
    /\ pc[p] = "idle" /\ Go(p, "yielding")
    /\ flag' = [flag EXCEPT ![p] = TRUE]
    /\ UNCHANGED turn

Yield(p) ==
    /\ pc[p] = "yielding" /\ Go(p, "waiting")
    /\ turn' = Other(p)
    /\ UNCHANGED flag

Enter(p) ==
    /\ pc[p] = "waiting" /\ (~flag[Other(p)] \/ turn = p)
    /\ Go(p, "critical")
    /\ UNCHANGED <<flag, turn>>

Leave(p) ==
    /\ pc[p] = "critical" /\ Go(p, "idle")
    /\ flag' = [flag EXCEPT ![p] = FALSE]
    /\ UNCHANGED turn

Next == \E p \in Process : Request(p) \/ Yield(p) \/ Enter(p) \/ Leave(p)

Spec == Init /\ [][Next]_vars

WeakSpec ==
    Spec /\ \A p \in Process : WF_vars(Yield(p)) /\ WF_vars(Enter(p)) /\ WF_vars(Leave(p))

\* Who is in need not leave.
StayingSpec == Spec /\ \A p \in Process : WF_vars(Yield(p)) /\ WF_vars(Enter(p))

RequestsEnter == \A p \in Process : (pc[p] = "yielding") ~> (pc[p] = "critical")

\* Nobody need ask.
SomebodyEnters == <>(\E p \in Process : pc[p] = "critical")
=============================================================================
