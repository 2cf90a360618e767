---------------------------- MODULE MCRaftBroken ----------------------------
(***************************************************************************)
(* Raft with a mistake, to see that the properties notice.  Each           *)
(* configuration MCRaftBroken*.cfg puts one of the operators below in the  *)
(* place of the right one, and TLC must refute it, with a counterexample   *)
(* worth reading.                                                          *)
(***************************************************************************)
EXTENDS MCRaft

(* Figure 8: commits whatever a majority has, of whatever term.            *)
CommitsOldTerms(t) == CommitTo(t, DurableOnMajority(t.n.lead))

(* A vote leaves before it is durable: after a crash, the same server may  *)
(* vote again in the same term.                                            *)
VoteLeavesAtOnce(t, message) ==
    IF message.kind = "Voted" /\ message.to # t.self
    THEN [t EXCEPT !.now = @ \cup {message}]
    ELSE [t EXCEPT !.after = @ \cup {message}]

(* The leader's word to itself does not wait, so it counts its own entries *)
(* before its disk has them.                                               *)
CountsItselfAtOnce(t, message) ==
    IF message.to = t.self
    THEN [t EXCEPT !.before = @ \cup {message}]
    ELSE [t EXCEPT !.after = @ \cup {message}]

(* A new leader answers reads before it knows what earlier ones committed. *)
ForgetsItsFirstEntry(n) == n.commit

(* Compares logs by length alone.                                          *)
LongerIsBetter(p, q) == p.index >= q.index
=============================================================================
