//! How far a clock is off, from what time servers say: NTP's on-wire arithmetic and its selection.
//!
//! # One server
//!
//! A client notes when it asks (T1) and when the answer arrives (T4); the server says when the question
//! arrived (T2) and the answer left (T3), by its own clock. Then (RFC 5905, section 8)
//!
//! ```text
//! offset = ((T2 − T1) + (T3 − T4)) / 2      what the client's clock is behind by
//! delay  =  (T4 − T1) − (T3 − T2)           what was spent on the way, both ways
//! ```
//!
//! The offset is right if both ways took the same time. If they did not it is wrong by at most half the delay,
//! to which comes what the server owns to be off by itself. That sum is the sample's *distance*: the truth is
//! within it of the offset, unless the server is mistaken or lies.
//!
//! # Several servers
//!
//! Every sample is thus an interval, and those that are right share a point: the truth. [`judge`] looks for
//! points that a majority of the intervals contain. A sample that has none of them is an outlier and
//! *outvoted*; the estimate is the median of the others. This is the idea of Marzullo's algorithm and of
//! NTP's selection (RFC 5905, section 11.2.1), which look for the points that *most* intervals contain. These
//! two may be led away from the truth by few liars that agree with a few honest but distant servers; a
//! majority cannot:
//!
//! > If the intervals of a majority contain the truth, the truth is within the estimate's bounds, whatever
//! > the others say.
//!
//! For the leftmost point with a majority is at or left of the truth, which has one too, and likewise the
//! rightmost.

use std::fmt;

/// The four timestamps of an exchange, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// T1: the question left, by the client's clock.
    pub asked_ns: i64,
    /// T2: it arrived, by the server's clock.
    pub received_ns: i64,
    /// T3: the answer left, by the server's clock.
    pub answered_ns: i64,
    /// T4: it arrived, by the client's clock.
    pub arrived_ns: i64,
}

/// What one server says of the client's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What the client's clock is behind by; negative if it is ahead.
    pub offset_ns: i64,
    /// What was spent on the way, both ways.
    pub delay_ns: u64,
    /// How far the offset is from the truth at most, if the server is right about itself.
    pub distance_ns: u64,
}

impl Exchange {
    /// Offset and delay. `server_ns` is what the server is off by itself at most, and whatever else is to
    /// be allowed for.
    pub fn sample(&self, server_ns: u64) -> Result<Sample, InvalidExchange> {
        let Exchange {
            asked_ns,
            received_ns,
            answered_ns,
            arrived_ns,
        } = *self;
        let [asked, received, answered, arrived] =
            [asked_ns, received_ns, answered_ns, arrived_ns].map(i128::from);
        if arrived < asked {
            return Err(InvalidExchange::ArrivedBeforeAsked);
        }
        if answered < received {
            return Err(InvalidExchange::AnsweredBeforeReceived);
        }
        let away = arrived - asked;
        let there = answered - received;
        if there > away {
            return Err(InvalidExchange::LongerThereThanAway);
        }
        let in_range = |_| InvalidExchange::OutOfRange;
        let offset = ((received - asked) + (answered - arrived)) / 2;
        let delay_ns = u64::try_from(away - there).map_err(in_range)?;
        Ok(Sample {
            offset_ns: i64::try_from(offset).map_err(in_range)?,
            delay_ns,
            distance_ns: delay_ns.div_ceil(2).saturating_add(server_ns),
        })
    }
}

impl Sample {
    fn low(&self) -> i64 {
        self.offset_ns.saturating_sub_unsigned(self.distance_ns)
    }

    fn high(&self) -> i64 {
        self.offset_ns.saturating_add_unsigned(self.distance_ns)
    }

    fn contains(&self, point: i64) -> bool {
        (self.low()..=self.high()).contains(&point)
    }
}

/// Why four timestamps cannot be those of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidExchange {
    /// The answer arrived before the question was asked: the client's clock was set back in between.
    ArrivedBeforeAsked,
    /// The server says that it answered before it was asked.
    AnsweredBeforeReceived,
    /// The server says that it took longer over the answer than the client waited for it.
    LongerThereThanAway,
    /// Times are centuries apart.
    OutOfRange,
}

impl fmt::Display for InvalidExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidExchange::ArrivedBeforeAsked => "this machine's clock was set back meanwhile",
            InvalidExchange::AnsweredBeforeReceived => {
                "the server says that it answered before it was asked"
            }
            InvalidExchange::LongerThereThanAway => {
                "the server says that it took longer than the answer did"
            }
            InvalidExchange::OutOfRange => "the clocks are centuries apart",
        })
    }
}

impl std::error::Error for InvalidExchange {}

/// What several samples say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Of each sample, in their order.
    pub verdicts: Vec<Verdict>,
    /// The offset, if a majority of the samples that are near enough agree.
    pub estimate: Option<Estimate>,
}

/// What becomes of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It agrees with a majority and counts.
    Kept,
    /// It agrees with no majority: it is wrong, or all of that majority are.
    Outvoted,
    /// It says too little: its distance is beyond the limit.
    TooDistant,
}

