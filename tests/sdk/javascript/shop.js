// Makes the trace of the tests with the OpenTelemetry SDK and prints its id. Where it goes is in the
// environment, as for any program: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME.

import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { defaultResource, detectResources, envDetector } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const exporter = process.argv[2] === "json" ? new JsonExporter() : new ProtobufExporter();
const provider = new NodeTracerProvider({
  resource: defaultResource().merge(detectResources({ detectors: [envDetector] })),
  spanProcessors: [new BatchSpanProcessor(exporter)],
});
provider.register();
const tracer = trace.getTracer("shop", "1.2.3");

const earlier = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  traceFlags: 1,
  isRemote: true,
};
const root = tracer.startSpan("checkout", {
  kind: SpanKind.SERVER,
  links: [{ context: earlier }],
  attributes: { customer: "Zoë", items: 3, total: 12.5, gift: true, skus: ["a-1", "b-2"] },
});
const child = tracer.startSpan(
  "charge card",
  { kind: SpanKind.CLIENT },
  trace.setSpan(context.active(), root),
);
child.addEvent("retry", { attempt: 2 });
child.setStatus({ code: SpanStatusCode.ERROR, message: "card declined" });
child.end();
root.end();

await provider.shutdown();
console.log(root.spanContext().traceId);
