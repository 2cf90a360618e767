// Traces for the page to show, as OTLP/JSON: a healthy one, one with a root cause, one with a missing
// parent, one of hosts whose clocks disagree, a large one, and one that tries to become markup.

import { randomBytes } from "node:crypto";

const hex = (bytes) => randomBytes(bytes).toString("hex");
const MS = 1_000_000n;
const KINDS = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 };

/** Spans of one trace, collected by service; times are milliseconds from its start. */
class Trace {
  constructor(run, agoMs) {
    this.run = run;
    this.id = hex(16);
    this.start = BigInt(Date.now() - agoMs) * MS;
    this.services = new Map();
    this.size = 0;
  }

  /** Adds a span; `more`: `attributes`, `error`, `events`, `links`, `shiftMs` (the host's clock), `clock`. */
  span(parent, service, name, kind, from, to, more = {}) {
    const spanId = hex(8);
    const at = (ms) => String(this.start + BigInt(Math.round((ms + (more.shiftMs ?? 0)) * 1e6)));
    const clock = Object.entries(more.clock ?? {}).map(([process, ticks]) => [`vc.${process}`, ticks]);
    const span = {
      traceId: this.id, spanId, parentSpanId: parent?.spanId ?? parent ?? "", name, kind: KINDS[kind],
      startTimeUnixNano: at(from), endTimeUnixNano: at(to),
      attributes: attributes({ "test.run": this.run, ...Object.fromEntries(clock), ...more.attributes }),
      events: (more.events ?? []).map((event) => ({ timeUnixNano: at(event.at), name: event.name, attributes: attributes(event.attributes ?? {}) })),
      links: (more.links ?? []).map((link) => ({ traceId: link.traceId, spanId: link.spanId, attributes: attributes(link.attributes ?? {}) })),
      status: more.error === undefined ? {} : { code: 2, message: more.error },
    };
    if (!this.services.has(service)) this.services.set(service, []);
    this.services.get(service).push(span);
    this.size += 1;
    return { spanId, traceId: this.id };
  }

  /** OTLP/JSON, in requests of at most `most` spans. */
  *requests(most = 1000) {
    for (const [service, spans] of this.services) {
      for (let at = 0; at < spans.length; at += most) {
        yield { resourceSpans: [{
          resource: { attributes: attributes({ "service.name": service, "host.name": `${service}-0` }) },
          scopeSpans: [{ scope: { name: "page-tests", version: "1.0" }, spans: spans.slice(at, at + most) }],
        }] };
      }
    }
  }
}

function attributes(values) {
  return Object.entries(values).map(([key, value]) => ({ key, value: typed(value) }));
}

function typed(value) {
  if (typeof value === "boolean") return { boolValue: value };
  if (Number.isInteger(value)) return { intValue: String(value) };
  if (typeof value === "number") return { doubleValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(typed) } };
  return { stringValue: String(value) };
}

/** A checkout; `fault` makes the bank's answer fail, `shift` sets the payment hosts' clocks wrong. */
function checkout(run, agoMs, { fault = false, shift = 0, cause } = {}) {
  const trace = new Trace(run, agoMs);
  const late = { shiftMs: shift };
  const failed = (message) => (fault ? { error: message } : {});
  const root = trace.span(null, "web-frontend", "POST /checkout", "server", 0, 182, { ...failed("payment failed"), clock: { web: 1 }, attributes: { "http.request.method": "POST", "url.path": "/checkout", items: ["a", "b"] } });
  const auth = trace.span(root, "web-frontend", "call auth", "client", 3, 22, { clock: { web: 2 } });
  trace.span(auth, "auth", "validate session", "server", 4, 21, { clock: { web: 2, auth: 1 } });
  const cart = trace.span(root, "web-frontend", "call cart", "client", 23, 48, { clock: { web: 3 } });
  trace.span(cart, "cart", "SELECT cart_items", "server", 24, 46, { attributes: { "db.system": "postgresql", "db.query.text": "SELECT * FROM cart_items ".repeat(30) } });
  const call = trace.span(root, "web-frontend", "call payments", "client", 50, 150, { ...failed("502 from payments"), clock: { web: 4 } });
  const pay = trace.span(call, "payments", "POST /charge", "server", 51, 149, { ...late, ...failed("the bank did not answer"), clock: { web: 4, payments: 1 } });
  const bank = trace.span(pay, "payments", "call bank", "client", 60, 146, { ...late, ...failed("504 Gateway Timeout"), attributes: { "http.response.status_code": fault ? 504 : 200 },
    events: fault ? [{ at: 145, name: "exception", attributes: { "exception.type": "TimeoutError", "exception.message": "deadline exceeded" } }] : [], links: cause ? [cause] : [] });
  const queue = trace.span(root, "shipping", "orders publish", "producer", 152, 170);
  trace.span(queue, "mailer", "orders process", "consumer", 175, 230, { links: [{ ...root, attributes: { "opentracing.ref_type": "follows_from" } }] });
  return Object.assign(trace, { root, pay, bank });
}

