----------------------------- MODULE TraceRaft -----------------------------
(***************************************************************************)
(* Whether what a real cluster did is a behaviour of Raft.tla.  `quorate   *)
(* conform' reads the event logs of all members, orders their steps by     *)
(* causality, and writes a module that extends this one with what it read: *)
(*                                                                         *)
(*   Members   the members, in some order;                                 *)
(*   Message   every message that occurs;                                  *)
(*   Window    stretches of the run.  Each has the state that it starts    *)
(*             from, the steps, and the state that it ends in, which is    *)
(*             the one that the next window starts from.                   *)
(*                                                                         *)
(* A step names an action of the specification and its argument, and says  *)
(* what was seen afterwards: of the server that took it, and of what it    *)
(* sent.  So nothing is searched for; TLC takes the action and compares.   *)
(*                                                                         *)
(* Between two windows messages may be lost, as `net' may always be        *)
(* thinned: what is never received need not be there.  What a window       *)
(* starts with must have been in `net' at the end of the one before.       *)
(* The ghosts `acked' and `answers' start empty; no action reads them.     *)
(*                                                                         *)
(* After Cirstea, Kuppe, Loillier and Merz, "Validating Traces of          *)
(* Distributed Programs Against TLA+ Specifications" (2024).               *)
(***************************************************************************)
EXTENDS Raft, TLC

CONSTANTS Members, Message, Window

VARIABLES
    window,     \* which one
    at          \* the step that is next

tracevars == <<vars, window, at>>

-----------------------------------------------------------------------------
(* What is seen of a server after each step of it.  The rest of its state  *)
(* is compared where a window ends.                                        *)

Seen(n) ==
    IF n.role = "Down" THEN [role |-> "Down"]
    ELSE [role |-> n.role, term |-> n.term, vote |-> n.vote, commit |-> n.commit,
          leader |-> n.leader, votes |-> n.votes,
          length |-> Len(n.log), last |-> Last(n.log).term,
          round |-> IF Leads(n) THEN n.lead.round ELSE 0,
          progress |->
            IF ~Leads(n) THEN <<>>
            ELSE [i \in 1..Len(Members) |->
                    LET p == n.lead.progress[Members[i]]
                    IN  <<p.matched, p.next, p.flow, p.round, p.active>>]]

DecidedOf(log, by) == [i \in 1..Len(log) |-> [entry |-> log[i], by |-> by[i]]]

Messages(numbers) == {Message[k] : k \in numbers}

\* Says what differs, once.
Same(what, seen, specified) ==
    IF seen = specified THEN TRUE
    ELSE PrintT(<<"differs", window, at, what, specified>>) /\ FALSE

Sends(seen) ==
    LET missing == (net' \ net) \ seen
        unknown == seen \ net'
    IN  IF missing = {} /\ unknown = {} THEN TRUE
        ELSE PrintT(<<"differs", window, at, "sent",
                      [unsent |-> missing, unspecified |-> unknown]>>) /\ FALSE

Holds(what, property) ==
    IF property THEN TRUE ELSE PrintT(<<"violated", window, at, what>>) /\ FALSE

-----------------------------------------------------------------------------
(* The run.                                                                *)

TraceInit ==
    \E w \in 1..Len(Window) :
        LET state == Window[w].start
        IN  /\ window = w
            /\ at = 1
            /\ node = state.node
            /\ disk = state.disk
            /\ unsynced = state.unsynced
            /\ promised = state.promised
            /\ net = Messages(state.net)
            /\ decided = state.decided
            /\ acked = {}
            /\ answers = {}

\* A step is <<action, server, argument, numbers of messages sent, what is seen>>.
Does(step) ==
    LET s == step[2]
    IN  \/ /\ step[1] = "Receive"
           /\ Message[step[3]] \in net
           /\ Receive(Message[step[3]])
        \/ step[1] = "Timeout" /\ Timeout(s)
        \/ step[1] = "Heartbeat" /\ Heartbeat(s)
        \/ step[1] = "QuorumCheck" /\ QuorumCheck(s)
        \/ step[1] = "Replicate" /\ Replicate(s)
        \/ step[1] = "ClientWrite" /\ step[3] \in Write /\ ClientWrite(s, step[3])
        \/ step[1] = "ClientRead" /\ ClientRead(s)
        \/ step[1] = "Sync" /\ Sync(s)
        \/ step[1] = "Crash" /\ Crash(s)
        \/ step[1] = "Recover" /\ Recover(s)
        \/ step[1] = "Stutter" /\ UNCHANGED vars

Steps ==
    LET steps == Window[window].steps
    IN  /\ at <= Len(steps)
        /\ PrintT(<<"step", window, at>>)
        /\ Does(steps[at])
        /\ Same("seen", steps[at][5], Seen(node'[steps[at][2]]))
        /\ Sends(Messages(steps[at][4]))
        /\ Holds("ReadsAreLinearizable", ReadsAreLinearizable')
        /\ Holds("ElectionSafety", ElectionSafety')
        /\ at' = at + 1
        /\ UNCHANGED window

Arrives ==
    LET state == Window[window].end
    IN  /\ at = Len(Window[window].steps) + 1
        /\ Same("node", state.node, node)
        /\ Same("disk", state.disk, disk)
        /\ Same("unsynced", state.unsynced, unsynced)
        /\ Same("promised", state.promised, promised)
        /\ Same("decided", state.decided, decided)
        /\ Same("net", {}, Messages(state.net) \ net)
        /\ PrintT(<<"arrived", window, at>>)
        /\ at' = at + 1
        /\ UNCHANGED <<vars, window>>

TraceSpec == TraceInit /\ [][Steps \/ Arrives]_tracevars
=============================================================================
