//! Random OTLP messages, byte by byte: fields in any order, repeated, unknown, and some of them wrong.
//!
//! An encoder would write each field at most once and in order; what clients may send is more.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Varint,
    Fixed32,
    Fixed64,
    TraceId,
    SpanId,
    Text,
    Key,
    Bytes,
    /// A message that has identifiers more often than chance would give them to it.
    Span,
    Message(Schema),
}

/// The fields of a message by their numbers.
type Schema = fn() -> &'static [(u32, Kind)];

const ROOT: Schema = || &[(1, Kind::Message(RESOURCE_SPANS))];
const RESOURCE_SPANS: Schema = || {
    &[
        (1, Kind::Message(RESOURCE)),
        (2, Kind::Message(SCOPE_SPANS)),
        (3, Kind::Text),
    ]
};
const RESOURCE: Schema = || {
    &[
        (1, Kind::Message(KEY_VALUE)),
        (2, Kind::Varint),
        (3, Kind::Message(ENTITY)),
    ]
};
const ENTITY: Schema = || {
    &[
        (1, Kind::Text),
        (2, Kind::Text),
        (3, Kind::Text),
        (4, Kind::Text),
    ]
};
const SCOPE_SPANS: Schema = || {
    &[
        (1, Kind::Message(SCOPE)),
        (2, Kind::Span),
        (2, Kind::Span),
        (3, Kind::Text),
    ]
};
const SCOPE: Schema = || {
    &[
        (1, Kind::Text),
        (2, Kind::Text),
        (3, Kind::Message(KEY_VALUE)),
        (4, Kind::Varint),
    ]
};
const SPAN: Schema = || {
    &[
        (1, Kind::TraceId),
        (2, Kind::SpanId),
        (3, Kind::Text),
        (4, Kind::SpanId),
        (5, Kind::Text),
        (6, Kind::Varint),
        (7, Kind::Fixed64),
        (8, Kind::Fixed64),
        (9, Kind::Message(KEY_VALUE)),
        (9, Kind::Message(KEY_VALUE)),
        (10, Kind::Varint),
        (11, Kind::Message(EVENT)),
        (12, Kind::Varint),
        (13, Kind::Message(LINK)),
        (14, Kind::Varint),
        (15, Kind::Message(STATUS)),
        (16, Kind::Fixed32),
    ]
};
const EVENT: Schema = || {
    &[
        (1, Kind::Fixed64),
        (2, Kind::Text),
        (3, Kind::Message(KEY_VALUE)),
        (4, Kind::Varint),
    ]
};
const LINK: Schema = || {
    &[
        (1, Kind::TraceId),
        (2, Kind::SpanId),
        (3, Kind::Text),
        (4, Kind::Message(KEY_VALUE)),
        (5, Kind::Varint),
        (6, Kind::Fixed32),
    ]
};
const STATUS: Schema = || &[(2, Kind::Text), (3, Kind::Varint)];
const KEY_VALUE: Schema = || {
    &[
        (1, Kind::Key),
        (2, Kind::Message(ANY_VALUE)),
        (3, Kind::Varint),
    ]
};
const ANY_VALUE: Schema = || {
    &[
        (1, Kind::Text),
        (2, Kind::Varint),
        (3, Kind::Varint),
        (4, Kind::Fixed64),
        (5, Kind::Message(ARRAY)),
        (6, Kind::Message(KEY_VALUES)),
        (7, Kind::Bytes),
        (8, Kind::Varint),
    ]
};
const ARRAY: Schema = || &[(1, Kind::Message(ANY_VALUE))];
const KEY_VALUES: Schema = || &[(1, Kind::Message(KEY_VALUE))];

/// Messages of fields that are there, and of some that are not.
pub(crate) fn messages() -> impl Strategy<Value = Vec<u8>> {
    message(ROOT, 12)
}