/// How far the clock is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// What the clock is behind by, most likely: the median of the samples that were kept. Negative if it is
    /// ahead.
    pub offset_ns: i64,
    /// It is not behind by less, if a majority is right.
    pub low_ns: i64,
    /// It is not behind by more, if a majority is right.
    pub high_ns: i64,
}

/// Which samples agree, and on what. Samples whose distance is beyond `distance_max_ns` do not vote. The time
/// taken is quadratic in the number of samples.
pub fn judge(samples: &[Sample], distance_max_ns: u64) -> Judgement {
    let is_near = |sample: &&Sample| sample.distance_ns <= distance_max_ns;
    let voters: Vec<Sample> = samples.iter().filter(is_near).copied().collect();
    let majority = voters.len() / 2 + 1;
    let has_majority = |point: &i64| {
        let agreeing = voters.iter().filter(|sample| sample.contains(*point));
        agreeing.count() >= majority
    };
    // Coverage rises only where an interval begins, so some beginning is as well covered as any point near.
    let mut agreed: Vec<i64> = voters
        .iter()
        .map(Sample::low)
        .filter(has_majority)
        .collect();
    agreed.sort_unstable();
    let verdict = |sample: &Sample| {
        if sample.distance_ns > distance_max_ns {
            Verdict::TooDistant
        } else if agreed.iter().any(|point| sample.contains(*point)) {
            Verdict::Kept
        } else {
            Verdict::Outvoted
        }
    };
    let verdicts: Vec<Verdict> = samples.iter().map(verdict).collect();
    let ends = voters.iter().map(Sample::high).filter(has_majority);
    let bounds = agreed.first().copied().zip(ends.max());
    let estimate = bounds.map(|(low_ns, high_ns)| {
        let judged = samples.iter().zip(&verdicts);
        let kept = judged.filter(|(_, verdict)| **verdict == Verdict::Kept);
        let mut offsets: Vec<i64> = kept.map(|(sample, _)| sample.offset_ns).collect();
        offsets.sort_unstable();
        Estimate {
            offset_ns: median(&offsets).clamp(low_ns, high_ns),
            low_ns,
            high_ns,
        }
    });
    Judgement { verdicts, estimate }
}

