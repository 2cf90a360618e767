// Finding traces. The form is the address: every search can be linked to.

import * as api from "./api.js";
import { button, coloured, copyButton, empty, failure, h, sentence, serviceChip, severityBadge, svg, verdictBadge, weight } from "./dom.js";
import { ago, clock, clockTicks, count, duration, moment, nanos, plural, short, ticks } from "./format.js";

const LOOKBACKS = [["5m", "the last 5 minutes", 300], ["15m", "the last 15 minutes", 900], ["1h", "the last hour", 3600], ["6h", "the last 6 hours", 21600],
  ["24h", "the last day", 86400], ["7d", "the last 7 days", 604800], ["all", "all that is stored", 0], ["custom", "from … to …", 0]];
const ORDERS = [["newest", "newest first"], ["longest", "longest first"], ["shortest", "shortest first"], ["spans", "most spans first"], ["worst", "worst first"]];
const FIELDS = ["service", "operation", "tags", "minDuration", "maxDuration", "lookback", "start", "end", "verdict", "severity", "errors", "limit", "sort"];
const DEFAULTS = { lookback: "1h", limit: "50", sort: "newest" };

/** Mounts the view. */
export function searchView(root, params) {
  const view = new SearchView(root);
  view.take(params);
  return { close: () => view.aborter.abort(), update: (changed) => view.take(changed) };
}

class SearchView {
  constructor(root) {
    this.aborter = new AbortController();
    this.lists = { services: h("datalist", { id: "services" }), operations: h("datalist", { id: "operations" }) };
    this.form = this.drawForm();
    this.results = h("section", { class: "results", "aria-label": "Traces found", "aria-live": "polite" });
    root.append(h("div", { class: "search" }, this.form, this.results, Object.values(this.lists)));
    this.offerServices();
  }

  // ---- the form

