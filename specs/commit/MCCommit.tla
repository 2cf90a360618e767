------------------------------ MODULE MCCommit ------------------------------
(***************************************************************************)
(* Two-phase commit within bounds.  A bound is a guard of an action, so    *)
(* what TLC counts is exactly what the bounded system can reach.  Each     *)
(* kind of step has a name, for verification/refinement.                   *)
(***************************************************************************)
EXTENDS Commit, TLC

CONSTANTS
    MaxCrashes,     \* crashes of all nodes together
    MaxRefusals,    \* votes against
    MaxImpatience,  \* times that a coordinator does not wait any longer
    MaxUnsynced,    \* outstanding batches of one node
    Patient,        \* whether participants ask only after a crash
    Away,           \* nodes that never come back
    Sought          \* what must be reached (below)

CONSTANTS a, b, c

VARIABLE spent      \* ghost: what of the bounds is used up

mcvars == <<vars, spent>>

\* One coordinates and the others take part, or it takes part itself.
OneCoordinates == [t \in Txn |-> a]
OthersTakePart == [t \in Txn |-> Node \ {a}]
AllTakePart == [t \in Txn |-> Node]

MCInit == Init /\ spent = [crashes |-> 0, refusals |-> 0, impatience |-> 0]

Free == UNCHANGED spent
Spend(what, max) == spent[what] < max /\ spent' = [spent EXCEPT ![what] = @ + 1]
Fits == \A s \in Node : Len(unsynced'[s]) <= MaxUnsynced

Begins(t) == Free /\ Begin(t) /\ Fits
VotesYes(s, t) == Free /\ Vote(s, t, "Yes") /\ Fits
VotesNo(s, t) == Spend("refusals", MaxRefusals) /\ Vote(s, t, "No") /\ Fits
Dones(s, t) == Free /\ Done(s, t) /\ Fits
LosesPatience(s, t) ==
    /\ IF node[s] # Down /\ node[s].open[t].stage = "Voting"
       THEN Spend("impatience", MaxImpatience) ELSE Free
    /\ LosePatience(s, t) /\ Fits
Waits(s, t) ==
    /\ Free /\ (Patient /\ Up(s) /\ node[s].joined[t] = "Uncertain" => spent.crashes > 0)
    /\ Wait(s, t) /\ Fits
Learns(s, t) == Free /\ Learn(s, t) /\ Fits
Syncs(s) == Free /\ Sync(s) /\ Fits
Crashes(s) == Spend("crashes", MaxCrashes) /\ Crash(s) /\ Fits
Recovers(s) == Free /\ s \notin Away /\ Recover(s) /\ Fits

Arrives(kind) == \E m \in net : m.kind = kind /\ Receive(m)
ReceivesPrepare == Free /\ Arrives("Prepare") /\ Fits
ReceivesVoted == Free /\ Arrives("Voted") /\ Fits
ReceivesDecided == Free /\ Arrives("Decided") /\ Fits
ReceivesAcknowledged == Free /\ Arrives("Acknowledged") /\ Fits
ReceivesForget == Free /\ Arrives("Forget") /\ Fits
ReceivesInquire == Free /\ Arrives("Inquire") /\ Fits
ReceivesAnswered == Free /\ Arrives("Answered") /\ Fits

MCNext ==
    \/ \E t \in Txn : Begins(t)
    \/ \E s \in Node, t \in Txn :
        \/ VotesYes(s, t) \/ VotesNo(s, t) \/ Dones(s, t)
        \/ LosesPatience(s, t) \/ Waits(s, t) \/ Learns(s, t)
    \/ \E s \in Node : Syncs(s) \/ Crashes(s) \/ Recovers(s)
    \/ ReceivesPrepare \/ ReceivesVoted \/ ReceivesDecided \/ ReceivesAcknowledged
    \/ ReceivesForget \/ ReceivesInquire \/ ReceivesAnswered

MCSpec == MCInit /\ [][MCNext]_mcvars

\* Nothing is ever taken from the network, so weak fairness is enough.
ArrivesAt(s, kind) == Free /\ (\E m \in net : m.kind = kind /\ m.to = s /\ Receive(m)) /\ Fits
FairNetwork ==
    /\ \A s \in Node : WF_mcvars(Syncs(s))
    /\ \A s \in Node : WF_mcvars(Recovers(s))
    /\ \A s \in Node : WF_mcvars(ArrivesAt(s, "Voted"))
    /\ \A s \in Node : WF_mcvars(ArrivesAt(s, "Decided"))
    /\ \A s \in Node : WF_mcvars(ArrivesAt(s, "Inquire"))
    /\ \A s \in Node : WF_mcvars(ArrivesAt(s, "Answered"))

FairSpec ==
    /\ MCSpec /\ FairNetwork
    /\ \A s \in Node, t \in Txn : WF_mcvars(Waits(s, t))
    /\ \A s \in Node, t \in Txn : WF_mcvars(Learns(s, t))

\* The same, and nobody who waits asks.
SilentSpec == MCSpec /\ FairNetwork

\* Who is up decides, whoever is down.
UncertainHere(s, t) == Up(s) /\ node[s].joined[t] = "Uncertain"
DecidesAlone == \A s \in Node, t \in Txn : UncertainHere(s, t) ~> ~UncertainHere(s, t)

-----------------------------------------------------------------------------
(* What must be reachable, or the properties hold of nothing.              *)

\* What plain two-phase commit cannot get out of by itself.
Blocked ==
    \E t \in Txn :
        LET here == {s \in Participants[t] : Up(s)}
        IN  /\ ~Up(Coordinator[t]) /\ here # {}
            /\ \A s \in here : node[s].joined[t] = "Uncertain"
            /\ ~\E m \in net : m.txn = t /\ m.kind \in {"Decided", "Answered"}

Happens(what) ==
    CASE what = "commit" -> \E t \in Txn : "Commit" \in caller'[t].told
      [] what = "refusal" -> \E t \in Txn : "Abort" \in caller'[t].told
      [] what = "all-forgotten" ->
            \E t \in Txn : /\ "Commit" \in caller[t].told
                           /\ \A s \in Node : /\ t \notin disk'[s].committed
                                              /\ disk'[s].votes[t] = "None"
      [] what = "blocked" -> Blocked'
      [] what = "helped-to-commit" -> \E m \in net' : m.kind = "Answered" /\ m.says = "Commit"
      [] what = "helped-to-abort" -> \E m \in net' : m.kind = "Answered" /\ m.says = "Abort"
      [] what = "crash-before-sync" -> \E s \in Node : Up(s) /\ ~Up(s)' /\ unsynced[s] # <<>>
      [] what = "overtaken" ->
            \E t \in Txn : agreed'[t] = "Abort" /\ \E s \in Node : t \in disk'[s].committed
      [] what = "prompt" ->
            \E m \in net' : m \notin net /\ m.kind = "Prepare" /\ unsynced[m.from] # <<>> /\ disk' = disk

Occasions == <<
    "commit", "refusal", "all-forgotten", "blocked", "helped-to-commit", "helped-to-abort",
    "crash-before-sync", "overtaken", "prompt" >>

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
