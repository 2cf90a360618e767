--------------------------- MODULE AlternatingBit ---------------------------
(***************************************************************************)
(* Transmission over channels that lose: Bartlett, Scantlebury and         *)
(* Wilkinson, A note on reliable full-duplex transmission over half-duplex *)
(* links (1969).                                                           *)
(***************************************************************************)
EXTENDS Naturals, Sequences

CONSTANT Capacity   \* messages in each channel

VARIABLES
    sending,    \* the bit of the item that the sender sends
    expected,   \* the bit of the item that the receiver waits for
    data,       \* the channel to the receiver
    acks        \* the channel back

vars == <<sending, expected, data, acks>>

Init == sending = 0 /\ expected = 0 /\ data = <<>> /\ acks = <<>>

Put(channel, bit) == IF Len(channel) < Capacity THEN Append(channel, bit) ELSE channel

Send ==
    /\ data' = Put(data, sending)
    /\ UNCHANGED <<sending, expected, acks>>

Receive ==
    /\ data # <<>>
    /\ data' = Tail(data)
    /\ acks' = Put(acks, Head(data))
    /\ expected' = IF Head(data) = expected THEN 1 - expected ELSE expected
    /\ UNCHANGED sending

ReceiveAck ==
    /\ acks # <<>>
    /\ acks' = Tail(acks)
    /\ sending' = IF Head(acks) = sending THEN 1 - sending ELSE sending
    /\ UNCHANGED <<expected, data>>

LoseData == data # <<>> /\ data' = Tail(data) /\ UNCHANGED <<sending, expected, acks>>
LoseAck == acks # <<>> /\ acks' = Tail(acks) /\ UNCHANGED <<sending, expected, data>>

Next == Send \/ Receive \/ ReceiveAck \/ LoseData \/ LoseAck

Spec == Init /\ [][Next]_vars

WeakSpec == Spec /\ WF_vars(Send) /\ WF_vars(Receive) /\ WF_vars(ReceiveAck)

StrongSpec == Spec /\ WF_vars(Send) /\ SF_vars(Receive) /\ SF_vars(ReceiveAck)

\* The channel back loses everything.
DeafSpec == Spec /\ WF_vars(Send) /\ SF_vars(Receive) /\ WF_vars(ReceiveAck)

Delivers == <>(expected = 1)

Alternates == \A bit \in {0, 1} : (sending = bit) ~> (sending = 1 - bit)
=============================================================================
