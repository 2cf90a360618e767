//! Good and bad headers, each with the section of the specification that says so, and what must hold of
//! all of them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::InvalidId;

const TRACE: &str = "12345678901234567890123456789012";
const PARENT: &str = "1234567890123456";

fn headers(list: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    list.iter().map(owned).collect()
}

fn span(number: u64) -> SpanId {
    SpanId::new(number.to_be_bytes()).unwrap()
}

#[test]
fn traceparents_that_are_good() {
    let table = [
        // 3.2.3, both examples.
        (format!("00-{TRACE}-{PARENT}-01"), 1),
        (format!("00-{TRACE}-{PARENT}-00"), 0),
        // 3.2.2.5.2: the random flag is the second bit.
        (format!("00-{TRACE}-{PARENT}-02"), 2),
        (format!("00-{TRACE}-{PARENT}-03"), 3),
        // 3.2.2.5.3: bits that are not defined are set to zero.
        (format!("00-{TRACE}-{PARENT}-ff"), 3),
        (format!("00-{TRACE}-{PARENT}-09"), 1),
        // 3.2.4: a later version ends here, or goes on after a dash.
        (format!("cc-{TRACE}-{PARENT}-01"), 1),
        (format!("cc-{TRACE}-{PARENT}-01-"), 1),
        (
            format!("cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like"),
            1,
        ),
        (format!("01-{TRACE}-{PARENT}-00-\u{e9}"), 0),
        (format!("fe-{TRACE}-{PARENT}-01"), 1),
    ];
    for (value, flags) in table {
        let read: TraceParent = value
            .parse()
            .unwrap_or_else(|error| panic!("{value}: {error}"));
        assert_eq!(read.trace_id.to_string(), TRACE);
        assert_eq!(read.span_id.to_string(), PARENT);
        assert_eq!(read.to_string(), format!("00-{TRACE}-{PARENT}-{flags:02x}"));
    }
}

#[test]
fn traceparents_that_are_bad() {
    use InvalidTraceParent::{Delimiter, Flags, Length, ParentId, Version};
    let trace_id = InvalidTraceParent::TraceId;
    let table = [
        (String::new(), Version),
        // 3.2.2.2: version 00 has these four fields and no more.
        (format!("00-{TRACE}-{PARENT}"), Length),
        (format!("00-{TRACE}-{PARENT}-1"), Length),
        (format!("00-{TRACE}-{PARENT}-001"), Length),
        (format!("00-{TRACE}-{PARENT}-01."), Length),
        (format!("00-{TRACE}-{PARENT}-01-"), Length),
        (
            format!("00-{TRACE}-{PARENT}-01-what-the-future-will-be-like"),
            Length,
        ),
        // 3.2.2.1: the version is two lowercase digits; ff is forbidden.
        (format!("ff-{TRACE}-{PARENT}-01"), Version),
        (format!("FE-{TRACE}-{PARENT}-01"), Version),
        (format!(".0-{TRACE}-{PARENT}-01"), Version),
        (format!("0.-{TRACE}-{PARENT}-01"), Version),
        (format!("0-{TRACE}-{PARENT}-01"), Version),
        (format!("000-{TRACE}-{PARENT}-01"), Version),
        // 3.2.2.3: the trace id.
        (
            format!("00-{}-{PARENT}-01", "0".repeat(32)),
            trace_id(InvalidId::Zero),
        ),
        (
            format!("00-.{}-{PARENT}-01", &TRACE[1..]),
            trace_id(InvalidId::Digit),
        ),
        (
            format!("00-A{}-{PARENT}-01", &TRACE[1..]),
            trace_id(InvalidId::Digit),
        ),
        (
            format!("00-\u{e9}{}-{PARENT}-01", &TRACE[2..]),
            trace_id(InvalidId::Digit),
        ),
        (format!("00-{TRACE}3-{PARENT}-0"), Delimiter),
        (format!("00-{}-{PARENT}-011", &TRACE[1..]), Delimiter),
        // 3.2.2.4: the parent's id.
        (
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            ParentId(InvalidId::Zero),
        ),
        (
            format!("00-{TRACE}-{}.-01", &PARENT[1..]),
            ParentId(InvalidId::Digit),
        ),
        (
            format!("00-{TRACE}-{}F-01", &PARENT[1..]),
            ParentId(InvalidId::Digit),
        ),
        (format!("00-{TRACE}-{PARENT}7-0"), Delimiter),
        (format!("00-{TRACE}-{}-011", &PARENT[1..]), Delimiter),
        // 3.2.2.5: the flags.
        (format!("00-{TRACE}-{PARENT}-.0"), Flags),
        (format!("00-{TRACE}-{PARENT}-0."), Flags),
        (format!("00-{TRACE}-{PARENT}-0A"), Flags),
        (format!("00_{TRACE}_{PARENT}_01"), Version),
        // 3.2.4: a later version has at least these fields, and a dash before more.
        (format!("cc-{TRACE}-{PARENT}"), Length),
        (
            format!("cc-{TRACE}-{PARENT}-01.what-the-future-will-be-like"),
            Delimiter,
        ),
        (format!("cc-{TRACE}-{PARENT}-0x"), Flags),
    ];
    for (value, expected) in table {
        assert_eq!(
            TraceParent::parse(value.as_bytes()),
            Err(expected),
            "{value}"
        );
    }
    let not_text = [&[0xff; 55][..], &[b'0', b'0', b'-', 0xff][..]];
    for value in not_text {
        assert!(TraceParent::parse(value).is_err());
    }
}

