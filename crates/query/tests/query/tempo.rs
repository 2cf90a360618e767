//! Tempo's interface: what Grafana's data source asks.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use quorate_trace::wire::Batch;
use serde_json::{Value, json};

use crate::double::{Answer, CHECKOUT, Double, GAP, START, ask, get};

async fn protobuf(path: &str) -> Answer {
    let request = Request::get(path).header("accept", "application/protobuf");
    ask(Double::new(), request.body(Body::empty()).unwrap()).await
}

async fn search(parameters: &[(&str, &str)]) -> Value {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    let answer = get(&format!("/tempo/api/search?{}", query.finish())).await;
    assert_eq!(
        answer.status,
        StatusCode::OK,
        "{parameters:?}: {}",
        answer.text()
    );
    answer.json()
}

async fn found(query: &str) -> Vec<String> {
    let found = search(&[("q", query)]).await;
    let ids = found["traces"].as_array().unwrap().iter();
    ids.map(|trace| {
        trace["traceID"]
            .as_str()
            .unwrap()
            .trim_start_matches('0')
            .to_owned()
    })
    .collect()
}

#[tokio::test]
async fn a_trace_by_id_in_both_versions_and_encodings() {
    let path = format!("/tempo/api/traces/{CHECKOUT:x}?start=1&end=2");
    let answer = protobuf(&path).await;
    assert_eq!(answer.headers["content-type"], "application/protobuf");
    assert_eq!(
        Batch::scan(answer.body.clone(), &Default::default())
            .unwrap()
            .len(),
        4
    );
    let json = get(&path).await.json();
    assert_eq!(json["resourceSpans"].as_array().unwrap().len(), 2);

    let path = format!("/tempo/api/v2/traces/{CHECKOUT:x}");
    let second = protobuf(&path).await.body;
    // One field, number 1, that holds the trace of the first version.
    assert_eq!(second[0], 0x0a);
    assert!(second.ends_with(&answer.body) && second.len() - answer.body.len() <= 4);
    assert_eq!(get(&path).await.json(), json!({ "trace": json }));

    let answer = get("/tempo/api/traces/dead").await;
    assert_eq!(
        (answer.status, answer.text()),
        (StatusCode::NOT_FOUND, "trace not found")
    );
}

#[tokio::test]
async fn a_hit_has_what_grafana_shows() {
    let found = search(&[("q", "{ duration >= 860ms }"), ("spss", "1")]).await;
    let set = json!({"matched": 3, "spans": [{
        "spanID": "0000000000000001", "name": "POST /checkout",
        "startTimeUnixNano": START.to_string(), "durationNanos": "900000000",
        "attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}],
    }]});
    let hit = json!({
        "traceID": format!("{CHECKOUT:032x}"), "rootServiceName": "shop",
        "rootTraceName": "POST /checkout", "startTimeUnixNano": START.to_string(), "durationMs": 900,
        "spanSet": set, "spanSets": [set],
        "serviceStats": {"payment": {"spanCount": 2, "errorCount": 2},
            "shop": {"spanCount": 2, "errorCount": 2}},
    });
    assert_eq!(found["traces"], json!([hit]));
    assert_eq!(found["metrics"]["inspectedTraces"], json!(1));
}

