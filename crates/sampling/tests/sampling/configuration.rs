//! What a configuration may say, and what is said about mistakes.

use quorate_sampling::{PolicyKind, Status};

use crate::support::{read, try_policies};

/// One table named `p` with these lines.
fn table(options: &str) -> String {
    format!("[[policy]]\nname = \"p\"\n{options}\n")
}

#[test]
fn a_policy_is_one_flat_table_in_any_order() {
    let policies = read(
        "[[policy]]\nstatus_codes = [\"ERROR\", \"UNSET\"]\ntype = \"status_code\"\nname = \"errors\"",
    );
    let policies = policies.expect("valid");
    assert_eq!(policies[0].name, "errors");
    let status_codes = vec![Status::Error, Status::Unset];
    assert_eq!(policies[0].kind, PolicyKind::StatusCode { status_codes });
}

#[test]
fn what_cannot_be_read_is_said_with_what_can() {
    let sub = "{ name = \"q\", type = \"always_sample\", percent = 1 }";
    let nested = format!("type = \"and\"\nand_sub_policy = [{sub}]");
    let cases = [
        (
            "type = \"latency\"\nthreshold = 5",
            "unknown field `threshold`, expected `threshold_ms` or",
        ),
        ("type = \"latency\"", "missing field `threshold_ms`"),
        ("type = \"latency\"\nthreshold_ms = -1", "integer `-1`"),
        (
            "type = \"latency\"\nthreshold_ms = 5\nname_ = 1",
            "unknown field `name_`",
        ),
        (
            "type = \"always_sample\"\nkey = \"k\"",
            "unknown field `key`",
        ),
        (
            "type = \"ottl_condition\"",
            "unknown variant `ottl_condition`, expected one of `always_sample`",
        ),
        ("status_codes = [\"ERROR\"]", "missing field `type`"),
        (
            "type = \"status_code\"\nstatus_codes = [\"error\"]",
            "unknown variant `error`, expected one of",
        ),
        ("type = \"rate_limiting\"\nspans_per_second = 0", "nonzero"),
        (
            nested.as_str(),
            "sampling policy \"q\": unknown field `percent`",
        ),
    ];
    for (options, message) in cases {
        let error = read(&table(options)).expect_err(options).to_string();
        assert!(error.contains(message), "{options}: {error}");
        assert!(
            error.contains("sampling policy \"p\""),
            "{options}: {error}"
        );
    }
    let unnamed = read("[[policy]]\ntype = \"always_sample\"").expect_err("no name");
    assert!(
        unnamed.to_string().contains("missing field `name`"),
        "{unnamed}"
    );
}

#[test]
fn values_that_make_no_sense_are_named() {
    let composite = |more: &str| {
        format!(
            "type = \"composite\"\nmax_total_spans_per_second = 10\n{more}\n\
             composite_sub_policy = [{{ name = \"a\", type = \"always_sample\" }}, \
             {{ name = \"b\", type = \"always_sample\" }}]"
        )
    };
    let string = |more: &str| format!("type = \"string_attribute\"\n{more}");
    let numeric = |more: &str| format!("type = \"numeric_attribute\"\nkey = \"k\"\n{more}");
    let within = "type = \"and\"\nand_sub_policy = [{ name = \"d\", type = \"drop\", \
                  drop_sub_policy = [{ name = \"a\", type = \"always_sample\" }] }]";
    let cases = [
        (
            "type = \"status_code\"\nstatus_codes = []".to_owned(),
            "status_codes must not be empty",
        ),
        (
            "type = \"and\"\nand_sub_policy = []".to_owned(),
            "and_sub_policy must not be empty",
        ),
        (
            "type = \"drop\"\ndrop_sub_policy = []".to_owned(),
            "drop_sub_policy must not be empty",
        ),
        (within.to_owned(), "\"d\": a drop policy cannot be within"),
        (
            "type = \"probabilistic\"\nsampling_percentage = -1".to_owned(),
            "from 0 to 100",
        ),
        (
            "type = \"probabilistic\"\nsampling_percentage = nan".to_owned(),
            "from 0 to 100",
        ),
        (
            "type = \"latency\"\nthreshold_ms = 5\nupper_threshold_ms = 5".to_owned(),
            "must be above",
        ),
        (
            "type = \"span_count\"\nmin_spans = 5\nmax_spans = 4".to_owned(),
            "must not be below",
        ),
        (
            string("key = \"\"\nvalues = [\"v\"]"),
            "key must not be empty",
        ),
        (
            string("key = \"k\"\nvalues = []"),
            "values must not be empty",
        ),
        (
            string("key = \"k\"\nvalues = [\"\"]"),
            "must not have an empty text",
        ),
        (
            string("key = \"k\"\nvalues = [\"(\"]\nenabled_regex_matching = true"),
            "unclosed group",
        ),
        (numeric(""), "min_value or max_value is needed"),
        (
            numeric("min_value = 5\nmax_value = 4"),
            "max_value must not be below",
        ),
        (
            composite("policy_order = [\"a\"]"),
            "policy_order lacks \"b\"",
        ),
        (
            composite("policy_order = [\"a\", \"a\"]"),
            "policy_order has \"a\" twice",
        ),
        (
            composite("policy_order = [\"c\"]"),
            "names \"c\", which is not in",
        ),
        (
            composite("rate_allocation = [{ policy = \"c\", percent = 1 }]"),
            "rate_allocation names",
        ),
        (
            composite("rate_allocation = [{ policy = \"a\", percent = 101 }]"),
            "more than 100",
        ),
    ];
    for (options, message) in cases {
        let error = try_policies(&table(&options))
            .expect_err(&options)
            .to_string();
        assert!(error.contains(message), "{options}: {error}");
    }
}

#[test]
fn names_tell_neighbours_apart() {
    let twice = [
        table("type = \"always_sample\""),
        table("type = \"trace_flags\""),
    ]
    .concat();
    let error = try_policies(&twice).expect_err("twice");
    assert_eq!(error.to_string(), "two sampling policies are named \"p\"");
    let error =
        try_policies("[[policy]]\nname = \"\"\ntype = \"always_sample\"").expect_err("empty");
    assert_eq!(
        error.to_string(),
        "a sampling policy of type always_sample has an empty name"
    );
}

#[test]
fn policies_within_policies_have_a_limit() {
    let nested = |depth: usize| {
        let inner = "{ name = \"in\", type = \"always_sample\" }".to_owned();
        let wrap =
            |inner, _| format!("{{ name = \"n\", type = \"not\", not_sub_policy = {inner} }}");
        format!("policy = [{}]", (1..depth).fold(inner, wrap))
    };
    assert!(try_policies(&nested(8)).is_ok());
    let error = try_policies(&nested(9)).expect_err("too deep");
    assert!(
        error.to_string().contains("nested deeper than 8"),
        "{error}"
    );
}
