---------------------------- MODULE MCPaxosBroken ----------------------------
(***************************************************************************)
(* Paxos with a mistake, to see that the properties notice.  Each          *)
(* configuration MCPaxosBroken*.cfg puts one of the operators below in the *)
(* place of the right one, and TLC must refute it, with a counterexample   *)
(* worth reading.                                                          *)
(***************************************************************************)
EXTENDS MCPaxos

(* A story: everyone speaks with the third server only, waits for all      *)
(* disks, and hears of no decision.                                        *)
ThroughTheThird(m) ==
    /\ AfterSync(m)
    /\ m.kind # "Decided"
    /\ m.kind \in {"Prepare", "Accept"} => m.to = 3

(* Accepting does not promise: an acceptor that a proposal reached first   *)
(* still accepts a lower one.                                              *)
DoesNotRaise(known, b) == known

(* What is said does not wait for the disk: a promise is forgotten in a    *)
(* crash that everybody has heard.                                         *)
SpeaksAtOnce(t, messages) == [t EXCEPT !.before = @ \cup messages]

(* Ballots are rounds, and every server counts its own.                    *)
RoundsOnly(b, c) == b[1] < c[1]

(* A proposer cannot tell which of the values that it hears of is the      *)
(* latest: it takes the first.                                             *)
FirstHeard(t, m) ==
    LET phase == t.n.attempt.phase
        now == [phase EXCEPT !.promised = @ \cup {m.from},
                             !.uncovered = IF @ = Nil THEN m.accepted ELSE @]
    IN  IF t.n.attempt = Nil THEN t
        ELSE IF phase.kind # "Preparing" THEN t
        ELSE IF phase.ballot # m.ballot THEN t
        ELSE IF IsQuorum(now.promised) THEN Conclude(t, m.ballot, now.uncovered)
        ELSE [t EXCEPT !.n.attempt.phase = now]

(* A read joins a phase 1 that began before it.                            *)
CoveredAtOnce(must) == [wish |-> "Answer", covered |-> TRUE, must |-> must]
=============================================================================
