//! Requests from web pages: an SDK in a browser may send spans only if the answer allows it ([CORS]).
//!
//! [CORS]: https://fetch.spec.whatwg.org/#http-cors-protocol

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::body::Reply;

/// Browsers keep the answer to a preflight for at most two hours.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// The pages that may send spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// None for all.
    origins: Option<Vec<HeaderValue>>,
}

/// The text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no origin; write it as https://example.org, without a path, or * for all")]
pub struct InvalidOrigin(String);

impl Cors {
    /// Allows the pages of these origins, such as `https://example.org`; `*` stands for all.
    ///
    /// # Errors
    ///
    /// If one of them is no origin.
    pub fn new<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidOrigin> {
        let mut allowed = Vec::new();
        for origin in origins {
            if origin == "*" {
                return Ok(Cors { origins: None });
            }
            allowed.push(parse(origin).ok_or_else(|| InvalidOrigin(origin.into()))?);
        }
        Ok(Cors {
            origins: Some(allowed),
        })
    }

    /// The answer if this is a browser's question whether it may send.
    pub(crate) fn preflight(&self, head: &http::request::Parts) -> Option<Response<Reply>> {
        let is_preflight = head.method == Method::OPTIONS
            && head.headers.contains_key(ORIGIN)
            && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let mut response = Response::new(Reply::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        if self.allow(&head.headers, headers) {
            let post = HeaderValue::from_static("POST");
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, post);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            if let Some(asked) = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
            }
        }
        Some(response)
    }

    /// Adds what lets a browser show the answer to the page; says whether the page may see it.
    pub(crate) fn allow(&self, request: &HeaderMap, response: &mut HeaderMap) -> bool {
        // The answer differs by origin, which caches must know.
        response.insert(VARY, HeaderValue::from_static("origin"));
        let Some(origin) = request.get(ORIGIN) else {
            return false;
        };
        let allowed = match &self.origins {
            None => true,
            Some(origins) => origins.contains(origin),
        };
        if allowed {
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
        allowed
    }
}

/// Scheme, host and port, as browsers write them: lowercase and without a slash at the end.
fn parse(origin: &str) -> Option<HeaderValue> {
    let (scheme, host) = origin.split_once("://")?;
    let is_written_so = !scheme.is_empty()
        && !host.is_empty()
        && !host.contains(['/', '?', '#', '@'])
        && !origin.contains(|c: char| c.is_ascii_uppercase() || c.is_whitespace());
    is_written_so
        .then(|| HeaderValue::from_str(origin).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        assert!(Cors::new(["https://example.org", "http://localhost:3000"]).is_ok());
        assert_eq!(Cors::new(["x", "*"]), Err(InvalidOrigin("x".into())));
        for wrong in [
            "example.org",
            "https://example.org/",
            "https://Example.org",
            "://",
            "",
        ] {
            assert!(Cors::new([wrong]).is_err(), "{wrong}");
        }
    }
}
