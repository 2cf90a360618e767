//! W3C Trace Context Level 2 and Baggage: inject, extract, and the check of propagation.