function missingParent(run) {
  const trace = new Trace(run, 4000);
  const root = trace.span(null, "web-frontend", "GET /orders", "server", 0, 95);
  trace.span(root, "auth", "validate session", "client", 2, 12);
  trace.missing = hex(8);
  const orders = trace.span(trace.missing, "orders", "list orders", "server", 20, 70);
  trace.span(orders, "orders", "SELECT orders", "client", 25, 60);
  trace.span(trace.missing, "pricing", "quote", "server", 22, 50);
  return trace;
}

function large(run, spans) {
  const trace = new Trace(run, 70_000);
  const services = ["loader", "parser", "store", "index", "notify"];
  let level = [{ ...trace.span(null, "batch", "nightly import", "internal", 0, 60_000), from: 0, to: 60_000 }];
  while (trace.size < spans) {
    const next = [];
    for (const parent of level) {
      for (let child = 0; child < 5 && trace.size < spans; child += 1) {
        const step = (parent.to - parent.from) / 5.5;
        const [from, to] = [parent.from + step * child, parent.from + step * (child + 0.9)];
        next.push({ ...trace.span(parent, services[trace.size % 5], `step ${child}`, "internal", from, to), from, to });
      }
    }
    level = next;
  }
  return trace;
}

function hostile(run) {
  const trace = new Trace(run, 2000);
  const markup = "<img src=x onerror=\"window.broken=1\"><script>window.broken=1</script>";
  const root = trace.span(null, markup, markup, "server", 0, 10, { error: markup, attributes: { [markup]: markup, "constructor": "x", "bidi": "\u202Etxt.exe" }, events: [{ at: 3, name: markup }] });
  trace.span(root, "javascript:alert(1)", "x".repeat(2000), "internal", 1, 9, { attributes: { "__proto__x": "y" } });
  return trace;
}

/** A trace whose root comes in a second request, for the page to follow. */
export function unfinished(run) {
  const trace = new Trace(run, 1000);
  const root = trace.span(null, "gate", "GET /slow", "server", 0, 900);
  trace.span(root, "worker", "work", "internal", 5, 800);
  const [last, first] = [...trace.requests()];
  return Object.assign(trace, { first, last });
}

/** All of them, by what they are. */
export function makeTraces() {
  const run = hex(6);
  const healthy = checkout(run, 9000);
  const failing = checkout(run, 6000, { fault: true, cause: healthy.bank });
  return { run, traces: { healthy, failing, missing: missingParent(run), skewed: checkout(run, 5000, { shift: 5000 }), large: large(run, 5000), hostile: hostile(run) } };
}

/** Sends a trace to an OTLP/HTTP endpoint. */
export async function send(trace, endpoint) {
  for (const request of trace.requests()) await post(request, endpoint);
}

/** Sends one request. */
export async function post(request, endpoint) {
  const response = await fetch(`${endpoint}/v1/traces`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request) });
  const body = await response.json();
  if (!response.ok || body.partialSuccess?.rejectedSpans > 0) throw new Error(`OTLP: ${response.status} ${JSON.stringify(body)}`);
}
