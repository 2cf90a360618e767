//! The service for programs, over a real connection.

use bytes::Bytes;
use quorate_query::proto::query_client::QueryClient;
use quorate_query::proto::search_response::Kind;
use quorate_query::proto::{GetTraceRequest, SearchEnd, SearchRequest};
use quorate_trace::wire::Batch;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;

use crate::double::{CHECKOUT, Double, GAP, OPEN};

async fn client() -> QueryClient<Channel> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Double::new().router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    QueryClient::connect(format!("http://{address}"))
        .await
        .unwrap()
}

fn trace(id: u128) -> GetTraceRequest {
    let trace_id = Bytes::copy_from_slice(&id.to_be_bytes());
    GetTraceRequest { trace_id }
}

#[tokio::test]
async fn a_trace_comes_in_chunks() {
    let mut client = client().await;
    let mut chunks = client
        .get_trace(trace(CHECKOUT))
        .await
        .unwrap()
        .into_inner();
    let mut otlp = Vec::new();
    let mut infos = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.unwrap();
        infos.extend(chunk.info);
        otlp.extend(chunk.otlp);
    }
    assert_eq!(
        Batch::scan(otlp.into(), &Default::default()).unwrap().len(),
        4
    );
    let [info] = &infos[..] else {
        panic!("{infos:?}")
    };
    let summary = info.summary.as_ref().unwrap();
    assert_eq!(
        (info.phase.as_str(), summary.verdict.as_str()),
        ("sealed", "complete")
    );

    let mut chunks = client.get_trace(trace(OPEN)).await.unwrap().into_inner();
    let info = chunks.next().await.unwrap().unwrap().info.unwrap();
    assert_eq!((info.phase.as_str(), info.summary), ("active", None));
}

#[tokio::test]
async fn search_ends_with_how_far_it_went() {
    let mut client = client().await;
    let request = SearchRequest {
        verdict: "incomplete".to_owned(),
        ..Default::default()
    };
    let mut found = client.search(request).await.unwrap().into_inner();
    let Some(Kind::Summary(summary)) = found.next().await.unwrap().unwrap().kind else {
        panic!("no summary")
    };
    assert_eq!(summary.trace_id, &GAP.to_be_bytes()[..]);
    assert_eq!(
        summary.missing,
        [Bytes::copy_from_slice(&8u64.to_be_bytes())]
    );
    let end = found.next().await.unwrap().unwrap().kind;
    let expected = SearchEnd {
        examined: 2,
        complete: true,
    };
    assert_eq!(end, Some(Kind::End(expected)));
    assert!(found.next().await.is_none());
}

#[tokio::test]
async fn errors_have_the_right_code() {
    let mut client = client().await;
    let code = |status: tonic::Status| status.code();
    let missing = client.get_trace(trace(0xdead)).await.unwrap_err();
    assert_eq!(code(missing), Code::NotFound);
    let short = GetTraceRequest {
        trace_id: Bytes::from_static(b"short"),
    };
    assert_eq!(
        code(client.get_trace(short).await.unwrap_err()),
        Code::InvalidArgument
    );
    let odd = SearchRequest {
        verdict: "fine".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        code(client.search(odd).await.unwrap_err()),
        Code::InvalidArgument
    );
    let broken = SearchRequest {
        service: "broken".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        code(client.search(broken).await.unwrap_err()),
        Code::Unavailable
    );
}
