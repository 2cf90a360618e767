//! What is printed is read back, and what TLC prints is read.

use proptest::prelude::*;
use quorate_refinement::{Value, assignments};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<String>().prop_map(Value::String),
        "[\"\\\\\n\t a-c]{0,4}".prop_map(Value::String),
        // Not one of the two names that mean something.
        "[a-z][A-Za-z0-9_]{0,5}".prop_map(Value::Model),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let values = prop::collection::vec(inner.clone(), 0..6);
        let fields = prop::collection::vec(("[a-z]{1,4}", inner.clone()), 0..6);
        let odd_fields = prop::collection::vec((any::<String>(), inner.clone()), 0..3);
        let pairs = prop::collection::vec((inner.clone(), inner), 0..6);
        prop_oneof![
            values.clone().prop_map(Value::set),
            values.prop_map(Value::sequence),
            fields.prop_map(Value::record),
            odd_fields.prop_map(Value::record),
            pairs.prop_map(Value::function),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(value in value()) {
        prop_assert_eq!(value.to_string().parse::<Value>().unwrap(), value);
    }

    #[test]
    fn nothing_makes_the_parser_panic(text in "[\\[\\](){}<>\"\\\\|:@=,a1 -]{0,40}") {
        if let Ok(value) = text.parse::<Value>() {
            prop_assert_eq!(value.to_string().parse::<Value>().unwrap(), value);
        }
        let _ = assignments(&text);
    }
}

#[test]
fn a_state_is_read_as_tlc_prints_it() {
    let text = r#"/\ node = ( a :>
      [ term |-> 0,
        lead |-> [first |-> 0],
        votes |-> {a, b} ] @@
  b :> <<<<1>>, -2>> )
/\ net = {}
/\ up = TRUE"#;
    let read = assignments(text).unwrap();
    let names: Vec<_> = read.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["node", "net", "up"]);
    assert_eq!(
        read[0].1.to_string(),
        "(a :> [lead |-> [first |-> 0], term |-> 0, votes |-> {a, b}] @@ b :> <<<<1>>, -2>>)"
    );
    assert_eq!(read[1].1, Value::set([]));
    assert_eq!(read[2].1, Value::Bool(true));
}

#[test]
fn what_is_no_value_is_refused_where_it_goes_wrong() {
    let at = |text: &str| text.parse::<Value>().unwrap_err().at;
    assert_eq!(at("{1, 2"), 5);
    assert_eq!(at("[a -> 1]"), 3);
    assert_eq!(at("<<1>> 2"), 6);
    assert_eq!(at("\"open"), 0);
    assert_eq!(at("99999999999999999999"), 0);
    assert!("{".repeat(100_000).parse::<Value>().is_err());
}
