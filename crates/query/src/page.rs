//! The web page: its files are in the binary.
//!
//! Nothing of it comes from elsewhere, and its policy says so to the browser: scripts, styles and requests
//! are the collector's own or not at all, so text from traces cannot become script even by a mistake.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// A file of the page.
struct File {
    name: &'static str,
    media_type: &'static str,
    /// A hash of the content, in quotes.
    tag: &'static str,
    content: &'static [u8],
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; font-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(
            "/",
            get(|headers| async move { file("index.html", &headers) }),
        )
        .route(
            "/{file}",
            get(
                |Path(name): Path<String>, headers: HeaderMap| async move { file(&name, &headers) },
            ),
        )
}

fn file(name: &str, request: &HeaderMap) -> Response {
    let Ok(at) = FILES.binary_search_by(|file| file.name.cmp(name)) else {
        return (StatusCode::NOT_FOUND, "there is no such page\n").into_response();
    };
    let file = &FILES[at];
    let headers = [
        (CONTENT_TYPE, file.media_type),
        (ETAG, file.tag),
        // Asked again each time, and answered without a body while it is the same: a page of an older
        // binary never talks to a newer one.
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    let known = request.get_all(IF_NONE_MATCH).iter();
    let mut known = known.filter_map(|value| value.to_str().ok());
    if known.any(|value| value.contains(file.tag)) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, file.content).into_response()
}
