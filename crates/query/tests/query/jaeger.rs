//! Jaeger's interface: the JSON that its UI and Grafana read.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::double::{CHECKOUT, Double, GAP, OPEN, START, get, otlp};

async fn data(uri: &str) -> Value {
    let answer = get(uri).await;
    assert_eq!(answer.status, StatusCode::OK, "{uri}: {}", answer.text());
    let mut json = answer.json();
    assert_eq!(json["errors"], json!(null));
    assert_eq!((&json["limit"], &json["offset"]), (&json!(0), &json!(0)));
    json["data"].take()
}

async fn found(query: &str) -> Vec<String> {
    let data = data(&format!("/api/traces?{query}")).await;
    let ids = data
        .as_array()
        .unwrap()
        .iter()
        .map(|trace| trace["traceID"].as_str().unwrap());
    ids.map(|id| id.trim_start_matches('0').to_owned())
        .collect()
}

#[tokio::test]
async fn services_and_operations() {
    let answer = get("/api/services").await;
    let expected = json!({"data": ["payment", "search", "shop"], "total": 3, "limit": 0, "offset": 0,
        "errors": null});
    assert_eq!(answer.json(), expected);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let names = data("/api/services/shop/operations").await;
    assert_eq!(names, json!(["GET /", "POST /checkout", "pay"]));
    let operations = data("/api/operations?service=payment").await;
    let expected = json!([{"name": "POST /pay", "spanKind": "server"},
        {"name": "SELECT accounts", "spanKind": "client"}]);
    assert_eq!(operations, expected);
    let clients = data("/api/operations?service=shop&spanKind=client").await;
    assert_eq!(clients, json!([{"name": "pay", "spanKind": "client"}]));
    assert_eq!(
        data("/jaeger/api/services").await.as_array().unwrap().len(),
        3
    );
}

#[tokio::test]
async fn a_trace_has_jaegers_form() {
    let data = data(&format!("/api/traces/{CHECKOUT:x}")).await;
    let trace = &data[0];
    let id = format!("{CHECKOUT:032x}");
    assert_eq!(trace["traceID"], json!(id));
    // The verdict is said only where there is something to say.
    assert_eq!(trace["warnings"], json!(null));
    let tag =
        |key: &str, kind: &str, value: Value| json!({"key": key, "type": kind, "value": value});
    let start = START / 1000;
    let expected = json!({
        "traceID": id, "spanID": "0000000000000004", "flags": 1, "operationName": "SELECT accounts",
        "references": [{"refType": "CHILD_OF", "traceID": id, "spanID": "0000000000000003"}],
        "startTime": start + 30_000, "duration": 840_000,
        "tags": [
            tag("otel.scope.name", "string", json!("lib")),
            tag("otel.scope.version", "string", json!("1.2")),
            tag("db.system", "string", json!("postgresql")),
            tag("sharded", "bool", json!(true)),
            tag("ratio", "float64", json!(0.5)),
            tag("raw", "binary", json!("+/8=")),
            tag("list", "string", json!("[1,\"x\"]")),
            tag("span.kind", "string", json!("client")),
            tag("otel.status_code", "string", json!("ERROR")),
            tag("error", "bool", json!(true)),
            tag("otel.status_description", "string", json!("timed out")),
        ],
        "logs": [], "processID": "p2", "warnings": null,
    });
    assert_eq!(trace["spans"][3], expected);
    let root = &trace["spans"][0];
    assert_eq!(root["references"], json!([]));
    let tags = root["tags"].as_array().unwrap();
    assert!(tags.contains(&tag("big", "int64", json!("9007199254740993"))));
    assert!(tags.contains(&tag("http.status_code", "int64", json!(500))));
    assert!(tags.contains(&tag("w3c.tracestate", "string", json!("a=b"))));
    let payment = &trace["spans"][2];
    let link = json!({"refType": "FOLLOWS_FROM", "traceID": format!("{GAP:032x}"),
        "spanID": "0000000000000001"});
    assert_eq!(payment["references"][1], link);
    let log = json!([{"timestamp": start + 879_000, "fields": [
        tag("event", "string", json!("exception")), tag("exception.type", "string", json!("Timeout"))]}]);
    assert_eq!(payment["logs"], log);
    let processes = json!({
        "p1": {"serviceName": "shop", "tags": [tag("host.name", "string", json!("shop-1"))]},
        "p2": {"serviceName": "payment", "tags": [tag("host.name", "string", json!("payment-1"))]},
    });
    assert_eq!(trace["processes"], processes);
}

