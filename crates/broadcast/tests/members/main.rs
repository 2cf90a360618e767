//! Groups of three members: random executions, scenarios as scripts, and a member that sends too much.

mod flood;
mod golden;
mod group;
mod random;