  drawForm() {
    const text = (name, label, props) => h("label", {}, label, h("input", { name, spellcheck: "false", autocomplete: "off", ...props }));
    const choice = (name, label, options) => h("label", {}, label, h("select", { name }, options.map(([value, shown]) => h("option", { value }, shown))));
    const range = h("div", { class: "pair range", hidden: true },
      text("start", "From", { type: "datetime-local", step: "1" }), text("end", "To", { type: "datetime-local", step: "1" }));
    const form = h("form", { class: "filters", "aria-label": "Search", on: { submit: (event) => this.submit(event) } },
      text("service", "Service", { list: "services", placeholder: "any", type: "search", on: { change: () => this.offerOperations() } }),
      text("operation", "Operation", { list: "operations", placeholder: "any", type: "search" }),
      text("tags", "Tags", { placeholder: "http.status_code=500 user=\"a b\"", title: "key=value, several with spaces between; quotes around values with spaces" }),
      h("div", { class: "pair" }, text("minDuration", "Longer than", { placeholder: "10ms" }), text("maxDuration", "Shorter than", { placeholder: "1.5s" })),
      choice("lookback", "Time", LOOKBACKS.map(([value, label]) => [value, label])),
      range,
      h("div", { class: "pair" },
        choice("verdict", "Verdict", [["", "any"], ["complete", "complete"], ["incomplete", "incomplete"], ["evicted", "evicted"]]),
        choice("severity", "Faults", [["", "any or none"], ["info", "info or worse"], ["warning", "warning or worse"], ["critical", "critical"]])),
      h("label", { class: "check" }, h("input", { type: "checkbox", name: "errors", value: "true" }), "Only with errors"),
      h("div", { class: "pair" }, choice("limit", "At most", ["20", "50", "100", "200", "500"].map((value) => [value, value])), choice("sort", "Order", ORDERS)),
      h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Search"), button("Clear", () => { location.hash = "#/search"; })));
    form.elements.lookback.addEventListener("change", () => { range.hidden = form.elements.lookback.value !== "custom"; });
    form.elements.sort.addEventListener("change", () => form.requestSubmit());
    this.range = range;
    return form;
  }

  submit(event) {
    event.preventDefault();
    const params = new URLSearchParams();
    for (const [name, value] of new FormData(this.form)) {
      const custom = (name === "start" || name === "end") && this.form.elements.lookback.value !== "custom";
      if (value !== "" && value !== DEFAULTS[name] && !custom) params.set(name, value);
    }
    const hash = `#/search${params.size > 0 ? `?${params}` : ""}`;
    if (hash === location.hash || (hash === "#/search" && location.hash === "")) this.run();
    else location.hash = hash;
  }

  take(params) {
    for (const name of FIELDS) {
      const field = this.form.elements[name];
      const value = params.get(name) ?? DEFAULTS[name] ?? "";
      if (field.type === "checkbox") field.checked = value === "true";
      else field.value = value;
      if (field.tagName === "SELECT" && field.value !== value) field.value = DEFAULTS[name] ?? "";
    }
    this.range.hidden = this.form.elements.lookback.value !== "custom";
    this.offerOperations();
    this.run();
  }

  async offerServices() {
    try {
      const names = await api.services(this.aborter.signal);
      this.lists.services.replaceChildren(...names.map((value) => h("option", { value })));
    } catch {
      // Without the list the name is typed; the search itself says what is wrong.
    }
  }

  async offerOperations() {
    const service = this.form.elements.service.value.trim();
    if (service === this.operationsOf) return;
    this.operationsOf = service;
    this.lists.operations.replaceChildren();
    if (service === "") return;
    try {
      const names = await api.operations(service, this.aborter.signal);
      if (service === this.operationsOf) this.lists.operations.replaceChildren(...names.slice(0, 1000).map((value) => h("option", { value })));
    } catch {
      // As with services.
    }
  }

  // ---- searching

  query() {
    const values = Object.fromEntries(new FormData(this.form));
    const params = [];
    for (const name of ["service", "operation", "minDuration", "maxDuration", "verdict", "severity", "errors", "limit"]) {
      if (values[name]?.trim()) params.push([name, values[name].trim()]);
    }
    for (const tag of parseTags(values.tags ?? "")) params.push(["tag", tag]);
    const seconds = LOOKBACKS.find(([value]) => value === values.lookback)?.[2] ?? 0;
    if (seconds > 0) params.push(["start", String(BigInt(Date.now() - seconds * 1000) * 1000000n)]);
    if (values.lookback === "custom") {
      for (const name of ["start", "end"]) if (values[name]) params.push([name, String(BigInt(new Date(values[name]).getTime()) * 1000000n)]);
    }
    return params;
  }

  async run() {
    this.asked?.abort();
    const asked = new AbortController();
    this.asked = asked;
    this.aborter.signal.addEventListener("abort", () => asked.abort());
    this.results.setAttribute("aria-busy", "true");
    try {
      const found = await api.search(this.query(), asked.signal);
      this.results.replaceChildren(...drawResults(found, this.form.elements.sort.value, () => this.run(), Number(this.form.elements.limit.value)));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.results.replaceChildren(failure(error, () => this.run()));
    }
    this.results.removeAttribute("aria-busy");
  }
}

/** `a=1 b="x y"` as `["a=1", "b=x y"]`. */
export function parseTags(text) {
  return [...text.matchAll(/([^\s=]+)=(?:"([^"]*)"|(\S*))/g)].map(([, key, quoted, plain]) => `${key}=${quoted ?? plain}`);
}

// ---- what was found

function drawResults(found, sort, again, limit) {
  const traces = found.traces ?? [];
  const bounded = found.complete === false && h("p", { class: "note warn" },
    `Only the newest ${count(found.examined)} candidates were examined: there may be more. A shorter time or a service narrows it.`);
  if (traces.length === 0) {
    return [bounded || "", empty("No traces found", `${plural(found.examined ?? 0, "trace")} examined. A longer time range or fewer conditions may find some.`,
      "Traces appear here once they are sealed; Live shows those that are still open.", button("Search again", again))];
  }
  const longest = traces.reduce((most, trace) => Math.max(most, Number(trace.durationNs)), 1);
  return [
    h("header", { class: "results-head" }, h("h1", {}, plural(traces.length, "trace")),
      h("p", {}, traces.length >= limit ? "the newest that match, as many as were asked for" : `of ${plural(found.examined ?? traces.length, "candidate")} examined`), button("↻ Again", again)),
    bounded || "",
    scatter(traces),
    h("ol", { class: "plain traces" }, ordered(traces, sort).map((trace) => h("li", {}, result(trace, longest)))),
  ];
}

function ordered(traces, sort) {
  const worst = (trace) => Math.max(0, ...(trace.faults ?? []).map((fault) => weight(fault.severity))) * 1e6 + (trace.errors ?? 0);
  const by = {
    newest: (a, b) => (nanos(a.startNs) > nanos(b.startNs) ? -1 : 1),
    longest: (a, b) => Number(b.durationNs) - Number(a.durationNs),
    shortest: (a, b) => Number(a.durationNs) - Number(b.durationNs),
    spans: (a, b) => b.spans - a.spans,
    worst: (a, b) => worst(b) - worst(a),
  }[sort];
  return by ? [...traces].sort(by) : traces;
}

const address = (trace) => `#/trace/${encodeURIComponent(trace.traceId)}`;

function result(trace, longest) {
  const { completeness = {}, services = [] } = trace;
  const faults = [...(trace.faults ?? [])].sort((a, b) => weight(b.severity) - weight(a.severity));
  const share = Math.max(0.4, (Number(trace.durationNs) / longest) * 100);
  const bad = trace.errors > 0;
  return h("article", { class: `result${bad ? " has-errors" : ""}` },
    h("a", { class: "result-title", href: address(trace) },
      h("span", { class: "length", css: { width: `${share}%`, ...coloured(trace.rootService || services[0]?.service || "") } }),
      h("span", { class: "result-name" }, trace.rootName ? [h("bdi", { class: "service" }, trace.rootService), h("bdi", {}, trace.rootName)] : h("em", {}, "no root span")),
      h("span", { class: "when", title: moment(trace.startNs) }, `${ago(trace.startNs)} · ${moment(trace.startNs).slice(5, 19)}`),
      h("span", { class: "result-took" }, duration(Number(trace.durationNs)))),
    h("div", { class: "result-line" },
      verdictBadge(completeness.verdict, completeness.missingCount),
      h("span", {}, plural(trace.spans, "span")), bad && h("span", { class: "bad-text" }, plural(trace.errors, "error")),
      trace.revision > 1 && h("span", { class: "faint", title: "Late spans came after it was first sealed" }, `revision ${trace.revision}`),
      h("span", { class: "chips" }, services.slice(0, 8).map((service) => serviceChip(service.service, [h("small", {}, service.spans), service.errors > 0 && h("small", { class: "bad-text" }, "!")],
        { title: `${service.service}: ${plural(service.spans, "span")}, ${plural(service.errors ?? 0, "error")}` })), services.length > 8 && h("small", {}, `+${services.length - 8}`)),
      h("span", { class: "result-id mono faint" }, short(trace.traceId), copyButton(trace.traceId, "trace id"))),
    faults.length > 0 && h("ul", { class: "plain result-faults" }, faults.slice(0, 3).map((fault) => h("li", {}, severityBadge(fault.severity), " ", sentence(fault.message))),
      faults.length > 3 && h("li", { class: "faint" }, `and ${faults.length - 3} more`)),
    trace.rootCause && h("p", { class: "result-cause" }, h("span", { class: "badge cause" }, "root cause"), " ", sentence(trace.rootCause)));
}

// Durations over time: outliers are seen at a glance, and clicked.
function scatter(traces) {
  const [width, height, left, bottom] = [1000, 150, 76, 22];
  const starts = traces.map((trace) => Number(nanos(trace.startNs) / 1000n) / 1000);
  const [from, to] = [Math.min(...starts), Math.max(...starts)];
  const lengths = traces.map((trace) => Math.max(1, Number(trace.durationNs)));
  const [low, high] = [Math.log10(Math.min(...lengths)), Math.log10(Math.max(...lengths))];
  const x = (at) => left + 14 + (to > from ? (starts[at] - from) / (to - from) : 0.5) * (width - left - 40);
  const [floor, ceiling] = high - low > 0.05 ? [low - 0.08 * (high - low), high + 0.12 * (high - low)] : [low - 0.5, high + 0.5];
  const y = (log) => 12 + (1 - (log - floor) / (ceiling - floor)) * (height - bottom - 20);
  const levels = decades(floor, ceiling);
  const times = to > from ? clockTicks(from, to, 7) : [from];
  const most = traces.reduce((max, trace) => Math.max(max, trace.spans), 1);
  return svg("svg", { class: "scatter", viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Durations over time" },
    levels.map((log) => [svg("line", { class: "grid", x1: left, x2: width, y1: y(log), y2: y(log) }), svg("text", { class: "axis", x: left - 8, y: y(log) + 4, "text-anchor": "end" }, duration(10 ** log))]),
    times.map((time) => svg("text", { class: "axis", x: left + 14 + (to > from ? (time - from) / (to - from) : 0.5) * (width - left - 40), y: height - 4, "text-anchor": "middle" }, clock(new Date(time)))),
    traces.map((trace, at) => {
      const label = `${trace.rootService ?? ""} ${trace.rootName || "no root"}, ${duration(lengths[at])}, ${plural(trace.spans, "span")}, ${trace.completeness?.verdict ?? ""}`;
      const kind = trace.errors > 0 ? "bad" : trace.completeness?.verdict === "complete" ? "good" : "warn";
      return svg("a", { href: address(trace), "aria-label": label, tabindex: "-1" },
        svg("circle", { class: `point ${kind}`, cx: x(at), cy: y(Math.log10(lengths[at])), r: 4 + 7 * Math.sqrt(trace.spans / most) }), svg("title", {}, label));
    }));
}

// Powers of ten within the interval, or where there are none, its middle.
function decades(floor, ceiling) {
  const found = [];
  for (let log = Math.ceil(floor); log <= ceiling; log += 1) found.push(log);
  if (found.length >= 2) return found;
  const low = 10 ** floor;
  const high = 10 ** ceiling;
  return ticks(low, high, 4).filter((value) => value > 0).map((value) => Math.log10(value));
}
