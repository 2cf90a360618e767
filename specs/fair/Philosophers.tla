---------------------------- MODULE Philosophers ----------------------------
(***************************************************************************)
(* Dining philosophers, who take one fork after the other.                 *)
(***************************************************************************)
EXTENDS Naturals

CONSTANTS
    N,          \* philosophers, and forks: fork p is to the left of philosopher p
    Ordered     \* whether the last philosopher takes the right fork first

VARIABLES
    phase,      \* of each philosopher: thinking, hungry, holding one fork, eating
    fork        \* who holds each fork; N if nobody does

vars == <<phase, fork>>

Philosopher == 0 .. N - 1
Nobody == N

Left(p) == p
Right(p) == (p + 1) % N
Turned(p) == Ordered /\ p = N - 1
First(p) == IF Turned(p) THEN Right(p) ELSE Left(p)
Second(p) == IF Turned(p) THEN Left(p) ELSE Right(p)

Init ==
    /\ phase = [p \in Philosopher |-> "thinking"]
    /\ fork = [p \in Philosopher |-> Nobody]

Hunger(p) ==
    /\ phase[p] = "thinking"
    /\ phase' = [phase EXCEPT ![p] = "hungry"]
    /\ UNCHANGED fork

TakeFirst(p) ==
    /\ phase[p] = "hungry" /\ fork[First(p)] = Nobody
    /\ phase' = [phase EXCEPT ![p] = "holding"]
    /\ fork' = [fork EXCEPT ![First(p)] = p]

TakeSecond(p) ==
    /\ phase[p] = "holding" /\ fork[Second(p)] = Nobody
    /\ phase' = [phase EXCEPT ![p] = "eating"]
    /\ fork' = [fork EXCEPT ![Second(p)] = p]

Finish(p) ==
    /\ phase[p] = "eating"
    /\ phase' = [phase EXCEPT ![p] = "thinking"]
    /\ fork' = [fork EXCEPT ![First(p)] = Nobody, ![Second(p)] = Nobody]

Next == \E p \in Philosopher : Hunger(p) \/ TakeFirst(p) \/ TakeSecond(p) \/ Finish(p)

Spec == Init /\ [][Next]_vars

WeakSpec ==
    /\ Spec
    /\ \A p \in Philosopher : /\ WF_vars(TakeFirst(p))
                              /\ WF_vars(TakeSecond(p))
                              /\ WF_vars(Finish(p))

StrongSpec ==
    /\ Spec
    /\ \A p \in Philosopher : /\ SF_vars(TakeFirst(p))
                              /\ SF_vars(TakeSecond(p))
                              /\ WF_vars(Finish(p))

HungryEat == \A p \in Philosopher : (phase[p] = "hungry") ~> (phase[p] = "eating")
=============================================================================
