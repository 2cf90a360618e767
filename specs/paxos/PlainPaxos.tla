----------------------------- MODULE PlainPaxos -----------------------------
(***************************************************************************)
(* Paxos at the grain at which it is usually specified (Lamport, "Paxos    *)
(* Made Simple"): ballots that anybody may begin, acceptors that promise   *)
(* or accept and say so in one step, no crashes, no clients.  It is here   *)
(* to be counted beside Paxos.tla, and beside what others have published.  *)
(***************************************************************************)
EXTENDS Integers, FiniteSets

CONSTANTS Acceptor, Value, MaxBallot, None

VARIABLES
    promised,   \* per acceptor the highest ballot that it has promised
    accepted,   \* per acceptor what it has accepted last
    sent        \* every message

vars == <<promised, accepted, sent>>

Ballot == 0..MaxBallot
IsQuorum(S) == 2 * Cardinality(S) > Cardinality(Acceptor)
Nothing == [ballot |-> -1, value |-> None]

Init ==
    /\ promised = [a \in Acceptor |-> -1]
    /\ accepted = [a \in Acceptor |-> Nothing]
    /\ sent = {}

Say(m) == sent' = sent \cup {m}

Prepare(b) == Say([kind |-> "prepare", ballot |-> b]) /\ UNCHANGED <<promised, accepted>>

Promise(a, b) ==
    /\ [kind |-> "prepare", ballot |-> b] \in sent /\ b > promised[a]
    /\ promised' = [promised EXCEPT ![a] = b]
    /\ Say([kind |-> "promise", from |-> a, ballot |-> b, accepted |-> accepted[a]])
    /\ UNCHANGED accepted

Promises(b) == {m \in sent : m.kind = "promise" /\ m.ballot = b}

Propose(b, v) ==
    /\ ~\E m \in sent : m.kind = "accept" /\ m.ballot = b
    /\ \E Q \in SUBSET Promises(b) :
        /\ IsQuorum({m.from : m \in Q})
        /\ \/ \A m \in Q : m.accepted = Nothing
           \/ \E m \in Q :
                /\ m.accepted.value = v
                /\ \A n \in Q : n.accepted.ballot <= m.accepted.ballot
    /\ Say([kind |-> "accept", ballot |-> b, value |-> v])
    /\ UNCHANGED <<promised, accepted>>

Accept(a, b, v) ==
    /\ [kind |-> "accept", ballot |-> b, value |-> v] \in sent /\ b >= promised[a]
    /\ promised' = [promised EXCEPT ![a] = b]
    /\ accepted' = [accepted EXCEPT ![a] = [ballot |-> b, value |-> v]]
    /\ Say([kind |-> "accepted", from |-> a, ballot |-> b, value |-> v])

Next ==
    \E b \in Ballot :
        \/ Prepare(b)
        \/ \E a \in Acceptor : Promise(a, b)
        \/ \E v \in Value : Propose(b, v)
        \/ \E a \in Acceptor, v \in Value : Accept(a, b, v)

Spec == Init /\ [][Next]_vars

Chosen ==
    {v \in Value : \E b \in Ballot : IsQuorum({a \in Acceptor :
        [kind |-> "accepted", from |-> a, ballot |-> b, value |-> v] \in sent})}

Agreement == Cardinality(Chosen) <= 1
=============================================================================
