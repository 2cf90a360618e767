"""Makes the trace of the tests with the OpenTelemetry SDK and prints its id. Where it goes is in the
environment, as for any program: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME."""

import sys

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags

if sys.argv[1] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop", "1.2.3")

earlier = SpanContext(
    trace_id=0x0AF7651916CD43DD8448EB211C80319C,
    span_id=0xB7AD6B7169203331,
    is_remote=True,
    trace_flags=TraceFlags(1),
)
with tracer.start_as_current_span(
    "checkout", kind=SpanKind.SERVER, links=[Link(earlier)]
) as root:
    root.set_attribute("customer", "Zoë")
    root.set_attribute("items", 3)
    root.set_attribute("total", 12.5)
    root.set_attribute("gift", True)
    root.set_attribute("skus", ["a-1", "b-2"])
    with tracer.start_as_current_span("charge card", kind=SpanKind.CLIENT) as child:
        child.add_event("retry", {"attempt": 2})
        child.set_status(StatusCode.ERROR, "card declined")

provider.shutdown()
print(format(root.get_span_context().trace_id, "032x"))
