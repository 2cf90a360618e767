//! What holds for all traces.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use proptest::prelude::*;

use crate::support::{Trace, decide, keeps, policies, policy, trace};

/// Every policy that looks into spans.
const ALL: &str = r#"
[[policy]]
name = "latency"
type = "latency"
threshold_ms = 20
upper_threshold_ms = 60
[[policy]]
name = "errors"
type = "and"
and_sub_policy = [
    { name = "failed", type = "status_code", status_codes = ["ERROR"] },
    { name = "large", type = "span_count", min_spans = 4 },
]
[[policy]]
name = "inverted"
type = "numeric_attribute"
key = "k"
min_value = 8
invert_match = true
[[policy]]
name = "rate"
type = "rate_limiting"
spans_per_second = 3
"#;

fn any_trace() -> impl Strategy<Value = Trace> {
    let span = (0..80u64, 0..80u64, 0..10i64, 0..3i32);
    (any::<u128>(), prop::collection::vec(span, 1..8)).prop_map(|(id, spans)| {
        let add = |trace: Trace, (from, to, number, code): (u64, u64, i64, i32)| {
            let trace = trace.span(from, to, |_| ()).status(code);
            trace.attribute("k", Value::IntValue(number))
        };
        spans.into_iter().fold(trace(0).id(id.max(1)), add)
    })
}

proptest! {
    #[test]
    fn the_order_of_spans_does_not_matter(trace in any_trace(), by in 0..30usize) {
        let decision = decide(&mut policies(ALL), 0, &trace);
        prop_assert_eq!(decision, decide(&mut policies(ALL), 0, &trace.rotated(by)));
    }

    #[test]
    fn not_is_the_opposite(trace in any_trace(), threshold in 0..80u64) {
        let latency = format!("type = \"latency\"\nthreshold_ms = {threshold}");
        let not = format!(
            "type = \"not\"\nnot_sub_policy = {{ name = \"l\", type = \"latency\", threshold_ms = {threshold} }}"
        );
        prop_assert_ne!(keeps(&mut policy(&latency), &trace), keeps(&mut policy(&not), &trace));
    }

    #[test]
    fn a_larger_share_keeps_what_a_smaller_one_keeps(
        id in 1..u128::MAX, share in 0.0..100.0f64, more in 0.0..100.0f64,
    ) {
        let keeps_at = |share: f64| {
            let options = format!("type = \"probabilistic\"\nsampling_percentage = {share:?}");
            keeps(&mut policy(&options), &trace(1).id(id))
        };
        prop_assert!(!keeps_at(share) || keeps_at(share + more));
    }

    #[test]
    fn a_rate_is_kept_over_any_time(
        gaps in prop::collection::vec((0..400u64, 1..40usize), 1..100),
    ) {
        let mut policy = policy("type = \"rate_limiting\"\nspans_per_second = 100\nburst_capacity = 50");
        let (mut now, mut kept) = (0, 0);
        for (gap, spans) in gaps {
            now += gap;
            if decide(&mut policy, now, &trace(spans)).keep {
                kept += spans as u64;
            }
            prop_assert!(kept <= 50 + now / 10);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Of 4000 random ids, within five standard deviations.
    #[test]
    fn a_share_of_random_ids_is_kept(
        ids in prop::collection::vec(1..u128::MAX, 4000), percentage in 1.0..99.0f64,
    ) {
        let mut policy =
            policy(&format!("type = \"probabilistic\"\nsampling_percentage = {percentage:?}"));
        let kept = ids.iter().filter(|id| keeps(&mut policy, &trace(1).id(**id))).count() as f64;
        let share = percentage / 100.0;
        let deviation = (4000.0 * share * (1.0 - share)).sqrt();
        prop_assert!((kept - 4000.0 * share).abs() < 5.0 * deviation, "{} of 4000", kept);
    }
}
