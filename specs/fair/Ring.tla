-------------------------------- MODULE Ring --------------------------------
(***************************************************************************)
(* A token ring that heals itself: Dijkstra, Self-stabilizing systems in   *)
(* spite of distributed control (1974), the solution with K states.  It    *)
(* begins with any number of tokens.                                       *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS
    N,          \* machines
    K           \* states of each

VARIABLE x      \* the state of each machine

Machine == 0 .. N - 1

Init == x \in [Machine -> 0 .. K - 1]

HasToken(i) == IF i = 0 THEN x[0] = x[N - 1] ELSE x[i] # x[i - 1]

Pass(i) ==
    /\ HasToken(i)
    /\ x' = [x EXCEPT ![i] = IF i = 0 THEN (x[0] + 1) % K ELSE x[i - 1]]

Next == \E i \in Machine : Pass(i)

Spec == Init /\ [][Next]_x

\* Some machine moves, no matter which.
WeakSpec == Spec /\ WF_x(Next)

Legitimate == Cardinality({i \in Machine : HasToken(i)}) = 1

Stabilizes == <>[]Legitimate

Circulates == \A i \in Machine : []<>HasToken(i)
=============================================================================