#[tokio::test]
async fn warnings_say_what_is_missing() {
    let data = data(&format!("/api/traces/{GAP:x}?start=1&end=2")).await;
    let verdict = data[0]["warnings"][0].as_str().unwrap();
    assert!(verdict.starts_with("Incomplete."), "{verdict}");
    assert!(verdict.contains("0000000000000008"), "{verdict}");
    let said = data[0]["spans"][1]["warnings"].to_string();
    assert!(said.contains("0000000000000008"), "{said}");
    assert_eq!(data[0]["spans"][0]["warnings"], json!(null));
}

#[tokio::test]
async fn warnings_say_how_clocks_differ() {
    let skewed = otlp(
        0x5e,
        &[
            ("a", "call", 3, 1, 0, 0, 100, json!({})),
            ("b", "serve", 2, 2, 1, 5_000, 5_050, json!({})),
        ],
    );
    let request = axum::http::Request::get("/api/traces/5e").body(axum::body::Body::empty());
    let answer = crate::double::ask(Double::new().with(skewed), request.unwrap()).await;
    let trace = answer.json();
    let warnings = trace["data"][0]["warnings"].to_string();
    assert!(warnings.contains("The clock of b"), "{warnings}");
    assert!(warnings.contains("ahead"), "{warnings}");
    // As recorded, not as adjusted.
    let start = trace["data"][0]["spans"][1]["startTime"].as_u64().unwrap();
    assert_eq!(start, START / 1000 + 5_000_000);
}

#[tokio::test]
async fn an_open_trace_is_found_and_said_to_be_open() {
    let data = data(&format!("/api/traces/{OPEN:x}")).await;
    assert_eq!(data[0]["spans"][0]["operationName"], json!("GET /slow"));
    let verdict = data[0]["warnings"][0].as_str().unwrap();
    assert!(verdict.contains("Not sealed yet (active)"), "{verdict}");
}

#[tokio::test]
async fn search_has_jaegers_parameters() {
    let ids = [CHECKOUT, GAP].map(|id| format!("{id:x}"));
    let [checkout, gap] = [0, 1].map(|at| ids[at].as_str());
    let both = [gap, checkout];
    assert_eq!(found("service=shop").await, both);
    assert_eq!(
        found("service=shop&operation=all&limit=20&lookback=custom").await,
        both
    );
    assert_eq!(found("service=shop&limit=1").await, [gap]);
    assert_eq!(found("service=shop&operation=pay").await, [checkout]);
    assert_eq!(found("service=shop&minDuration=500ms").await, [checkout]);
    assert_eq!(found("service=shop&maxDuration=0.5s").await, [gap]);
    let tags = "%7B%22http.method%22%3A%22POST%22%7D";
    assert_eq!(
        found(&format!("service=shop&tags={tags}")).await,
        [checkout]
    );
    assert_eq!(
        found("service=shop&tag=http.status_code:500").await,
        [checkout]
    );
    let after = START / 1000 + 1;
    assert_eq!(found(&format!("service=shop&start={after}")).await, [gap]);
    assert_eq!(
        found(&format!("service=shop&end={after}")).await,
        [checkout]
    );
    let lookback = format!("service=shop&end={}&lookback=3s", START / 1000 + 6_000_000);
    assert_eq!(found(&lookback).await, [gap]);
    assert_eq!(found("service=nobody").await, Vec::<String>::new());
    let by_id = format!("traceID={CHECKOUT:x}&traceID={GAP:032x}&traceID=dead");
    assert_eq!(found(&by_id).await, [checkout, gap]);
}

#[tokio::test]
async fn dependencies_are_the_service_graph() {
    let end = START / 1_000_000 + 1;
    let data = data(&format!("/api/dependencies?endTs={end}&lookback=3600000")).await;
    let expected = json!([
        {"parent": "payment", "child": "postgresql", "callCount": 1},
        {"parent": "shop", "child": "payment", "callCount": 1},
    ]);
    assert_eq!(data, expected);
    let later = get("/api/dependencies").await.json();
    assert_eq!(later["data"], json!([]));
}

#[tokio::test]
async fn errors_have_jaegers_form() {
    let error = |code: u16, message: &str| {
        json!({"data": null, "total": 0, "limit": 0, "offset": 0,
            "errors": [{"code": code, "msg": message}]})
    };
    let answer = get("/api/traces/123").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.json(), error(404, "trace not found"));
    let answer = get("/api/traces").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json(), error(400, "parameter 'service' is required"));
    let answer = get("/api/nonsense").await;
    assert_eq!(answer.json(), error(404, "there is no such question"));
    let answer = get("/api/traces?service=broken").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.text().contains("the disk is gone"));
}
