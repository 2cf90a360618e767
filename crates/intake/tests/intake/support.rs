//! A server on a free port, a sink that remembers, and clients that send exactly what they are told to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use prost::Message;
use quorate_intake::{Cors, Intake, Limits, Options, Refusal, Sink, Stats, Transport};
use quorate_trace::wire::Batch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Longer than anything here takes; what hangs fails by it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Remembers the names of the spans that it was given, and refuses when it is told to.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) names: Mutex<Vec<String>>,
    pub(crate) refusal: Mutex<Option<Refusal>>,
    /// While there is one, nothing is acknowledged before it is notified.
    pub(crate) hold: Mutex<Option<Arc<Notify>>>,
    pub(crate) waiting: Notify,
}

impl Sink for Memory {
    async fn accept(&self, batch: Batch, _: Transport) -> Result<(), Refusal> {
        let hold = self.hold.lock().unwrap().clone();
        if let Some(hold) = hold {
            self.waiting.notify_one();
            hold.notified().await;
        }
        if let Some(refusal) = *self.refusal.lock().unwrap() {
            return Err(refusal);
        }
        let names = batch.spans().map(|span| span.name.to_string());
        self.names.lock().unwrap().extend(names);
        Ok(())
    }
}

/// A running intake.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) sink: Arc<Memory>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) intake: Intake<Memory>,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(limits: Limits) -> Self {
        Self::start_with(limits, None).await
    }

    pub(crate) async fn start_with(limits: Limits, cors: Option<Cors>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sink, stats) = (Arc::new(Memory::default()), Arc::new(Stats::default()));
        let options = Options {
            limits,
            cors,
            stats: stats.clone(),
        };
        let intake = Intake::new(sink.clone(), options);
        let (stop, stopped) = oneshot::channel();
        let serving = intake
            .clone()
            .serve(listener, async { drop(stopped.await) });
        Server {
            address,
            sink,
            stats,
            intake,
            stop: Some(stop),
            ended: tokio::spawn(serving),
        }
    }

    /// Says that it should stop; it waits for what is under way.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) async fn ended(self) {
        timeout(PATIENCE, self.ended).await.unwrap().unwrap();
    }

    pub(crate) fn names(&self) -> Vec<String> {
        std::mem::take(&mut *self.sink.names.lock().unwrap())
    }

    /// Whatever was sent before, others are served.
    pub(crate) async fn assert_serves(&self) {
        self.names();
        let answer = self.grpc(&[], &framed(&message("by grpc"))).await;
        assert_eq!((answer.code, answer.rejected()), (0, 0), "{answer:?}");
        let answer = self.post(PROTOBUF, &message("by http")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(self.names(), ["by grpc", "by http"]);
    }

    /// A call with a body as it is given.
    pub(crate) async fn grpc(&self, headers: &[(&str, &str)], body: &[u8]) -> GrpcAnswer {
        self.call(EXPORT, headers, body).await
    }

    pub(crate) async fn call(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> GrpcAnswer {
        timeout(PATIENCE, call(self.address, path, headers, body))
            .await
            .unwrap()
    }

    /// `POST /v1/traces`.
    pub(crate) async fn post(&self, headers: &str, body: &[u8]) -> HttpAnswer {
        self.http("POST /v1/traces", headers, body).await
    }

    pub(crate) async fn http(&self, line: &str, headers: &str, body: &[u8]) -> HttpAnswer {
        let mut stream = self.connect().await;
        send_http(&mut stream, line, headers, body).await;
        HttpAnswer::read(&mut stream).await
    }

    /// Bytes as they are.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> HttpAnswer {
        let mut stream = self.connect().await;
        let _ = stream.write_all(bytes).await;
        HttpAnswer::read(&mut stream).await
    }

    /// Bytes as they are; whatever they are answered, the client goes away.
    pub(crate) async fn send_and_close(&self, bytes: &[u8]) {
        let mut stream = self.connect().await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        let _ = timeout(PATIENCE, read)
            .await
            .expect("the server closes, too");
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// `POST /v1/traces` to any address.
pub(crate) async fn post_to(address: SocketAddr, headers: &str, body: &[u8]) -> HttpAnswer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    send_post(&mut stream, headers, body).await;
    HttpAnswer::read(&mut stream).await
}

pub(crate) async fn send_post(stream: &mut TcpStream, headers: &str, body: &[u8]) {
    send_http(stream, "POST /v1/traces", headers, body).await;
}

async fn send_http(stream: &mut TcpStream, line: &str, headers: &str, body: &[u8]) {
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server may answer and close before it has read all.
    let _ = stream.write_all(body).await;
}

pub(crate) const PROTOBUF: &str = "Content-Type: application/x-protobuf\r\n";
pub(crate) const JSON: &str = "Content-Type: application/json\r\n";

/// What a gRPC call was answered.
#[derive(Debug)]
pub(crate) struct GrpcAnswer {
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) headers: HeaderMap,
    pub(crate) data: Bytes,
}

impl GrpcAnswer {
    pub(crate) fn rejected(&self) -> i64 {
        rejected(self.data.get(5..).unwrap_or_default())
    }

    /// Whether the client is told to try again.
    pub(crate) fn has_retry_info(&self) -> bool {
        self.headers.contains_key("grpc-status-details-bin")
    }
}

/// Spans that a response says were refused.
pub(crate) fn rejected(response: &[u8]) -> i64 {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    let response = ExportTraceServiceResponse::decode(response).unwrap();
    response
        .partial_success
        .map_or(0, |partial| partial.rejected_spans)
}

async fn call(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> GrpcAnswer {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let mut request = Request::post(format!("http://x{path}"));
    if headers.iter().all(|(name, _)| *name != "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (response, mut stream) = client
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    // The server may answer before it has read all.
    let _ = stream.send_data(Bytes::copy_from_slice(body), true);
    let (head, mut body) = response.await.unwrap().into_parts();
    let mut data = Vec::new();
    while let Some(Ok(chunk)) = body.data().await {
        data.extend_from_slice(&chunk);
        body.flow_control().release_capacity(chunk.len()).unwrap();
    }
    let trailers = body.trailers().await.ok().flatten();
    let status = trailers.as_ref().unwrap_or(&head.headers);
    let text = |name: &str| {
        let value = status.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default().to_string()
    };
    GrpcAnswer {
        code: text("grpc-status").parse().unwrap_or(-1),
        message: text("grpc-message"),
        headers: head.headers,
        data: data.into(),
    }
}

/// What a request over HTTP/1.1 was answered.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl HttpAnswer {
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        // After an early answer the connection may be reset; what came before counts.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
            .await
            .unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer in {:?}", bytes.escape_ascii()));
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_string())
        };
        HttpAnswer {
            status: status.unwrap().parse().unwrap(),
            headers: lines.map(header).collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A message before which gRPC's header stands.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    flagged(0, message)
}

pub(crate) fn flagged(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[flag], &length.to_be_bytes()[..], message].concat()
}

/// A valid span.
pub(crate) fn span(name: &str) -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: name.into(),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        ..Span::default()
    }
}

pub(crate) fn message_of(spans: Vec<Span>) -> Vec<u8> {
    let scope = ScopeSpans {
        spans,
        ..ScopeSpans::default()
    };
    let resource = ResourceSpans {
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    let message = TracesData {
        resource_spans: vec![resource],
    };
    message.encode_to_vec()
}

/// A message of one valid span.
pub(crate) fn message(name: &str) -> Vec<u8> {
    message_of(vec![span(name)])
}

pub(crate) fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
