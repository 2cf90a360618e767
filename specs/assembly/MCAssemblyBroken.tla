-------------------------- MODULE MCAssemblyBroken --------------------------
(***************************************************************************)
(* Assembly with a mistake, to see that the properties notice.             *)
(***************************************************************************)
EXTENDS MCAssembly

Change(step) == step /\ Free

(* A trace is complete as soon as every parent that its spans name has     *)
(* arrived, and then it is closed: what comes later is acknowledged, and   *)
(* belongs to nothing.                                                     *)
Closed == \E i \in 1..Len(store) : store[i].verdict = "complete"
HastyLogged(s) ==
    /\ Up /\ s \in unlogged
    /\ unlogged' = unlogged \ {s}
    /\ told' = told \cup {s}
    /\ IF Closed
       THEN UNCHANGED <<log, store, open, phase>>
       ELSE /\ log' = log \cup {s}
            /\ IF Whole(open \cup {s})
               THEN /\ store' = Append(store, [spans |-> open \cup {s}, verdict |-> "complete"])
                    /\ open' = {} /\ phase' = "absent"
               ELSE Enter({s}) /\ UNCHANGED store
    /\ UNCHANGED <<sealing, cause, given>>
HastySpec ==
    MCInit /\ [][\/ Change(\E s \in Span : HastyLogged(s))
                 \/ /\ spent.offers < MaxOffers /\ Spend("offers")
                    /\ \E s \in Offered : Offer(s)]_mcvars

(* Eviction frees the memory, and that is all that it does.                *)
DroppingEviction ==
    /\ phase \in {"active", "collecting"}
    /\ open' = {} /\ phase' = "absent"
    /\ UNCHANGED <<unlogged, log, store, told, sealing, cause, given>>
DroppingSpec == MCInit /\ [][MCNext \/ Change(DroppingEviction)]_mcvars

(* The spans leave memory, and the log, when they are given to the store.  *)
EarlyRelease ==
    /\ phase = "sealing" /\ given # Nothing /\ log' = log \ sealing
    /\ UNCHANGED <<unlogged, store, told, open, sealing, phase, cause, given>>
EarlySpec == MCInit /\ [][MCNext \/ Change(EarlyRelease)]_mcvars
=============================================================================
