//! Designs that are known to be wrong, kept alive so that it is seen why: each is a small machine of its
//! own, checked like any protocol, and must break the one property it is kept for. A check that refutes
//! it has passed; one that does not has lost its sight.

pub mod blind_comparison;
pub mod counter_reset;
pub mod expiring_lock;
pub mod forgotten_decision;
pub mod hasty_completion;
pub mod naive_broadcast;
pub mod naive_paxos;

use crate::protocol::Bound;
use crate::{CheckError, Configuration, LivenessReport, Options, Protocol, Report, Verdict};
use crate::{check, check_liveness, explore};
use naive_paxos::Rule;
use std::io;
use std::net::SocketAddr;

/// All specimens.
pub fn all() -> Vec<Box<dyn Configuration>> {
    vec![
        Box::new(hasty_completion::specimen()),
        Box::new(expiring_lock::specimen()),
        Box::new(forgotten_decision::in_memory()),
        Box::new(forgotten_decision::taken_for_failure()),
        Box::new(counter_reset::specimen()),
        Box::new(blind_comparison::specimen()),
        Box::new(naive_broadcast::counting()),
        Box::new(naive_broadcast::repeating()),
        Box::new(naive_broadcast::keeping()),
        Box::new(naive_paxos::specimen(Rule::PromisesTellBallots)),
        Box::new(naive_paxos::specimen(Rule::BallotsAreOwned)),
        Box::new(naive_paxos::specimen(Rule::AcceptingPromises)),
    ]
}

/// A protocol that must break a property.
pub struct Specimen<P> {
    /// The protocol.
    pub protocol: P,
    /// The property that it must break.
    pub breaks: &'static str,
}

impl<P: Protocol> Configuration for Specimen<P> {
    fn title(&self) -> &str {
        self.protocol.title()
    }

    fn limits(&self) -> Vec<Bound> {
        self.protocol.limits()
    }

    fn check(self: Box<Self>, options: Options) -> Result<Report, CheckError> {
        let breaks = self.breaks;
        check(self.protocol, options).map(|report| turned(report, breaks))
    }

    fn check_liveness(self: Box<Self>, options: Options) -> Result<LivenessReport, CheckError> {
        check_liveness(self.protocol, options)
    }

    fn explore(
        self: Box<Self>,
        address: SocketAddr,
        ready: Box<dyn FnOnce(SocketAddr)>,
    ) -> io::Result<()> {
        explore(self.protocol, address, ready)
    }
}

/// Turns the verdict on the property that must break. The search ends there, so what it left undecided
/// says nothing; what else is violated stays a failure.
fn turned(mut report: Report, breaks: &str) -> Report {
    let refuted = report.violations().any(|property| property.name == breaks);
    for property in &mut report.properties {
        if property.name == breaks {
            property.verdict = match property.verdict {
                Verdict::Violated => Verdict::Refuted,
                Verdict::Holds => Verdict::Survived,
                undecided => undecided,
            };
        }
    }
    if refuted {
        let properties = &mut report.properties;
        properties.retain(|property| property.verdict != Verdict::Undecided);
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scenario;
    use quorate_machine::Machine;

    fn refuted(specimen: impl Configuration + 'static) -> Option<usize> {
        let report = Box::new(specimen).check(Options::default()).unwrap();
        assert!(report.passed(), "{report:?}");
        let mut properties = report.properties.iter();
        properties.find(|p| p.verdict == Verdict::Refuted)?.length
    }

    #[test]
    fn every_specimen_is_refuted_as_shortly_as_can_be() {
        assert_eq!(refuted(hasty_completion::specimen()), Some(3));
        assert_eq!(refuted(expiring_lock::specimen()), Some(9));
        assert_eq!(refuted(naive_broadcast::counting()), Some(4));
        assert_eq!(refuted(naive_broadcast::repeating()), Some(3));
        assert_eq!(refuted(naive_broadcast::keeping()), Some(2));
        assert_eq!(refuted(forgotten_decision::in_memory()), Some(15));
        assert_eq!(refuted(forgotten_decision::taken_for_failure()), Some(11));
        assert_eq!(refuted(counter_reset::specimen()), Some(3));
        assert_eq!(refuted(blind_comparison::specimen()), Some(3));
        let naive = |rule| refuted(naive_paxos::specimen(rule));
        assert_eq!(naive(Rule::PromisesTellBallots), Some(19));
        assert_eq!(naive(Rule::BallotsAreOwned), Some(13));
        assert_eq!(naive(Rule::AcceptingPromises), Some(19));
    }

    #[test]
    fn what_mends_them_holds() {
        fn passes<M: Machine>(one: Scenario<M>) -> bool {
            check(one, Options::default()).unwrap().passed()
        }
        assert!(passes(expiring_lock::scenario(true)));
        assert!(passes(forgotten_decision::scenario(true, true)));
        assert!(passes(counter_reset::scenario(true)));
        assert!(passes(blind_comparison::scenario(true)));
        let sound = naive_broadcast::Flaw::None;
        assert!(passes(naive_broadcast::scenario(
            "a causal broadcast",
            sound
        )));
        assert!(passes(naive_paxos::scenario(Rule::AllKept)));
    }

    #[test]
    fn a_specimen_that_survives_is_a_failure() {
        let mended = Specimen {
            protocol: expiring_lock::scenario(true),
            breaks: expiring_lock::PERSISTED_ONCE,
        };
        let report = Box::new(mended).check(Options::default()).unwrap();
        assert!(!report.passed());
        let property = report.property(expiring_lock::PERSISTED_ONCE).unwrap();
        assert_eq!(property.verdict, Verdict::Survived);
    }
}
