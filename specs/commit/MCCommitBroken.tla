--------------------------- MODULE MCCommitBroken ---------------------------
(***************************************************************************)
(* Two-phase commit with a mistake, to see that the properties notice.  A  *)
(* configuration names the one it makes.                                   *)
(***************************************************************************)
EXTENDS MCCommit

Change(step) == step /\ Free /\ Fits

(* An uncertain participant that waits for too long aborts by itself.      *)
AbortsAlone(s, t) ==
    /\ Up(s) /\ node[s].joined[t] = "Uncertain"
    /\ Takes(s, OnDecided(Turn(s, node[s]), t, "Abort"))
AloneSpec == MCInit /\ [][MCNext \/ Change(\E s \in Node, t \in Txn : AbortsAlone(s, t))]_mcvars

(* Whoever has not voted tells another one that asks to abort, and then    *)
(* votes as if it had not.                                                 *)
AnswersLightly(m) ==
    /\ m.kind = "Inquire" /\ Up(m.to) /\ node[m.to].joined[m.txn] \in {"None", "Preparing"}
    /\ LET u == Turn(m.to, node[m.to])
       IN  Takes(m.to, Promise(u, {Saying(u, "Answered", m.txn, m.from, "Abort")}))
LightSpec == MCInit /\ [][MCNext \/ Change(\E m \in net : AnswersLightly(m))]_mcvars

(* A coordinator that does not know a transaction presumes that it has     *)
(* committed.                                                              *)
PresumesCommit(m) ==
    /\ m.kind = "Voted" /\ m.says = "Yes" /\ Up(m.to) /\ node[m.to].open[m.txn].stage = "None"
    /\ LET u == Turn(m.to, node[m.to])
       IN  Takes(m.to, Promise(u, {Saying(u, "Decided", m.txn, m.from, "Commit")}))
PresumingSpec == MCInit /\ [][MCNext \/ Change(\E m \in net : PresumesCommit(m))]_mcvars

(* A participant that has committed forgets it at once.  Who asks is told  *)
(* what is said of everything that is not known: aborted.                  *)
ForgetsAtOnce(s, t) ==
    /\ Up(s) /\ node[s].joined[t] = "Done"
    /\ Takes(s, Forgetting(Turn(s, node[s]), t))
ForgetfulSpec == MCInit /\ [][MCNext \/ Change(\E s \in Node, t \in Txn : ForgetsAtOnce(s, t))]_mcvars
=============================================================================
