//! Questions about traces, and the web page that asks them.
//!
//! [`router`] answers over HTTP in four ways at once:
//!
//! - Jaeger's interface at `/api`, and once more at `/jaeger/api`: its UI and Grafana's Jaeger data source
//!   work unchanged;
//! - Tempo's at `/tempo`, for Grafana's Tempo data source;
//! - Quorate's own at `/api/quorate`, which has what the others have no form for: the verdict on a trace's
//!   completeness, what is missing, clock skew, the critical path, faults and their root causes;
//! - gRPC, `quorate.query.v1.Query`, for programs.
//!
//! The web page is at `/`.
//!
//! What is asked is a [`Source`]: the collector with its store, its open traces and its figures. Questions
//! run on threads that may block, a bounded number at once ([`Limits`]); what is asked beyond that waits a
//! while and is then refused.
//!
//! [`SpanMetrics`] and [`ServiceGraph`] are what the collector feeds with every trace that it seals.
//! [`jaeger_from_json`] and [`jaeger_to_json`] convert the files that Jaeger's UI saves and opens.

mod error;
mod examine;
mod grpc;
mod jaeger;
mod load;
mod metrics;
mod own;
mod page;
mod parameters;
mod source;
mod tempo;
mod view;

/// Generated from `proto/query.proto`: messages, client and server.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    tonic::include_proto!("quorate.query.v1");
}

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::map_response;
use axum::response::Response;

pub use jaeger::{ImportError, from_json as jaeger_from_json, to_json as jaeger_to_json};
pub use metrics::{
    GraphEdge, GraphNode, Link, OTHER, OperationMetrics, ServiceGraph, ServiceGraphReport,
    SpanMetrics,
};
pub use source::{Limits, Live, OpenTrace, Source};

use error::Error;
use source::Asker;

type Grpc = proto::query_server::QueryServer<grpc::Service>;

/// Everything that is served, for one listener.
pub fn router(source: Arc<dyn Source>, limits: Limits) -> Router {
    let asker = Asker::new(source, limits);
    let grpc = Grpc::new(grpc::Service(asker.clone()));
    let path = format!(
        "/{}/{{*method}}",
        <Grpc as tonic::server::NamedService>::NAME
    );
    let jaeger = jaeger::router().nest("/quorate", own::router());
    let answers = Router::new()
        .nest("/api", jaeger.fallback(jaeger::nothing))
        .nest("/jaeger/api", jaeger::router().fallback(jaeger::nothing))
        .nest("/tempo", tempo::router())
        .layer(map_response(as_data));
    Router::new()
        .merge(answers)
        .merge(page::router())
        .with_state(asker)
        .route_service(&path, grpc)
}

/// An answer holds for the moment only, and is nothing to be run.
async fn as_data(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
