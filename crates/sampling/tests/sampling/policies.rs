//! Each policy, with the values of the processor's documentation where it has some.

use opentelemetry_proto::tonic::common::v1::any_value::Value;

use crate::support::{MS, Trace, decide, keeps, policy, text, trace};

/// Trace ids, and whether half of all traces include them.
const KNOWN_HALF: [(u128, bool); 7] = [
    (0x1, false),
    (0x2, false),
    (0x3, false),
    (0x4bf92f3577b34da6a3ce929d0e0e4736, false),
    (0xaf7651916cd43dd8448eb211c80319c, true),
    (0xffffffffffffffffffffffffffffffff, true),
    (0xd4cda95b652f4a1592b449d5929fda1b, false),
];

/// Asks a policy about each trace.
fn check(options: &str, cases: &[(&str, Trace, bool)]) {
    for (what, trace, expected) in cases {
        let kept = keeps(&mut policy(options), trace);
        assert_eq!(kept, *expected, "{options}: {what}");
    }
}

#[test]
fn always_sample_samples_everything() {
    check("type = \"always_sample\"", &[("one span", trace(1), true)]);
}

#[test]
fn latency_is_from_the_first_begin_to_the_last_end() {
    let lasting = |ms| trace(0).span(0, 10, |_| ()).span(ms - 10, ms, |_| ());
    check(
        "type = \"latency\"\nthreshold_ms = 5000",
        &[
            ("below", lasting(4999), false),
            ("at the threshold", lasting(5000), true),
            ("far above", lasting(60_000), true),
        ],
    );
    check(
        "type = \"latency\"\nthreshold_ms = 5000\nupper_threshold_ms = 10000",
        &[
            ("at the lower one", lasting(5000), false),
            ("between", lasting(5001), true),
            ("at the upper one", lasting(10_000), true),
            ("above", lasting(10_001), false),
            // Of the parts in the order of arrival, the first two alone would lie between.
            (
                "later spans make it longer",
                lasting(6000).span(0, 20_000, |_| ()),
                false,
            ),
        ],
    );
    let unset = lasting(4000).span(0, 0, |span| span.start_time_unix_nano = 0);
    let options = "type = \"latency\"\nthreshold_ms = 5000";
    check(options, &[("a begin that is not set", unset, false)]);
}

#[test]
fn status_code_samples_if_one_span_has_it() {
    let (ok, error) = (1, 2);
    check(
        "type = \"status_code\"\nstatus_codes = [\"ERROR\"]",
        &[
            ("none", trace(3), false),
            ("ok", trace(1).status(ok), false),
            ("one of three", trace(2).status(error), true),
        ],
    );
    check(
        "type = \"status_code\"\nstatus_codes = [\"ERROR\", \"UNSET\"]",
        &[
            ("ok only", trace(0).status(ok), false),
            ("unset", trace(0).status(ok).status(0), true),
        ],
    );
}

#[test]
fn string_attribute_is_of_a_span_or_its_resource() {
    check(
        "type = \"string_attribute\"\nkey = \"key2\"\nvalues = [\"value1\", \"value2\"]",
        &[
            ("no such key", trace(2), false),
            (
                "of a span",
                trace(1).attribute("key2", text("value2")),
                true,
            ),
            (
                "of a resource",
                trace(1).resource("key2", text("value1")),
                true,
            ),
            (
                "another value",
                trace(1).attribute("key2", text("value")),
                false,
            ),
            (
                "another key",
                trace(1).attribute("key1", text("value1")),
                false,
            ),
            (
                "no text",
                trace(1).attribute("key2", Value::IntValue(1)),
                false,
            ),
        ],
    );
}

#[test]
fn patterns_match_anywhere_unless_anchored() {
    check(
        "type = \"string_attribute\"\nkey = \"k\"\nenabled_regex_matching = true\n\
         values = [\"^v[0-9]+$\", \"/live\"]",
        &[
            ("the whole", trace(0).attribute("k", text("v12")), true),
            (
                "more than the whole",
                trace(0).attribute("k", text("v12x")),
                false,
            ),
            (
                "a part",
                trace(0).attribute("k", text("/health/live/x")),
                true,
            ),
            ("none", trace(0).attribute("k", text("/ready")), false),
        ],
    );
    check(
        "type = \"string_attribute\"\nkey = \"k\"\nenabled_regex_matching = true\nvalues = [\".*\"]",
        &[("an empty text", trace(0).attribute("k", text("")), false)],
    );
}

#[test]
fn numeric_attribute_lies_between_both_included() {
    let int = |value| trace(1).attribute("key1", Value::IntValue(value));
    check(
        "type = \"numeric_attribute\"\nkey = \"key1\"\nmin_value = 50\nmax_value = 100",
        &[
            ("below", int(49), false),
            ("least", int(50), true),
            ("most", int(100), true),
            ("above", int(101), false),
            (
                "of a resource",
                trace(0).resource("key1", Value::IntValue(60)),
                true,
            ),
            (
                "with digits",
                trace(0).attribute("key1", Value::DoubleValue(99.5)),
                true,
            ),
            (
                "not a number",
                trace(0).attribute("key1", Value::DoubleValue(f64::NAN)),
                false,
            ),
            ("a text", trace(0).attribute("key1", text("60")), false),
        ],
    );
    let open = "type = \"numeric_attribute\"\nkey = \"key1\"\nmin_value = 400";
    check(
        open,
        &[("above", int(i64::MAX), true), ("below", int(399), false)],
    );
}

