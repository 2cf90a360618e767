//! A backend on the loopback interface that answers as it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use quorate_export::forward::Protocol;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Request, Status};

/// A span with this name makes the backend refuse a request, always.
pub(crate) const POISON: &str = "poison";

/// What to say to one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// UNAVAILABLE or 503.
    Unavailable,
    /// RESOURCE_EXHAUSTED with RetryInfo of so many milliseconds.
    Exhausted(u64),
    /// 429 with Retry-After of one second.
    TooMany,
    /// UNAUTHENTICATED or 401.
    Unauthenticated,
    /// INTERNAL or 500.
    Internal,
    /// Nothing at all.
    Stall,
    /// Success except for so many spans.
    Partial(i64),
}

/// What has been received: the backend's memory, which outlives its server.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    answers: Mutex<VecDeque<Answer>>,
    spans: Mutex<Vec<(u128, u64)>>,
    arrivals: Mutex<Vec<Instant>>,
    longest: AtomicUsize,
    header: Mutex<Option<String>>,
}

impl Seen {
    pub(crate) fn requests(&self) -> usize {
        self.arrivals.lock().unwrap().len()
    }

    pub(crate) fn arrivals(&self) -> Vec<Instant> {
        self.arrivals.lock().unwrap().clone()
    }

    /// Trace and span of every span that was taken, in no order.
    pub(crate) fn spans(&self) -> Vec<(u128, u64)> {
        let mut spans = self.spans.lock().unwrap().clone();
        spans.sort_unstable();
        spans
    }

    /// The longest message that came, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.longest.load(Ordering::Relaxed)
    }

    /// The header `x-tenant` of the last request.
    pub(crate) fn tenant(&self) -> Option<String> {
        self.header.lock().unwrap().clone()
    }

    /// Takes the request or says what to answer instead.
    fn take(&self, request: &ExportTraceServiceRequest) -> Result<i64, Answer> {
        self.arrivals.lock().unwrap().push(Instant::now());
        self.longest
            .fetch_max(request.encoded_len(), Ordering::Relaxed);
        let answer = self.answers.lock().unwrap().pop_front();
        let rejected = match answer {
            None => 0,
            Some(Answer::Partial(spans)) => spans,
            Some(other) => return Err(other),
        };
        self.spans.lock().unwrap().extend(ids(request));
        Ok(rejected)
    }
}

fn spans(
    request: &ExportTraceServiceRequest,
) -> impl Iterator<Item = &opentelemetry_proto::tonic::trace::v1::Span> {
    let scopes = request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans)
}

fn ids(request: &ExportTraceServiceRequest) -> impl Iterator<Item = (u128, u64)> {
    spans(request).map(|span| {
        let trace: [u8; 16] = span.trace_id.as_slice().try_into().expect("16 bytes");
        let span: [u8; 8] = span.span_id.as_slice().try_into().expect("8 bytes");
        (u128::from_be_bytes(trace), u64::from_be_bytes(span))
    })
}

fn response(rejected_spans: i64) -> ExportTraceServiceResponse {
    ExportTraceServiceResponse {
        partial_success: (rejected_spans > 0).then(|| ExportTracePartialSuccess {
            rejected_spans,
            error_message: "too old".to_owned(),
        }),
    }
}

/// A server with its memory, on a runtime of its own that ends with all of its connections.
pub(crate) struct Backend {
    pub(crate) seen: Arc<Seen>,
    pub(crate) protocol: Protocol,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Backend {
    pub(crate) fn start(protocol: Protocol) -> Self {
        let any = "127.0.0.1:0".parse().expect("an address");
        Backend::at(any, protocol, Arc::default())
    }

    /// One that answers these first, and then takes everything.
    pub(crate) fn answering(protocol: Protocol, answers: &[Answer]) -> Self {
        let backend = Backend::start(protocol);
        backend.seen.answers.lock().unwrap().extend(answers);
        backend
    }