/// Messages with some of their bytes altered, left out or doubled.
pub(crate) fn damaged_messages() -> impl Strategy<Value = Vec<u8>> {
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    (messages(), vec(damage, 1..4)).prop_map(|(mut bytes, damages)| {
        for (place, byte, what) in damages {
            if bytes.is_empty() {
                break;
            }
            let at = place.index(bytes.len());
            match what {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, byte),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

fn message(schema: Schema, depth: u32) -> BoxedStrategy<Vec<u8>> {
    vec(field(schema, depth), 0..6)
        .prop_map(|fields| fields.concat())
        .boxed()
}

fn span(depth: u32) -> BoxedStrategy<Vec<u8>> {
    let ids = (content(Kind::TraceId, 0), content(Kind::SpanId, 0));
    (ids, message(SPAN, depth))
        .prop_map(|((trace, span), fields)| [put(1, 2, &trace), put(2, 2, &span), fields].concat())
        .boxed()
}

fn field(schema: Schema, depth: u32) -> BoxedStrategy<Vec<u8>> {
    let known = select(schema()).prop_flat_map(move |(number, kind)| {
        let wire = match kind {
            Kind::Varint => 0,
            Kind::Fixed64 => 1,
            Kind::Fixed32 => 5,
            _ => 2,
        };
        content(kind, depth).prop_map(move |content| put(number, wire, &content))
    });
    prop_oneof![30 => known, 1 => unknown_field()].boxed()
}

/// Fields that OTLP may have one day, groups among them.
fn unknown_field() -> BoxedStrategy<Vec<u8>> {
    let number = 17..40_u32;
    let leaf = (number.clone(), select(&[0_u8, 1, 2, 5][..]), any::<u64>()).prop_map(
        |(number, wire, value)| match wire {
            0 => put(number, 0, &varint(value)),
            1 => put(number, 1, &value.to_le_bytes()),
            5 => put(number, 5, &value.to_le_bytes()[..4]),
            _ => put(number, 2, &value.to_le_bytes()),
        },
    );
    let nested = leaf.prop_recursive(4, 8, 2, move |inner| {
        (number.clone(), vec(inner, 0..3))
            .prop_map(|(number, inner)| group(number, &inner.concat()))
    });
    let deep = (90..110_u32, any::<bool>()).prop_map(|(depth, with_field)| {
        let innermost = if with_field {
            put(20, 0, &varint(1))
        } else {
            Vec::new()
        };
        (0..depth).fold(innermost, |inner, _| group(20, &inner))
    });
    prop_oneof![8 => nested, 1 => deep].boxed()
}

fn content(kind: Kind, depth: u32) -> BoxedStrategy<Vec<u8>> {
    let id = |length: usize| {
        prop_oneof![
            20 => vec(1..=2_u8, length),
            1 => Just(vec![0; length]),
            1 => vec(any::<u8>(), 0..20),
        ]
    };
    match kind {
        Kind::Varint => {
            let numbers = prop_oneof![(0..8_u64), any::<u64>()];
            numbers.prop_map(varint).boxed()
        }
        Kind::Fixed32 => vec(any::<u8>(), 4).boxed(),
        Kind::Fixed64 => vec(any::<u8>(), 8).boxed(),
        Kind::TraceId => id(16).boxed(),
        Kind::SpanId => id(8).boxed(),
        Kind::Text => prop_oneof![
            30 => ".{0,6}".prop_map(String::into_bytes),
            1 => vec(any::<u8>(), 0..6),
        ]
        .boxed(),
        Kind::Key => {
            let keys = select(&["service.name", "", "a", "ключ"][..]);
            keys.prop_map(|key| key.as_bytes().to_vec()).boxed()
        }
        Kind::Bytes => vec(any::<u8>(), 0..6).boxed(),
        Kind::Span => span(depth.saturating_sub(1)),
        Kind::Message(_) if depth == 0 => Just(Vec::new()).boxed(),
        Kind::Message(schema) => message(schema, depth - 1),
    }
}

/// A field, with its length if it has one.
pub(crate) fn put(number: u32, wire: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = varint(u64::from(number) << 3 | u64::from(wire));
    if wire == 2 {
        bytes.extend(varint(content.len() as u64));
    }
    bytes.extend_from_slice(content);
    bytes
}

/// A group with these fields.
pub(crate) fn group(number: u32, content: &[u8]) -> Vec<u8> {
    [put(number, 3, content), put(number, 4, &[])].concat()
}

/// A number in as many groups of seven bits as it needs.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
