//! What is in a row.

use opentelemetry_proto::tonic::trace::v1::Span;
use parquet::file::reader::{FileReader, SerializedFileReader};
use quorate_export::archive::{SCHEMA, Sealed};
use quorate_trace::Verdict;

use crate::support::{BEGIN, Place, full_span, hasty, offer, sealed, trace, until_archived};

/// Names and values of the only row's columns.
async fn columns(trace: Sealed) -> Vec<(String, String)> {
    let place = Place::new();
    let archive = place.open(hasty());
    offer(&archive, &[trace]);
    until_archived(&archive).await;
    let rows = place.rows();
    assert_eq!(rows.len(), 1);
    let columns = rows[0].get_column_iter();
    columns
        .map(|(name, field)| (name.clone(), field.to_string()))
        .collect()
}

fn column<'a>(columns: &'a [(String, String)], name: &str) -> &'a str {
    let found = columns.iter().find(|(column, _)| column == name);
    &found.unwrap_or_else(|| panic!("no column {name}")).1
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_has_what_the_span_has() {
    let columns = columns(Sealed {
        verdict: Verdict::Incomplete,
        revision: 3,
        ..sealed(vec![full_span()])
    })
    .await;
    let expected = [
        ("trace_id", "\"000000000000000000000000000000a1\""),
        ("span_id", "\"00000000000000b2\""),
        ("parent_span_id", "\"00000000000000c3\""),
        ("trace_state", "\"k=v\""),
        ("flags", "257"),
        ("service", "\"shop\""),
        ("name", "\"GET /cart\""),
        ("kind", "\"server\""),
        ("duration_ns", "1000000"),
        ("status", "\"error\""),
        ("status_message", "\"timeout\""),
        (
            "attributes",
            "{\"a\" -> \"[1,\\\"NaN\\\",null]\", \"d\" -> \"0.5\", \"i\" -> \"-7\", \
             \"m\" -> \"{\\\"b\\\":\\\"ab\\\",\\\"x\\\":\\\"y\\\"}\", \"s\" -> \"new\", \"t\" -> \"true\", \
             \"y\" -> \"00ff\"}",
        ),
        (
            "resource_attributes",
            "{\"host.name\" -> \"a\", \"service.name\" -> \"shop\"}",
        ),
        ("scope_name", "\"lib\""),
        ("scope_version", "\"1.2\""),
        ("verdict", "\"incomplete\""),
        ("revision", "3"),
    ];
    for (name, value) in expected {
        let found = column(&columns, name).replace("\\\\", "\\");
        assert_eq!(
            found.replace("\\\"", "\""),
            value.replace("\\\"", "\""),
            "{name}"
        );
    }
    let events = column(&columns, "events");
    assert!(
        events.contains("name: \"first\", attributes: {\"e\" -> \"1\", \"f\" -> \"2\"}"),
        "{events}"
    );
    assert!(
        events.contains("name: \"second\", attributes: {}"),
        "{events}"
    );
    let links = column(&columns, "links");
    assert!(
        links.contains("span_id: \"00000000000000e5\", trace_state: \"l=m\""),
        "{links}"
    );
    assert!(
        links.contains("attributes: {\"why\" -> \"retry\"}"),
        "{links}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_with_nothing_has_empty_columns() {
    let columns = columns(sealed(vec![Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        start_time_unix_nano: BEGIN,
        end_time_unix_nano: BEGIN - 9,
        ..Span::default()
    }]))
    .await;
    let expected = [
        ("parent_span_id", "null"),
        ("trace_state", "\"\""),
        ("kind", "\"unspecified\""),
        ("duration_ns", "0"),
        ("status", "\"unset\""),
        ("attributes", "{}"),
        ("events", "[]"),
        ("links", "[]"),
    ];
    for (name, value) in expected {
        assert_eq!(column(&columns, name), value, "{name}");
    }
}

/// Full and empty maps and lists of neighbours keep apart.
#[tokio::test(flavor = "multi_thread")]
async fn rows_keep_what_is_theirs() {
    let place = Place::new();
    let archive = place.open(hasty());
    let plain = Span {
        trace_id: vec![1; 16],
        ..Span::default()
    };
    let numbered = |span: Span, number: u64| Span {
        span_id: number.to_be_bytes().to_vec(),
        ..span
    };
    let spans = [
        plain.clone(),
        full_span(),
        plain.clone(),
        plain,
        full_span(),
        full_span(),
    ];
    let spans = spans
        .into_iter()
        .zip(1..)
        .map(|(span, number)| numbered(span, number));
    offer(&archive, &[sealed(spans.collect())]);
    until_archived(&archive).await;
    let lengths: Vec<_> = place
        .rows()
        .iter()
        .map(|row| {
            let field = |wanted: &str| {
                let mut columns = row.get_column_iter();
                columns
                    .find(|(name, _)| *name == wanted)
                    .unwrap()
                    .1
                    .to_string()
            };
            let count = |text: String, what: &str| text.matches(what).count();
            (
                count(field("attributes"), "->"),
                count(field("events"), "time:"),
            )
        })
        .collect();
    assert_eq!(lengths, [(0, 0), (7, 2), (0, 0), (0, 0), (7, 2), (7, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_has_the_documented_schema_and_can_be_searched() {
    let place = Place::new();
    let archive = place.open(hasty());
    offer(&archive, &[trace(7)]);
    until_archived(&archive).await;
    let file = std::fs::File::open(place.files().join(&place.names()[0])).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let metadata = reader.metadata();
    let mut printed = Vec::new();
    parquet::schema::printer::print_schema(&mut printed, metadata.file_metadata().schema());
    let words = |text: &str| {
        let text = text.to_lowercase().replace("byte_array", "binary");
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(words(std::str::from_utf8(&printed).unwrap()), words(SCHEMA));
    let group = metadata.row_group(0);
    assert!(
        group.column(0).bloom_filter_offset().is_some(),
        "of trace_id"
    );
    assert!(
        group
            .columns()
            .iter()
            .all(|column| column.statistics().is_some())
    );
}