    fn at(address: SocketAddr, protocol: Protocol, seen: Arc<Seen>) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("bound");
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let memory = Arc::clone(&seen);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a socket");
            match protocol {
                Protocol::Grpc => serve_grpc(listener, memory).await,
                Protocol::Http => serve_http(listener, memory).await,
            }
        });
        Backend {
            seen,
            protocol,
            address,
            runtime: Some(runtime),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Goes away, with all connections.
    pub(crate) async fn stop(mut self) -> Stopped {
        let runtime = self.runtime.take().expect("it runs");
        let stop = move || runtime.shutdown_timeout(Duration::from_secs(60));
        tokio::task::spawn_blocking(stop).await.expect("stops");
        Stopped {
            seen: Arc::clone(&self.seen),
            protocol: self.protocol,
            address: self.address,
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A backend that is away.
pub(crate) struct Stopped {
    pub(crate) seen: Arc<Seen>,
    protocol: Protocol,
    address: SocketAddr,
}

impl Stopped {
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Comes back at the same address.
    pub(crate) fn start(self) -> Backend {
        Backend::at(self.address, self.protocol, self.seen)
    }
}

async fn serve_grpc(listener: TcpListener, seen: Arc<Seen>) {
    let service = TraceServiceServer::new(Grpc(seen))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(16 << 20);
    tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .expect("serves");
}

struct Grpc(Arc<Seen>);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let tenant = request.metadata().get("x-tenant");
        let tenant = tenant
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        *self.0.header.lock().unwrap() = tenant;
        let request = request.into_inner();
        if spans(&request).any(|span| span.name == POISON) {
            return Err(Status::invalid_argument("poison"));
        }
        match self.0.take(&request) {
            Ok(rejected) => Ok(tonic::Response::new(response(rejected))),
            Err(Answer::Exhausted(millis)) => Err(exhausted(millis)),
            Err(Answer::Unauthenticated) => Err(Status::unauthenticated("who?")),
            Err(Answer::Internal) => Err(Status::internal("oops")),
            Err(Answer::Stall) => std::future::pending().await,
            Err(_) => Err(Status::unavailable("busy")),
        }
    }
}

/// With a `google.rpc.Status` of one `RetryInfo`, written by hand: fields 1 to 3 of each are short.
fn exhausted(millis: u64) -> Status {
    let field = |number: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).expect("short");
        [&[number << 3 | 2, length], content].concat()
    };
    let mut delay = vec![2 << 3];
    prost::encoding::encode_varint(millis * 1_000_000, &mut delay);
    let any = [
        field(1, b"type.googleapis.com/google.rpc.RetryInfo"),
        field(2, &field(1, &delay)),
    ];
    let details = field(3, &any.concat());
    Status::with_details(Code::ResourceExhausted, "full", details.into())
}

async fn serve_http(listener: TcpListener, seen: Arc<Seen>) {
    let router = Router::new()
        .route("/v1/traces", post(http))
        .with_state(seen);
    axum::serve(listener, router).await.expect("serves");
}

async fn http(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let body = match headers.get("content-encoding") {
        Some(encoding) => {
            assert_eq!(encoding, "gzip");
            let mut plain = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(&body[..]);
            std::io::Read::read_to_end(&mut decoder, &mut plain).expect("gzip");
            plain
        }
        None => body.to_vec(),
    };
    let request = ExportTraceServiceRequest::decode(body.as_slice()).expect("a request");
    if spans(&request).any(|span| span.name == POISON) {
        return (StatusCode::BAD_REQUEST, "poison").into_response();
    }
    match seen.take(&request) {
        Ok(rejected) => response(rejected).encode_to_vec().into_response(),
        Err(Answer::TooMany) => (
            StatusCode::TOO_MANY_REQUESTS,
            [("retry-after", "1")],
            "slowly",
        )
            .into_response(),
        Err(Answer::Unauthenticated) => (StatusCode::UNAUTHORIZED, "who?").into_response(),
        Err(Answer::Internal) => (StatusCode::INTERNAL_SERVER_ERROR, "oops").into_response(),
        Err(Answer::Stall) => std::future::pending().await,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy").into_response(),
    }
}

/// Waits for what must come true, far longer than it takes.
pub(crate) async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_true() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
