//! What nobody should ask.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::double::{Double, OPEN, ask, get};

#[tokio::test]
async fn wrong_parameters_are_the_askers_fault() {
    let long = "9".repeat(5_000);
    for uri in [
        "/api/traces/xyz",
        "/api/traces/00000000000000000000000000000000",
        "/api/traces/%F0%9F%92%A9",
        "/api/traces?traceID=g",
        "/api/traces?service=shop&limit=-1",
        "/api/traces?service=shop&limit=1e9",
        "/api/traces?service=shop&start=yesterday",
        "/api/traces?service=shop&minDuration=-5s",
        "/api/traces?service=shop&tags=%5B%5D",
        "/api/traces?service=shop&tags=%7B",
        "/api/traces?service=shop&tag=a",
        "/api/operations",
        "/api/operations?service=shop&spanKind=other",
        "/api/dependencies?endTs=x",
        "/api/quorate/search?limit=99999999999999999999999",
        "/api/quorate/search?start=NaN",
        "/api/quorate/search?tag=%3Dv",
        "/api/quorate/search?severity=Critical",
        "/api/quorate/search?errors=2",
        "/api/quorate/traces/..%2f..%2fetc",
        "/tempo/api/search?q=name",
        "/tempo/api/search?tags=a",
        "/tempo/api/search?spss=x",
        "/tempo/api/traces/0",
        &format!("/api/quorate/search?limit={long}"),
    ] {
        let answer = get(uri).await;
        assert_eq!(
            answer.status,
            StatusCode::BAD_REQUEST,
            "{uri}: {}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn traceql_beyond_the_part_that_is_understood_is_refused() {
    for (query, why) in [
        (
            "{ .a = 1 || .b = 2 }",
            "'&&' or '}' was expected, '|| .b = 2 }' was found",
        ),
        (
            "{ .a = 1 } | count() > 2",
            "the end; one pair of braces is supported was expected",
        ),
        ("{ (.a = 1) }", "a field was expected"),
        ("{ .a }", "an operator was expected"),
        ("{ .a = }", "a value was expected"),
        ("{ .a = word }", "texts are in quotes"),
        ("{ .a = \"open }", "a text has no end"),
        ("{ whatever = 1 }", "'whatever' is not a field"),
        ("{ . = 1 }", "'.' is not a field"),
        ("{ .a =~ \"(\" }", "not a regular expression"),
        ("{ .a =~ \"(x{1000}){1000}\" }", "not a regular expression"),
        ("{ .a =~ 5 }", "a regular expression is in quotes"),
        ("{ .a = 1", "'&&' or '}' was expected, the end was found"),
        ("rate()", "a query begins with '{'"),
    ] {
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        let uri = format!(
            "/tempo/api/search?{}",
            encoded.append_pair("q", query).finish()
        );
        let answer = get(&uri).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(answer.text().contains(why), "{query}: {}", answer.text());
    }
    let many = format!("{{ {} true }}", ".a = 1 && ".repeat(100));
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    let uri = format!(
        "/tempo/api/search?{}",
        encoded.append_pair("q", &many).finish()
    );
    assert!(get(&uri).await.text().contains("more than 64 conditions"));
}

#[tokio::test]
async fn only_questions_are_answered() {
    for method in ["POST", "PUT", "DELETE"] {
        let request = Request::builder().method(method).uri("/api/services");
        let answer = ask(Double::new(), request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let limits = quorate_query::Limits {
        answer_bytes: 100,
        ..Default::default()
    };
    let router = quorate_query::router(std::sync::Arc::new(Double::new()), limits);
    let uri = format!("/api/traces/{OPEN:x}");
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn too_many_questions_are_refused_when_they_have_waited() {
    let limits = quorate_query::Limits {
        concurrent: 1,
        wait: std::time::Duration::ZERO,
        ..Default::default()
    };
    let (began, beginning) = std::sync::mpsc::channel();
    let (end, ending) = std::sync::mpsc::channel();
    let double = Double::new().that_waits(began, ending);
    let router = quorate_query::router(std::sync::Arc::new(double), limits);
    let request = |uri: &str| Request::get(uri).body(Body::empty()).unwrap();
    let slow = tower::ServiceExt::oneshot(router.clone(), request("/api/quorate/live"));
    let slow = tokio::spawn(slow);
    tokio::task::spawn_blocking(move || beginning.recv())
        .await
        .unwrap()
        .unwrap();
    let refused = tower::ServiceExt::oneshot(router, request("/api/services"))
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    end.send(()).unwrap();
    assert_eq!(slow.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn text_from_traces_stays_text() {
    let nasty = "</script><img src=x onerror=alert(1)>\u{0}\"\\";
    let trace = crate::double::otlp(
        0xbad,
        &[(nasty, nasty, 2, 1, 0, 0, 1, serde_json::json!({}))],
    );
    for uri in [
        "/api/traces/bad",
        "/api/quorate/traces/bad",
        "/tempo/api/traces/bad",
    ] {
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let answer = ask(Double::new().with(trace.clone()), request).await;
        assert!(answer.json().to_string().contains("onerror"));
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
}
