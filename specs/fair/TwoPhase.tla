------------------------------ MODULE TwoPhase ------------------------------
(***************************************************************************)
(* Two-phase commit as in Gray and Lamport, "Consensus on Transaction      *)
(* Commit" (2006), for measuring checkers: nobody crashes, messages are    *)
(* never taken out of the network, and the same constants must give the    *)
(* same number of distinct states in every checker.                        *)
(***************************************************************************)
EXTENDS Naturals

CONSTANT N          \* resource managers

VARIABLES manager,  \* what each resource manager has done
          decision, \* of the transaction manager: none yet, commit or abort
          heard,    \* the resource managers that it knows to be prepared
          said      \* all that was ever sent

vars == <<manager, decision, heard, said>>

Manager == 1 .. N

Init ==
    /\ manager = [m \in Manager |-> "working"]
    /\ decision = "none"
    /\ heard = {}
    /\ said = {}

Hear(m) ==
    /\ decision = "none" /\ m \in said
    /\ heard' = heard \union {m}
    /\ UNCHANGED <<manager, decision, said>>

Decide(what) ==
    /\ decision = "none"
    /\ what = "commit" => heard = Manager
    /\ decision' = what
    /\ UNCHANGED <<manager, heard, said>>

Become(m, what) == manager' = [manager EXCEPT ![m] = what]

Prepare(m) ==
    /\ manager[m] = "working"
    /\ Become(m, "prepared")
    /\ said' = said \union {m}
    /\ UNCHANGED <<decision, heard>>

GiveUp(m) ==
    /\ manager[m] = "working"
    /\ Become(m, "aborted")
    /\ UNCHANGED <<decision, heard, said>>

\* The transaction manager's decision is on its way as soon as it is made.
Learn(m) ==
    /\ decision # "none"
    /\ Become(m, IF decision = "commit" THEN "committed" ELSE "aborted")
    /\ UNCHANGED <<decision, heard, said>>

Next ==
    \/ Decide("commit")
    \/ Decide("abort")
    \/ \E m \in Manager : Hear(m) \/ Prepare(m) \/ GiveUp(m) \/ Learn(m)

Spec == Init /\ [][Next]_vars

Consistent ==
    \A a, b \in Manager : ~(manager[a] = "committed" /\ manager[b] = "aborted")
=============================================================================