#[tokio::test]
async fn traceql_selects_spans() {
    let ids = [CHECKOUT, GAP].map(|id| format!("{id:x}"));
    let [checkout, gap] = [0, 1].map(|at| ids[at].as_str());
    for (query, expected) in [
        ("{}", vec![gap, checkout]),
        ("", vec![gap, checkout]),
        ("{ true }", vec![gap, checkout]),
        (
            r#"{ resource.service.name = "payment" && name = "POST /pay" }"#,
            vec![checkout],
        ),
        // Both hold for the trace, but not for one span.
        (
            r#"{ resource.service.name = "shop" && name = "POST /pay" }"#,
            vec![],
        ),
        (
            "{ status = error && kind = client && duration >= 840ms }",
            vec![checkout],
        ),
        ("{ span.http.status_code >= 500 }", vec![checkout]),
        ("{ .http.status_code = 404 }", vec![]),
        (
            r#"{ span.sharded = true && span."db.system" =~ "post.*" }"#,
            vec![checkout],
        ),
        (r#"{ span.db.system =~ "post" }"#, vec![]),
        (r#"{ resource.host.name != "shop-1" }"#, vec![gap, checkout]),
        ("{ rootName = `GET /` }", vec![gap]),
        (
            r#"{ statusMessage = "timed out" && traceDuration > 0.5s }"#,
            vec![checkout],
        ),
        ("{ span.ratio < 0.6 && span.ratio != nil }", vec![checkout]),
    ] {
        assert_eq!(found(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn search_goes_on_behind_candidates_that_do_not_match() {
    let found = search(&[("q", "{ span.sharded = true }"), ("limit", "1")]).await;
    let id = &found["traces"][0]["traceID"];
    assert_eq!(*id, json!(format!("{CHECKOUT:032x}")));
    assert_eq!(found["metrics"]["inspectedTraces"], json!(2));
}

#[tokio::test]
async fn search_by_tags_and_durations() {
    let ids = |found: Value| -> Vec<String> {
        let ids = found["traces"].as_array().unwrap().iter();
        ids.map(|hit| {
            hit["traceID"]
                .as_str()
                .unwrap()
                .trim_start_matches('0')
                .to_owned()
        })
        .collect()
    };
    let checkout = &*format!("{CHECKOUT:x}");
    for tags in [
        "service.name=payment",
        "http.status_code=500 http.method=\"POST\"",
        "error=true",
    ] {
        assert_eq!(ids(search(&[("tags", tags)]).await), [checkout], "{tags}");
    }
    assert_eq!(ids(search(&[("minDuration", "500ms")]).await), [checkout]);
    let end = (START / 1_000_000_000 + 4).to_string();
    assert_eq!(ids(search(&[("end", &end)]).await).len(), 1);
    assert_eq!(ids(search(&[("limit", "1")]).await), [format!("{GAP:x}")]);
}

#[tokio::test]
async fn tags_and_their_values() {
    let tags = get("/tempo/api/search/tags").await.json();
    assert!(
        tags["tagNames"]
            .as_array()
            .unwrap()
            .contains(&json!("db.system"))
    );
    let scoped = get("/tempo/api/v2/search/tags").await.json();
    let names: Vec<_> = scoped["scopes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["name"])
        .collect();
    assert_eq!(names, ["resource", "span", "intrinsic"]);
    assert_eq!(
        scoped["scopes"][0]["tags"],
        json!(["host.name", "service.name"])
    );
    let one = get("/tempo/api/v2/search/tags?scope=span").await.json();
    assert_eq!(one["scopes"].as_array().unwrap().len(), 1);

    let values = get("/tempo/api/search/tag/http.method/values").await.json();
    assert_eq!(values["tagValues"], json!(["POST"]));
    let values = get("/tempo/api/v2/search/tag/resource.service.name/values")
        .await
        .json();
    assert_eq!(
        values["tagValues"][0],
        json!({"type": "string", "value": "payment"})
    );
    let values = get("/tempo/api/v2/search/tag/status/values").await.json();
    assert_eq!(
        values["tagValues"][0],
        json!({"type": "keyword", "value": "error"})
    );
    let values = get("/tempo/api/v2/search/tag/name/values").await.json();
    assert_eq!(values["tagValues"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn it_is_taken_for_tempo() {
    assert_eq!(get("/tempo/api/echo").await.text(), "echo");
    assert_eq!(get("/tempo/ready").await.status, StatusCode::OK);
    assert!(get("/tempo/api/status/buildinfo").await.json()["version"].is_string());
}