/// Of sorted numbers; between the two in the middle if there is none. Zero of none.
fn median(sorted: &[i64]) -> i64 {
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    match sorted.len() % 2 {
        0 if !sorted.is_empty() => {
            let lower = sorted[sorted.len() / 2 - 1];
            ((i128::from(lower) + i128::from(upper)) / 2) as i64
        }
        _ => upper,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(offset_ns: i64, distance_ns: u64) -> Sample {
        Sample {
            offset_ns,
            delay_ns: 2 * distance_ns,
            distance_ns,
        }
    }

    fn estimate(offset_ns: i64, low_ns: i64, high_ns: i64) -> Option<Estimate> {
        Some(Estimate {
            offset_ns,
            low_ns,
            high_ns,
        })
    }

    #[test]
    fn an_exchange_by_hand() {
        // Behind by 100, 10 on the way there, 3 at the server, 20 on the way back.
        let exchange = Exchange {
            asked_ns: 1_000,
            received_ns: 1_110,
            answered_ns: 1_113,
            arrived_ns: 1_033,
        };
        let sample = exchange.sample(7).unwrap();
        assert_eq!((sample.offset_ns, sample.delay_ns), (95, 30));
        assert_eq!(sample.distance_ns, 15 + 7);
    }

    #[test]
    fn what_is_no_exchange_is_refused() {
        let of = |[asked_ns, received_ns, answered_ns, arrived_ns]: [i64; 4]| {
            let exchange = Exchange {
                asked_ns,
                received_ns,
                answered_ns,
                arrived_ns,
            };
            exchange.sample(0).unwrap_err()
        };
        assert_eq!(of([5, 1, 1, 4]), InvalidExchange::ArrivedBeforeAsked);
        assert_eq!(of([1, 9, 8, 2]), InvalidExchange::AnsweredBeforeReceived);
        assert_eq!(of([1, 5, 9, 4]), InvalidExchange::LongerThereThanAway);
        let centuries = [i64::MIN, i64::MAX, i64::MAX, i64::MIN];
        assert_eq!(of(centuries), InvalidExchange::OutOfRange);
    }

    #[test]
    fn an_outlier_is_outvoted_and_a_distant_sample_has_no_vote() {
        let samples = [sample(10, 5), sample(250, 5), sample(12, 5), sample(0, 900)];
        let judgement = judge(&samples, 100);
        use Verdict::{Kept, Outvoted, TooDistant};
        assert_eq!(judgement.verdicts, [Kept, Outvoted, Kept, TooDistant]);
        assert_eq!(judgement.estimate, estimate(11, 7, 15));
    }

    #[test]
    fn one_is_a_majority_of_one_and_not_of_two() {
        assert_eq!(judge(&[sample(3, 1)], 9).estimate, estimate(3, 2, 4));
        let two = judge(&[sample(3, 1), sample(9, 1)], 9);
        assert_eq!(two.estimate, None);
        assert_eq!(two.verdicts, [Verdict::Outvoted; 2]);
        assert_eq!(judge(&[], 9).estimate, None);
        assert_eq!(judge(&[sample(3, 10)], 9).estimate, None);
    }

    #[test]
    fn two_liars_who_agree_with_distant_servers_do_not_lead_away_from_the_truth() {
        // The truth is 0, and three of six say so closely or not. Five agree on what the liars say.
        let honest = [sample(0, 9), sample(0, 9), sample(0, 9), sample(0, 1)];
        let lying = [sample(7, 1), sample(7, 1)];
        let judgement = judge(&[&honest[..], &lying[..]].concat(), 100);
        let bounds = judgement.estimate.unwrap();
        assert!(bounds.low_ns <= 0 && 0 <= bounds.high_ns, "{bounds:?}");
    }

    proptest! {
        /// Whatever the ways take, the offset is wrong by no more than half the delay.
        #[test]
        fn the_truth_is_within_half_the_delay(
            asked_ns in -1_000_000_000_i64..1_000_000_000,
            behind_ns in -1_000_000_000_i64..1_000_000_000,
            there_ns in 0..1_000_000_i64,
            taken_ns in 0..1_000_000_i64,
            back_ns in 0..1_000_000_i64,
        ) {
            let received_ns = asked_ns + there_ns + behind_ns;
            let answered_ns = received_ns + taken_ns;
            let arrived_ns = asked_ns + there_ns + taken_ns + back_ns;
            let exchange = Exchange { asked_ns, received_ns, answered_ns, arrived_ns };
            let sample = exchange.sample(0).unwrap();
            prop_assert_eq!(sample.delay_ns, (there_ns + back_ns) as u64);
            prop_assert!(sample.contains(behind_ns));
        }

        #[test]
        fn any_timestamps_give_a_sample_or_are_refused(
            times in any::<[i64; 4]>(),
            server_ns in any::<u64>(),
        ) {
            let [asked_ns, received_ns, answered_ns, arrived_ns] = times;
            let exchange = Exchange { asked_ns, received_ns, answered_ns, arrived_ns };
            if let Ok(sample) = exchange.sample(server_ns) {
                let judgement = judge(&[sample], u64::MAX);
                prop_assert_eq!(judgement.estimate.map(|found| found.offset_ns), Some(sample.offset_ns));
            }
        }

        /// Liars may know all that the honest say.
        #[test]
        fn a_majority_that_is_right_cannot_be_led_away(
            truth in -100..100_i64,
            honest in prop::collection::vec((0..50_i64, 0..50_u64), 1..8),
            lies in prop::collection::vec((-200..200_i64, 0..50_u64), 0..7),
            order in any::<prop::sample::Index>(),
        ) {
            let honest = honest.iter().map(|(off, more)| {
                let offset = if more % 2 == 0 { truth + off } else { truth - off };
                sample(offset, *off as u64 + more)
            });
            let mut samples: Vec<Sample> = honest.collect();
            let lies = lies.iter().take(samples.len() - 1);
            samples.extend(lies.map(|(offset, distance)| sample(*offset, *distance)));
            let at = order.index(samples.len());
            samples.rotate_left(at);
            let judgement = judge(&samples, u64::MAX);
            let found = judgement.estimate.unwrap();
            prop_assert!((found.low_ns..=found.high_ns).contains(&truth));
            prop_assert!((found.low_ns..=found.high_ns).contains(&found.offset_ns));
            for (sample, verdict) in samples.iter().zip(&judgement.verdicts) {
                let is_right = sample.contains(truth);
                prop_assert!(!is_right || *verdict == Verdict::Kept);
            }
        }

        /// A sample is kept exactly if there is a point that it shares with a majority.
        #[test]
        fn outvoted_is_who_shares_no_point_with_a_majority(
            samples in prop::collection::vec((-20..20_i64, 0..12_u64), 1..8),
        ) {
            let samples: Vec<Sample> = samples.iter().map(|(at, by)| sample(*at, *by)).collect();
            let judgement = judge(&samples, u64::MAX);
            let agreed = |point: &i64| {
                let agreeing = samples.iter().filter(|sample| sample.contains(*point)).count();
                2 * agreeing > samples.len()
            };
            let points: Vec<i64> = (-40..40).filter(agreed).collect();
            for (sample, verdict) in samples.iter().zip(&judgement.verdicts) {
                let shares = points.iter().any(|point| sample.contains(*point));
                prop_assert_eq!(*verdict == Verdict::Kept, shares);
            }
            let bounds = judgement.estimate.map(|found| (found.low_ns, found.high_ns));
            let expected = points.first().copied().zip(points.last().copied());
            prop_assert_eq!(bounds, expected);
        }
    }
}
