-------------------------- MODULE MCBroadcastBroken --------------------------
(***************************************************************************)
(* Causal broadcast with a mistake, which TLC must refute: a configuration *)
(* replaces one definition of the specification by one of these.           *)
(***************************************************************************)
EXTENDS MCBroadcast

\* Causes are not looked at.
DeliverableAlways(l, b) == TRUE

\* A batch is let go once one other member has it.
FloorOfOne(t) ==
    LET l == t.n.ledger
        most(p) == CHOOSE x \in {t.n.rows[q][p] : q \in Peers(t)} :
                      \A q \in Peers(t) : t.n.rows[q][p] <= x
    IN  [p \in Member |-> Min(l.holds[p], most(p))]

\* What is said does not wait for the record of the same step.
SaidAtOnce(t, messages) == [t EXCEPT !.before = @ \cup messages]

\* A member that comes back begins with an empty ledger.
StartAnew(ledger) ==
    [up |-> TRUE, ledger |-> EmptyLedger, rows |-> [p \in Member |-> Zero],
     outbox |-> <<>>, untold |-> FALSE, asking |-> FALSE, unrecorded |-> FALSE]

=============================================================================
