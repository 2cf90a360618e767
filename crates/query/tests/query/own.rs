//! Quorate's own interface: what the web page reads.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::double::{CHECKOUT, GAP, OPEN, START, get};

async fn asked(path: &str) -> Value {
    let answer = get(&format!("/api/quorate/{path}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    assert_eq!(answer.headers["content-type"], "application/json");
    answer.json()
}

async fn found(query: &str) -> Vec<String> {
    let found = asked(&format!("search?{query}")).await;
    assert_eq!(
        (&found["examined"], &found["complete"]),
        (&json!(2), &json!(true))
    );
    let ids = found["traces"].as_array().unwrap().iter();
    ids.map(|trace| {
        trace["traceId"]
            .as_str()
            .unwrap()
            .trim_start_matches('0')
            .to_owned()
    })
    .collect()
}

#[tokio::test]
async fn a_summary_has_everything_that_a_list_shows() {
    let found = asked("search?verdict=incomplete").await;
    let expected = json!({
        "traces": [{
            "traceId": format!("{GAP:032x}"), "revision": 1, "rootService": "shop", "rootName": "GET /",
            "startNs": (START + 5_000_000_000).to_string(), "durationNs": 100_000_000,
            "spans": 2, "errors": 0,
            "services": [{"service": "search", "spans": 1, "errors": 0},
                {"service": "shop", "spans": 1, "errors": 0}],
            "completeness": {"verdict": "incomplete", "spans": 2, "roots": 1,
                "missing": ["0000000000000008"], "missingCount": 1},
            "faults": [], "rootCause": null,
            "decision": {"kind": "kept", "policy": "all"},
        }],
        "examined": 2, "complete": true,
    });
    assert_eq!(found, expected);
    let failed = asked("search?errors=true").await;
    let fault = json!([{"kind": "error", "severity": "critical", "service": "shop",
        "operation": "POST /checkout", "message": "It failed."}]);
    assert_eq!(failed["traces"][0]["faults"], fault);
    assert_eq!(failed["traces"][0]["rootCause"], json!("The database."));
}

#[tokio::test]
async fn search_combines_its_parameters() {
    let ids = [CHECKOUT, GAP].map(|id| format!("{id:x}"));
    let [checkout, gap] = [0, 1].map(|at| ids[at].as_str());
    assert_eq!(found("").await, [gap, checkout]);
    assert_eq!(found("service=search").await, [gap]);
    assert_eq!(found("operation=pay&service=").await, [checkout]);
    assert_eq!(
        found("tag=http.method=POST&tag=http.status_code=500").await,
        [checkout]
    );
    assert_eq!(
        found("tag=http.method=POST&tag=db.system=x").await,
        Vec::<String>::new()
    );
    assert_eq!(found("severity=warning").await, [checkout]);
    assert_eq!(
        found("minDuration=10ms&maxDuration=1.5s&limit=1").await,
        [gap]
    );
    assert_eq!(found("start=2023-11-14T22:13:21Z").await, [gap]);
    assert_eq!(found(&format!("end={START}")).await, [checkout]);
    assert_eq!(found("verdict=evicted").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_trace_is_told_with_its_causes() {
    let trace = asked(&format!("traces/{CHECKOUT:x}")).await;
    assert_eq!(trace["phase"], json!("sealed"));
    assert_eq!(
        trace["summary"]["completeness"]["verdict"],
        json!("complete")
    );
    assert_eq!(
        (&trace["missing"], &trace["skew"]),
        (&json!([]), &json!([]))
    );

    let root = &trace["spans"][0];
    let expected = json!({
        "spanId": "0000000000000001", "parentId": null, "service": "shop", "name": "POST /checkout",
        "kind": "server", "status": "error", "statusMessage": "",
        "startNs": START.to_string(), "endNs": (START + 900_000_000).to_string(),
        "adjustedStartNs": START.to_string(), "adjustedEndNs": (START + 900_000_000).to_string(),
        "attributes": {"http.method": "POST", "http.status_code": 500, "big": "9007199254740993",
            "vc.shop": 1},
        "resource": {"service.name": "shop", "host.name": "shop-1"},
        "scope": {"name": "lib", "version": "1.2"},
        "events": [], "links": [], "clock": {"shop": 1}, "critical": true,
    });
    assert_eq!(*root, expected);
    let payment = &trace["spans"][2];
    let event = json!([{"timeNs": (START + 879_000_000).to_string(), "name": "exception",
        "attributes": {"exception.type": "Timeout"}}]);
    assert_eq!(payment["events"], event);
    let link = json!([{"traceId": format!("{GAP:032x}"), "spanId": "0000000000000001",
        "attributes": {"why": "order"}}]);
    assert_eq!(payment["links"], link);
    assert!(payment.get("clock").is_none());

    let edges = trace["edges"].as_array().unwrap();
    let parent = json!({"from": "0000000000000001", "to": "0000000000000002", "kind": "parent"});
    assert!(edges.contains(&parent), "{edges:?}");
    let link = json!({"from": "0000000000000001", "to": "0000000000000003", "kind": "link",
        "trace": format!("{GAP:032x}")});
    assert!(edges.contains(&link), "{edges:?}");

    let path = trace["criticalPath"].as_array().unwrap();
    assert_eq!(path[0]["spanId"], json!("0000000000000001"));
    assert_eq!(path[0]["fromNs"], json!(START.to_string()));
    assert_eq!(path[0]["toNs"], json!((START + 10_000_000).to_string()));

    let fault = &trace["faults"][0];
    assert_eq!(
        (&fault["kind"], &fault["severity"]),
        (&json!("error"), &json!("critical"))
    );
    let cause = &trace["rootCauses"][0];
    assert_eq!(cause["spanId"], json!("0000000000000004"));
    assert_eq!(cause["operation"], json!("SELECT accounts"));
    assert_eq!(cause["traceId"], json!(format!("{CHECKOUT:032x}")));
    assert!(!cause["reasons"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let trace = asked(&format!("traces/{GAP:x}")).await;
    let missing = &trace["missing"][0];
    assert_eq!(missing["spanId"], json!("0000000000000008"));
    assert_eq!(missing["children"], json!(["0000000000000009"]));
    assert!(missing["message"].as_str().unwrap().contains("search"));
    let problems = trace["problems"].as_array().unwrap();
    assert!(
        problems
            .iter()
            .any(|problem| problem["kind"] == json!("missing-parent"))
    );
}

#[tokio::test]
async fn an_open_trace_has_a_provisional_summary() {
    let trace = asked(&format!("traces/{OPEN:x}")).await;
    assert_eq!(
        (&trace["phase"], &trace["ageMs"]),
        (&json!("active"), &json!(1200))
    );
    let summary = &trace["summary"];
    assert_eq!(summary["rootName"], json!("GET /slow"));
    assert_eq!(
        (&summary["revision"], &summary["spans"]),
        (&json!(0), &json!(1))
    );
    assert!(summary["completeness"].get("verdict").is_none());
    assert!(summary.get("decision").is_none());
}

#[tokio::test]
async fn of_what_sampling_dropped_the_decision_is_told() {
    let asked = async |uri: String| {
        let request = axum::http::Request::get(uri).body(axum::body::Body::empty());
        let double = crate::double::Double::new().that_dropped_the_checkout();
        crate::double::ask(double, request.unwrap()).await
    };
    let trace = asked(format!("/api/quorate/traces/{CHECKOUT:x}"))
        .await
        .json();
    let dropped = json!({"kind": "dropped", "policy": "few"});
    assert_eq!(trace["summary"]["decision"], dropped);
    assert_eq!(trace["summary"]["spans"], json!(4));
    assert_eq!(trace["spans"], json!([]));
    for interface in ["/api", "/tempo/api"] {
        let answer = asked(format!("{interface}/traces/{CHECKOUT:x}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{interface}");
    }
}

#[tokio::test]
async fn spans_come_as_otlp() {
    let path = format!("/api/quorate/traces/{CHECKOUT:x}/otlp");
    let json = get(&path).await.json();
    let spans = json["resourceSpans"].as_array().unwrap().iter();
    let spans = spans.flat_map(|resource| resource["scopeSpans"][0]["spans"].as_array().unwrap());
    assert_eq!(spans.count(), 4);
    let request = axum::http::Request::get(&path).header("accept", "application/x-protobuf");
    let request = request.body(axum::body::Body::empty()).unwrap();
    let answer = crate::double::ask(crate::double::Double::new(), request).await;
    assert_eq!(answer.headers["content-type"], "application/x-protobuf");
    let batch = quorate_trace::wire::Batch::scan(answer.body, &Default::default()).unwrap();
    assert_eq!(batch.len(), 4);
}

#[tokio::test]
async fn figures_of_now() {
    let live = asked("live").await;
    assert_eq!(
        (&live["openTraces"], &live["phases"]["active"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(live["store"]["traces"], json!(2));

    let operations = asked("operations").await;
    let operations = operations["operations"].as_array().unwrap();
    let pay = operations
        .iter()
        .find(|operation| operation["operation"] == "pay")
        .unwrap();
    assert_eq!(
        (&pay["service"], &pay["kind"]),
        (&json!("shop"), &json!("client"))
    );
    assert_eq!((&pay["calls"], &pay["errors"]), (&json!(1), &json!(1)));
    assert!(pay["p99Ms"].as_f64().unwrap() > 700.0);

    let graph = asked("service-graph").await;
    let node = json!({"service": "postgresql", "kind": "database", "calls": 1, "errors": 1});
    assert!(
        graph["nodes"].as_array().unwrap().contains(&node),
        "{graph}"
    );
    let edge = &graph["edges"][1];
    assert_eq!(
        (&edge["caller"], &edge["callee"]),
        (&json!("shop"), &json!("payment"))
    );
    assert_eq!((&edge["calls"], &edge["errors"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn errors_have_a_code_and_a_message() {
    for (path, code, message) in [
        ("traces/77", 404, "trace not found"),
        (
            "search?minDuration=long",
            400,
            "minDuration: 'long' is not a duration such as 10ms, 1.5s or 1h30m",
        ),
        (
            "search?verdict=fine",
            400,
            "verdict: 'fine' is not one of complete, incomplete and evicted",
        ),
        (
            "search?tag=novalue",
            400,
            "tag: 'novalue' is not of the form key=value",
        ),
        (
            "search?service=broken",
            500,
            "the store fails: the trace store cannot reach its files: the disk is gone",
        ),
        ("nothing", 404, "there is no such question"),
    ] {
        let answer = get(&format!("/api/quorate/{path}")).await;
        assert_eq!(answer.status.as_u16(), code, "{path}");
        let expected = json!({"error": {"code": code, "message": message}});
        assert_eq!(answer.json(), expected);
    }
}
