//! Policies together: precedence, and policies of policies.

use opentelemetry_proto::tonic::common::v1::any_value::Value;

use crate::support::{decide, keeps, policies, policy, text, trace};

const NOT_ACME: &str = "[[policy]]\nname = \"not acme\"\ntype = \"string_attribute\"\n\
                        key = \"customer\"\nvalues = [\"acme\"]\ninvert_match = true\n";
const ERRORS: &str =
    "[[policy]]\nname = \"errors\"\ntype = \"status_code\"\nstatus_codes = [\"ERROR\"]\n";
const ALWAYS: &str = "[[policy]]\nname = \"all\"\ntype = \"always_sample\"\n";
const NO_PROBES: &str = "[[policy]]\nname = \"no probes\"\ntype = \"drop\"\ndrop_sub_policy = [\n\
    { name = \"route\", type = \"string_attribute\", key = \"url.path\", values = [\"/health\", \
      \"/metrics\"], enabled_regex_matching = true },\n\
    { name = \"short\", type = \"span_count\", max_spans = 3 },\n]\n";

#[test]
fn precedence_is_drop_then_inverted_not_then_sample_then_inverted() {
    let plain = trace(1);
    let acme = trace(1).attribute("customer", text("acme"));
    let failed = trace(1).status(2);
    let probe = trace(1).status(2).attribute("url.path", text("/health"));
    let cases = [
        (vec![], &plain, true, ""),
        (vec![ERRORS], &plain, false, ""),
        (vec![ERRORS], &failed, true, "errors"),
        (vec![NOT_ACME], &plain, true, "not acme"),
        (vec![NOT_ACME], &acme, false, "not acme"),
        (vec![ALWAYS, NOT_ACME], &acme, false, "not acme"),
        (vec![ALWAYS, NOT_ACME], &plain, true, "all"),
        // An inverted sample does not stand against a "not sample".
        (vec![ERRORS, NOT_ACME], &plain, false, ""),
        (vec![NOT_ACME, ERRORS], &failed, true, "errors"),
        (vec![ALWAYS, ERRORS], &failed, true, "all"),
        (vec![ERRORS, ALWAYS], &failed, true, "errors"),
        (vec![ALWAYS, NO_PROBES], &probe, false, "no probes"),
        (vec![ALWAYS, NO_PROBES], &failed, true, "all"),
    ];
    for (tables, trace, keep, name) in cases {
        let toml = match tables.is_empty() {
            true => "policy = []".to_owned(),
            false => tables.concat(),
        };
        let decision = decide(&mut policies(&toml), 0, trace);
        assert_eq!(
            (decision.keep, decision.policy.as_str()),
            (keep, name),
            "{toml}"
        );
    }
}

#[test]
fn drop_needs_all_of_its_policies() {
    let probe = |others| trace(others).attribute("url.path", text("/metrics"));
    let mut policies = policies(&[ALWAYS, NO_PROBES].concat());
    assert!(!keeps(&mut policies, &probe(2)));
    assert!(keeps(&mut policies, &probe(3)), "not short");
}

#[test]
fn without_spans_nothing_is_sampled_and_nothing_dropped() {
    let decision = decide(&mut policies(&[ALWAYS, NO_PROBES].concat()), 0, &trace(0));
    assert_eq!((decision.keep, decision.policy.as_str()), (false, ""));
}

#[test]
fn what_is_dropped_takes_nothing_from_a_rate() {
    let rate = "[[policy]]\nname = \"rate\"\ntype = \"rate_limiting\"\nspans_per_second = 2\n\
                burst_capacity = 2\n";
    let mut policies = policies(&[rate, NO_PROBES].concat());
    assert!(!keeps(
        &mut policies,
        &trace(1).attribute("url.path", text("/health"))
    ));
    assert!(keeps(&mut policies, &trace(2)));
}

#[test]
fn and_needs_all_and_takes_inverted_ones_as_they_are() {
    let mut policy = policy(
        "type = \"and\"\nand_sub_policy = [\n\
         { name = \"range\", type = \"numeric_attribute\", key = \"key1\", min_value = 50 },\n\
         { name = \"not acme\", type = \"string_attribute\", key = \"customer\", values = [\"acme\"], \
           invert_match = true },\n]",
    );
    let sixty = trace(0).attribute("key1", Value::IntValue(60));
    assert!(keeps(&mut policy, &sixty));
    assert!(!keeps(
        &mut policy,
        &sixty.attribute("customer", text("acme"))
    ));
    assert!(!keeps(&mut policy, &trace(1)));
}

#[test]
fn not_negates_inverted_policies_too() {
    let mut plain = policy(
        "type = \"not\"\nnot_sub_policy = { name = \"s\", type = \"span_count\", max_spans = 2 }",
    );
    assert!(!keeps(&mut plain, &trace(2)));
    assert!(keeps(&mut plain, &trace(3)));
    let mut inverted = policy(
        "type = \"not\"\nnot_sub_policy = { name = \"s\", type = \"boolean_attribute\", key = \"k\", \
         value = true, invert_match = true }",
    );
    assert!(!keeps(&mut inverted, &trace(1)));
    assert!(keeps(
        &mut inverted,
        &trace(1).attribute("k", Value::BoolValue(true))
    ));
}

const COMPOSITE: &str = "type = \"composite\"\nmax_total_spans_per_second = 100\n\
    policy_order = [\"errors\", \"slow\", \"rest\"]\n\
    composite_sub_policy = [\n\
    { name = \"rest\", type = \"always_sample\" },\n\
    { name = \"slow\", type = \"latency\", threshold_ms = 1000 },\n\
    { name = \"errors\", type = \"status_code\", status_codes = [\"ERROR\"] },\n]\n\
    rate_allocation = [\n\
    { policy = \"errors\", percent = 50 },\n\
    { policy = \"slow\", percent = 25 },\n]";

#[test]
fn composite_gives_each_policy_its_share_of_a_second() {
    let mut policy = policy(COMPOSITE);
    let mut kept = |now_ms, trace| decide(&mut policy, now_ms, &trace).keep;
    let failed = |spans: usize| trace(spans - 1).status(2);
    let slow = |spans: usize| trace(spans - 1).span(0, 2000, |_| ());
    assert!(kept(1000, failed(40)));
    assert!(
        !kept(1100, failed(11)),
        "over half of a hundred; not passed on to the rest"
    );
    assert!(kept(1200, failed(10)), "a smaller one still fits");
    assert!(!kept(1300, slow(26)));
    assert!(kept(1300, slow(25)));
    assert!(
        !kept(1400, trace(26)),
        "the rest have what is left: a quarter"
    );
    assert!(kept(1999, trace(25)));
    assert!(!kept(1999, trace(1)));
    assert!(kept(2000, trace(25)), "a new second");
}