#[test]
fn tracestates_that_are_good() {
    let characters = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@";
    let value: String = (' '..='~').filter(|c| !",=".contains(*c)).collect();
    let all = format!("{characters}={value}");
    let long_key = format!("{}=1", "z".repeat(256));
    let long_value = format!("z={}", "z".repeat(256));
    let full = (1..=32)
        .map(|n| format!("bar{n}={n}"))
        .collect::<Vec<_>>()
        .join(",");
    let longest = (10..42)
        .map(|n| format!("{:z<256}={:z<256}", format!("k{n}"), ""))
        .collect::<Vec<_>>()
        .join(",");
    let padded = format!("{longest:0$}", TraceState::BYTES_MAX);
    let table: &[(&[&str], &str)] = &[
        // 3.3.2: one list, whatever headers it is spread over; empty members are left out.
        (&["foo=1,bar=2"], "foo=1,bar=2"),
        (
            &["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
            "foo=1,bar=2,rojo=1,congo=2,baz=3",
        ),
        (&[""], ""),
        (&["foo=1", ""], "foo=1"),
        (&["", "foo=1"], "foo=1"),
        (&[",foo=1, \t ,,bar=2,"], "foo=1,bar=2"),
        // 3.3.2: spaces and tabs around members.
        (&["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        (&["\t foo=1 \t"], "foo=1"),
        // 3.3.2.2.1: keys, of 256 characters at most; the at sign is one of them.
        (&[&all], &all),
        (&[&long_key], &long_key),
        (&["0a=1"], "0a=1"),
        (&["fw529a3039@dt=1"], "fw529a3039@dt=1"),
        (
            &["foo@=1,foo@@bar=1,foo@bar@baz=1"],
            "foo@=1,foo@@bar=1,foo@bar@baz=1",
        ),
        // 3.3.2.2.2: values, of 256 characters at most; spaces before one belong to it.
        (&[&long_value], &long_value),
        (&["foo=  1"], "foo=  1"),
        // 3.3.2: 32 members at most.
        (&[&full], &full),
        // The longest list that there can be, also with white space up to what is read.
        (&[&longest], &longest),
        (&[&padded], &longest),
        // 3.5: keys are unique by the sender's doing; the receiver keeps the latest.
        (&["foo=1,foo=2"], "foo=1"),
        (&["foo=1,bar=2", "foo=3"], "foo=1,bar=2"),
    ];
    for (values, expected) in table {
        let state =
            TraceState::parse(*values).unwrap_or_else(|error| panic!("{values:?}: {error}"));
        assert_eq!(state.to_string(), *expected, "{values:?}");
        assert_eq!(state.header_length(), expected.len());
    }
}

#[test]
fn tracestates_that_are_bad() {
    use InvalidTraceState::{Key, Member, TooLong, TooMany, Value};
    let key = format!("{}=1", "z".repeat(257));
    let value = format!("z={}", "z".repeat(257));
    let many = (1..=33)
        .map(|n| format!("bar{n}={n}"))
        .collect::<Vec<_>>()
        .join(",");
    let half = many.find(",bar20").unwrap();
    let long = " ".repeat(TraceState::BYTES_MAX + 1);
    let table: &[(&[&str], InvalidTraceState)] = &[
        // 3.3.2.2: key=value.
        (&["foo"], Member),
        (&["foo=1,bar"], Member),
        // 3.3.2.2.1: the key.
        (&["=1"], Key),
        (&["foo =1"], Key),
        (&["FOO=1"], Key),
        (&["foo.bar=1"], Key),
        (&["@foo=1,bar=2"], Key),
        (&["_foo=1"], Key),
        (&["f\u{e9}=1"], Key),
        (&["foo=1", &key], Key),
        // 3.3.2.2.2: the value.
        (&["foo=,bar=3"], Value),
        (&["foo= ,bar=3"], Value),
        (&["foo=bar=baz"], Value),
        (&["foo=a\tb"], Value),
        (&["foo=\u{e9}"], Value),
        (&[&value], Value),
        // 3.3.2: the list, over all headers.
        (&[&many], TooMany),
        (&[&many[..half], &many[half..]], TooMany),
        (&[&long], TooLong),
    ];
    for (values, expected) in table {
        assert_eq!(TraceState::parse(*values), Err(*expected), "{values:?}");
    }
}

#[test]
fn a_changed_entry_moves_to_the_front_and_the_last_makes_room() {
    let mut state = TraceState::parse(["foo=1,bar=2,baz=3"]).unwrap();
    state.set("baz", "4").unwrap();
    state.set("new@dt", " x").unwrap();
    assert_eq!(state.to_string(), "new@dt= x,baz=4,foo=1,bar=2");
    assert_eq!(
        state.set("baz", "ends with a space "),
        Err(InvalidTraceState::Value)
    );
    assert_eq!(state.set("BAZ", "5"), Err(InvalidTraceState::Key));
    assert_eq!(state.get("baz"), Some("4"));
    assert!(state.remove("foo") && !state.remove("foo"));
    for number in 0..40 {
        state.set(&format!("k{number}"), "v").unwrap();
    }
    assert_eq!(state.len(), TraceState::MEMBERS_MAX);
    assert_eq!(state.iter().next(), Some(("k39", "v")));
    assert_eq!(state.get("k8"), Some("v"));
    assert_eq!(state.get("k7"), None);
}

#[test]
fn long_entries_make_room_before_the_last_ones() {
    let long = |key: &str| format!("{key}={}", "v".repeat(128));
    let short = (0..20)
        .map(|n| format!("key{n:02}={n:020}"))
        .collect::<Vec<_>>();
    let list = [
        &[long("first")],
        &short[..10],
        &[long("second")],
        &short[10..],
    ]
    .concat();
    let mut state = TraceState::parse([list.join(",")]).unwrap();
    let before = state.clone();
    state.truncate(before.header_length());
    assert_eq!(state, before);
    // One long entry is enough, the one nearest to the end.
    state.truncate(before.header_length() - 1);
    assert_eq!(state.len(), 21);
    assert!(state.get("first").is_some() && state.get("second").is_none());
    // Never below what the specification wants carried: 19 entries of 26 characters and 18 commas.
    state.truncate(1);
    assert_eq!(state.to_string(), short[..19].join(","));
    assert_eq!(state.header_length(), 512);
    // One of 128 characters is no long one.
    let exact = format!("exact={}", "v".repeat(122));
    let mut state = TraceState::parse([exact, short.join(",")]).unwrap();
    state.truncate(512);
    assert_eq!((state.len(), state.get("exact").is_some()), (15, true));
}

#[test]
fn without_a_valid_traceparent_nothing_is_extracted() {
    let good = format!("00-{TRACE}-{PARENT}-01");
    let other = format!("00-{}-{PARENT}-01", "a".repeat(32));
    // 3.2.1: a name that is another one.
    assert_eq!(
        SpanContext::extract(&headers(&[("trace-parent", &good)])),
        Ok(None)
    );
    assert_eq!(
        SpanContext::extract(&headers(&[("tracestate", "foo=1")])),
        Ok(None)
    );
    let several = headers(&[("traceparent", &good), ("TraceParent", &other)]);
    assert_eq!(
        SpanContext::extract(&several),
        Err(InvalidTraceParent::Several)
    );
    let broken = headers(&[("traceparent", "00-x"), ("tracestate", "foo=1")]);
    assert_eq!(
        SpanContext::extract(&broken),
        Err(InvalidTraceParent::Length)
    );
}

#[test]
fn a_bad_tracestate_costs_only_itself() {
    let good = format!("\t 00-{TRACE}-{PARENT}-01 \t");
    let request = headers(&[
        ("TRACEPARENT", &good),
        ("tracestate", "foo=1"),
        ("TraceState", "="),
    ]);
    let caller = SpanContext::extract(&request).unwrap().unwrap();
    assert_eq!(caller.trace_id.to_string(), TRACE);
    assert!(caller.state.is_empty());
}

#[test]
fn what_is_injected_replaces_what_was_received() {
    let good = format!("cc-{TRACE}-{PARENT}-ff-more");
    let mut request = headers(&[
        ("TraceParent", &good),
        ("TraceState", "foo=1"),
        ("TRACESTATE", "bar=2"),
        ("Baggage", "a=1"),
        ("host", "here"),
    ]);
    let caller = SpanContext::extract(&request).unwrap().unwrap();
    let here = caller.child(span(7));
    here.inject(&mut request);
    Baggage::default().inject(&mut request);
    let expected = [
        ("host", "here"),
        ("traceparent", &format!("00-{TRACE}-{}-03", span(7))),
        ("tracestate", "foo=1,bar=2"),
    ];
    assert_eq!(request, headers(&expected));
    SpanContext::root(here.trace_id, here.span_id, TraceFlags::SAMPLED).inject(&mut request);
    assert_eq!(request.len(), 2);
}

#[test]
fn a_child_that_breaks_the_chain_is_found() {
    let flags = TraceFlags::SAMPLED | TraceFlags::RANDOM;
    assert!(flags.is_sampled() && flags.is_random());
    assert_eq!(flags | TraceFlags::RANDOM, flags);
    assert!(!TraceFlags::SAMPLED.is_random() && !TraceFlags::RANDOM.is_sampled());
    let parent = SpanContext::root(TRACE.parse().unwrap(), span(1), flags);
    let child = parent.child(span(2));
    assert_eq!(verify_propagation(&parent, &child), Ok(()));
    let changed = |change: fn(&mut SpanContext)| {
        let mut child = child.clone();
        change(&mut child);
        verify_propagation(&parent, &child).unwrap_err().to_string()
    };
    assert_eq!(
        changed(|child| child.trace_id = "a".repeat(32).parse().unwrap()),
        format!("the trace id changed from {TRACE} to {}", "a".repeat(32))
    );
    assert_eq!(
        changed(|child| child.span_id = span(1)),
        "parent and child are both span 0000000000000001"
    );
    assert_eq!(
        changed(|child| child.parent = None),
        "the child of 0000000000000001 names no span as its parent"
    );
    assert_eq!(
        changed(|child| child.parent = Some(span(3))),
        "the child of 0000000000000001 names 0000000000000003 as its parent"
    );
    assert_eq!(
        changed(|child| child.flags = TraceFlags::RANDOM),
        "the sampled flag was true in the parent and is false in the child"
    );
    assert_eq!(
        changed(|child| child.flags = TraceFlags::SAMPLED),
        "the random flag changed"
    );
}

#[test]
fn baggage_is_read_as_the_specification_says() {
    let table: &[(&[&str], &str)] = &[
        // The examples.
        (
            &[
                "key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue",
            ],
            "key1=value1;property1;property2,key2=value2,key3=value3;propertyKey=propertyValue",
        ),
        (
            &[
                "userId =   alice",
                "serverNode = DF%2028, isProduction = false",
            ],
            "userId=alice,serverNode=DF%2028,isProduction=false",
        ),
        // value: an equals sign may be part of the value; there may be no value.
        (
            &["SomeKey=SomeValue=equals,empty="],
            "SomeKey=SomeValue=equals,empty=",
        ),
        // baggage-string: keys may repeat, and their order is kept.
        (&["a=1,b=2,a=3"], "a=1,b=2,a=3"),
        // value: what is no UTF-8 becomes U+FFFD, and a percent sign is always encoded.
        (&["a=%ff,b=100%,c=%zz"], "a=%EF%BF%BD,b=100%25,c=%25zz"),
        (&["Am%C3%A9lie=x"], "Am%C3%A9lie=x"),
        // An entry that breaks the grammar goes alone.
        (
            &["a=1,b,=c,d e=f,g=h i,j=\"k\",l=m;n o,p=\\,q=\u{e9},,r=2"],
            "a=1,r=2",
        ),
    ];
    for (values, expected) in table {
        assert_eq!(Baggage::parse(*values).to_string(), *expected, "{values:?}");
    }
    let ascii = "key=%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29";
    let baggage = Baggage::parse([ascii]);
    assert_eq!(baggage.get("key"), Some("\t \"';=asdf!@#$%^&*()"));
    assert_eq!(Baggage::parse(["a=1,b=2,a=3"]).get("a"), Some("3"));
    assert!(Baggage::parse([&[0xff, b'=', b'1'][..]]).is_empty());
}

#[test]
fn baggage_stays_within_its_limits() {
    let many = (0..70)
        .map(|n| format!("k{n}=v"))
        .collect::<Vec<_>>()
        .join(",");
    let mut baggage = Baggage::parse([many]);
    assert_eq!(baggage.entries().len(), Baggage::ENTRIES_MAX);
    assert_eq!(baggage.set("new", "v", []), Err(InvalidBaggage::Full));
    assert_eq!(baggage.set("k1", "w", []), Ok(()));
    let set = &baggage.entries()[1];
    assert_eq!((set.key(), set.value()), ("k1", "w"));
    assert!(baggage.remove("k1") && !baggage.remove("k1"));

    // Two entries, a comma, and not a byte more; what does not fit is left out, the rest is not.
    let half = "v".repeat(Baggage::BYTES_MAX / 2 - 2);
    let exact = format!("a={half},b={}", &half[1..]);
    assert_eq!(exact.len(), Baggage::BYTES_MAX);
    assert_eq!(Baggage::parse([&exact]).to_string(), exact);
    let over = format!("a={half},b={half},c=1");
    assert_eq!(Baggage::parse([over]).to_string(), format!("a={half},c=1"));
    // The same for an entry that is set.
    let mut two = Baggage::parse([format!("a={half}")]);
    assert_eq!(two.set("b", &half, []), Err(InvalidBaggage::Full));
    assert_eq!(two.set("b", &half[1..], []), Ok(()));
    assert_eq!(two.to_string(), exact);
    // What is sent bare may take three times as many bytes when it is sent on.
    let percent = format!("a={},b=1", "%".repeat(4000));
    assert_eq!(Baggage::parse([percent]).to_string(), "b=1");

    let property = |key: &str| Property {
        key: key.to_owned(),
        value: None,
    };
    assert_eq!(baggage.set("no token", "v", []), Err(InvalidBaggage::Key));
    assert_eq!(
        baggage.set("k2", "v", [property("")]),
        Err(InvalidBaggage::Key)
    );
}

fn key() -> impl Strategy<Value = String> {
    "[a-z0-9][a-z0-9_*/@-]{0,20}"
}

proptest! {
    #[test]
    fn any_context_survives_the_journey(
        trace in any::<[u8; 16]>().prop_filter_map("zero", TraceId::new),
        ids in any::<[[u8; 8]; 2]>(),
        flags: u8,
        state in vec((key(), "[ -+--<>-~]{0,20}[!-+--<>-~]"), 0..32),
        baggage in vec(("[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,8}", any::<String>()), 0..20),
    ) {
        let (Some(first), Some(second)) = (SpanId::new(ids[0]), SpanId::new(ids[1])) else {
            return Ok(());
        };
        prop_assume!(first != second);
        let mut here = SpanContext::root(trace, first, TraceFlags::from_byte(flags));
        for (key, value) in &state {
            here.state.set(key, value).unwrap();
        }
        let mut carried = Baggage::default();
        for (key, value) in &baggage {
            carried.set(key, value, []).unwrap();
        }
        let mut request = Vec::new();
        here.inject(&mut request);
        carried.inject(&mut request);
        for (_, value) in &request {
            prop_assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        }
        prop_assert_eq!(Baggage::extract(&request), carried);
        let received = SpanContext::extract(&request).unwrap().unwrap();
        prop_assert_eq!(&received, &here);
        prop_assert_eq!(verify_propagation(&here, &received.child(second)), Ok(()));
    }

    #[test]
    fn what_is_read_is_written_and_read_again(value: Vec<u8>, list: Vec<Vec<u8>>) {
        if let Ok(read) = TraceParent::parse(&value) {
            prop_assert_eq!(TraceParent::parse(read.to_string().as_bytes()), Ok(read));
        }
        if let Ok(state) = TraceState::parse(&list) {
            prop_assert_eq!(TraceState::parse([state.to_string()]), Ok(state));
        }
        let baggage = Baggage::parse(&list);
        prop_assert_eq!(Baggage::parse([baggage.to_string()]), baggage);
    }

    #[test]
    fn near_misses_are_read_as_the_grammar_says(value in "(00|01|ff|0)-[0-9a-fA]{31,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}(-x)?") {
        let fields: Vec<&str> = value.split('-').collect();
        let (version, rest) = (fields[0], fields.len() > 4);
        let lengths = [fields[0].len(), fields[1].len(), fields[2].len(), fields[3].len()];
        let valid = version != "ff"
            && lengths == [2, 32, 16, 2]
            && (version != "00" || !rest)
            && !fields[1].contains('A')
            && fields[1].contains(|digit| digit != '0')
            && fields[2].contains(|digit| digit != '0');
        prop_assert_eq!(value.parse::<TraceParent>().is_ok(), valid);
    }

    #[test]
    fn baggage_of_any_text_stays_within_its_limits(list in vec("[a-c]=[%a-z;, \\\\é]{0,300}", 0..80)) {
        let baggage = Baggage::parse(&list);
        prop_assert!(baggage.to_string().len() <= Baggage::BYTES_MAX);
        prop_assert!(baggage.entries().len() <= Baggage::ENTRIES_MAX);
    }
}
