//! Makes the trace of the tests with the OpenTelemetry SDK and prints its id. Where it goes is in the
//! environment, as for any program: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME.

use std::error::Error;

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer, TracerProvider,
};
use opentelemetry::{Array, Context, InstrumentationScope, KeyValue, Value};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::SdkTracerProvider;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let exporter = SpanExporter::builder().with_tonic().build()?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .build();
    let scope = InstrumentationScope::builder("shop").with_version("1.2.3");
    let tracer = provider.tracer_with_scope(scope.build());

    let earlier = SpanContext::new(
        TraceId::from_hex("0af7651916cd43dd8448eb211c80319c")?,
        SpanId::from_hex("b7ad6b7169203331")?,
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    let skus = Value::Array(Array::String(vec!["a-1".into(), "b-2".into()]));
    let root = tracer
        .span_builder("checkout")
        .with_kind(SpanKind::Server)
        .with_links(vec![Link::new(earlier, Vec::new(), 0)])
        .with_attributes([
            KeyValue::new("customer", "Zoë"),
            KeyValue::new("items", 3),
            KeyValue::new("total", 12.5),
            KeyValue::new("gift", true),
            KeyValue::new("skus", skus),
        ])
        .start_with_context(&tracer, &Context::new());
    let context = Context::new().with_span(root);
    let child = tracer
        .span_builder("charge card")
        .with_kind(SpanKind::Client)
        .start_with_context(&tracer, &context);
    let child = Context::new().with_span(child);
    child
        .span()
        .add_event("retry", vec![KeyValue::new("attempt", 2)]);
    child.span().set_status(Status::error("card declined"));
    child.span().end();
    context.span().end();

    let trace_id = context.span().span_context().trace_id();
    // It waits for the exporter, which needs this runtime's threads.
    tokio::task::spawn_blocking(move || provider.shutdown()).await??;
    println!("{trace_id}");
    Ok(())
}