#[test]
fn boolean_attribute_has_the_value() {
    let bool = |value| trace(1).attribute("key4", Value::BoolValue(value));
    check(
        "type = \"boolean_attribute\"\nkey = \"key4\"\nvalue = true",
        &[
            ("true", bool(true), true),
            ("false", bool(false), false),
            ("missing", trace(1), false),
        ],
    );
}

#[test]
fn probabilistic_decides_as_the_opentelemetry_collector_does() {
    // FNV-1a of "default-hash-seed" and the id's bytes, computed apart from this code.
    let half = "type = \"probabilistic\"\nsampling_percentage = 50";
    for (id, kept) in KNOWN_HALF {
        check(half, &[("a known id", trace(1).id(id), kept)]);
    }
    // Ids as random as any: multiples of an odd number.
    let odd = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    let ids = || (1..2000u128).map(|id| trace(1).id(id.wrapping_mul(odd)));
    let kept = |options: &str| {
        let mut policy = policy(options);
        ids()
            .map(|trace| keeps(&mut policy, &trace))
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(half), kept(half));
    let salted = kept("type = \"probabilistic\"\nsampling_percentage = 50\nhash_salt = \"b\"");
    assert_ne!(kept(half), salted, "another salt, other traces");
    let named =
        "type = \"probabilistic\"\nsampling_percentage = 50\nhash_salt = \"default-hash-seed\"";
    assert_eq!(kept(half), kept(named));
    let count = |percentage| {
        let options = format!("type = \"probabilistic\"\nsampling_percentage = {percentage}");
        kept(&options).iter().filter(|kept| **kept).count()
    };
    assert_eq!(count("0"), 0);
    assert_eq!((count("100"), count("1e9")), (1999, 1999));
    assert!((1..=40).contains(&count("0.5")), "{}", count("0.5"));
}

#[test]
fn rate_limiting_is_a_bucket_that_holds_two_seconds() {
    let mut policy = policy("type = \"rate_limiting\"\nspans_per_second = 35");
    let mut kept = |now_ms, spans| decide(&mut policy, now_ms, &trace(spans)).keep;
    assert!(!kept(5000, 71), "more than it holds");
    assert!(kept(5000, 70), "all that it holds");
    assert!(!kept(5000, 1));
    assert!(!kept(5999, 35));
    assert!(kept(6000, 35), "a second brings 35");
    assert!(!kept(3000, 1), "a clock that goes back brings none");
    assert!(!kept(6000, 1), "nor when it goes on again");
    assert!(kept(6029, 1));
}

#[test]
fn bytes_limiting_counts_the_message() {
    let options = "type = \"bytes_limiting\"\nbytes_per_second = 1000\nburst_capacity = 1500";
    let mut policy = policy(options);
    let of_bytes = |bytes: usize| trace(0).attribute("k", text(&"x".repeat(bytes)));
    let mut kept = |now_ms, bytes| decide(&mut policy, now_ms, &of_bytes(bytes)).keep;
    assert!(!kept(0, 1500), "with the rest of the message it is more");
    assert!(kept(0, 1300));
    assert!(!kept(0, 1000));
    assert!(kept(1000, 900));
}

#[test]
fn span_count_includes_both_ends() {
    check(
        "type = \"span_count\"\nmin_spans = 2\nmax_spans = 20",
        &[
            ("1", trace(1), false),
            ("2", trace(2), true),
            ("20", trace(20), true),
            ("21", trace(21), false),
        ],
    );
    check(
        "type = \"span_count\"\nmin_spans = 2",
        &[("many", trace(300), true)],
    );
}

#[test]
fn trace_state_has_a_member_with_the_value() {
    let with = |state: &str| trace(1).span(0, 1, |span| span.trace_state = state.to_owned());
    check(
        "type = \"trace_state\"\nkey = \"key3\"\nvalues = [\"value1\", \"value2\"]",
        &[
            ("alone", with("key3=value1"), true),
            ("among others", with("a=b , \tkey3=value2 ,c=d"), true),
            ("another key", with("key=value1"), false),
            ("another value", with("key3=value"), false),
            ("no member", with("key3"), false),
            ("empty", with(""), false),
        ],
    );
}

#[test]
fn trace_flags_are_those_of_the_head() {
    let with = |flags| trace(1).span(0, 1, |span| span.flags = flags);
    check(
        "type = \"trace_flags\"",
        &[
            ("sampled", with(0x301), true),
            ("random only", with(2), false),
        ],
    );
}

#[test]
fn a_span_that_ends_before_it_begins_has_no_latency() {
    let backwards = trace(0).span(10, 10, |span| span.end_time_unix_nano -= 5 * MS);
    let options = "type = \"latency\"\nthreshold_ms = 1";
    check(options, &[("backwards", backwards, false)]);
}
