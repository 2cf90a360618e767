//! The page and its headers.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::double::{Double, ask, get};

#[tokio::test]
async fn the_page_is_served_with_a_policy() {
    let page = get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
    let named = page
        .text()
        .split('"')
        .filter(|part| part.ends_with(".js") || part.ends_with(".css"));
    let named: Vec<_> = named
        .map(|name| name.trim_start_matches("./").to_owned())
        .collect();
    assert!(!named.is_empty());
    for name in named {
        let file = get(&format!("/{name}")).await;
        assert_eq!(file.status, StatusCode::OK, "{name}");
        assert!(!file.body.is_empty());
    }
    assert_eq!(get("/none.js").await.status, StatusCode::NOT_FOUND);
    assert_eq!(get("/..%2fCargo.toml").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    let tag = get("/app.js").await.headers["etag"].clone();
    let request = Request::get("/app.js").header("if-none-match", tag);
    let answer = ask(Double::new(), request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
    assert!(answer.body.is_empty());
    let request = Request::get("/app.js").header("if-none-match", "\"other\"");
    let answer = ask(Double::new(), request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
}
