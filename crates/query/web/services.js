// Services: who calls whom, and how often, how fast and how well each operation is served.

import * as api from "./api.js";
import { button, coloured, empty, failure, h, serviceChip } from "./dom.js";
import { compact, count, digits, duration, plural } from "./format.js";
import { Graph } from "./graph.js";

const ROWS_MAX = 500;
const COLUMNS = [
  ["service", "Service", false], ["operation", "Operation", false], ["kind", "Kind", false],
  ["calls", "Calls", true], ["perSecond", "Per second", true], ["errors", "Errors", true], ["rate", "Error rate", true],
  ["p50", "p50", true], ["p95", "p95", true], ["p99", "p99", true],
];

/** Mounts the view. */
export function servicesView(root, params) {
  const view = new ServicesView(root, params);
  view.load();
  return { close: () => view.close(), update: (changed) => view.take(changed) };
}

class ServicesView {
  constructor(root, params) {
    this.root = root;
    this.aborter = new AbortController();
    this.sort = { by: "calls", down: true };
    this.service = params.get("service");
    this.text = "";
  }

  close() {
    this.aborter.abort();
    this.graph?.close();
  }

  take(params) {
    this.service = params.get("service");
    if (this.table) this.mark();
  }

  async load() {
    try {
      const { signal } = this.aborter;
      const [metrics, graph, now] = await Promise.all([api.operationMetrics(signal), api.serviceGraph(signal), api.live(signal)]);
      this.seconds = Math.max(1, Number(now.uptimeS ?? 0)); // What is counted begins with the process.
      this.operations = (metrics.operations ?? []).map((json) => operation(json, this.seconds));
      this.draw(graph);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.root.replaceChildren(failure(error, () => this.load()));
    }
  }

  draw(graph) {
    this.graph?.close();
    if (this.operations.length === 0) {
      this.root.replaceChildren(empty("No spans have been sealed yet", "Services, their calls and latencies appear here with the first traces.", button("Look again", () => this.load())));
      return;
    }
    this.table = h("div", { class: "table-box" });
    this.hint = h("span", { class: "relation", "aria-live": "polite" });
    const finder = h("input", { type: "search", placeholder: "Filter operations", "aria-label": "Filter operations", "data-find": true, on: { input: (event) => {
      this.text = event.target.value.trim().toLowerCase();
      this.drawTable();
    } } });
    this.root.replaceChildren(h("div", { class: "services" },
      h("header", { class: "results-head" }, h("h1", {}, "Service graph"), h("p", {}, "Calls between services since the collector's start. Choose a service to see its operations."), this.hint, button("↻ Again", () => this.load())),
      this.drawGraph(graph),
      h("header", { class: "results-head" }, h("h1", {}, "Operations"), finder), this.table));
    this.graph?.fit();
    this.mark();
  }

  drawGraph(graph) {
    const edges = (graph.edges ?? []).map(call);
    const totals = new Map((graph.nodes ?? []).map((one) => [one.service, one]));
    const names = new Set(totals.keys());
    for (const edge of edges) names.add(edge.from).add(edge.to);
    const most = Math.max(1, ...edges.map((edge) => edge.calls));
    const nodes = [...names].sort().slice(0, 300).map((service) => node(service, totals.get(service)));
    const there = new Set(nodes.map((one) => one.key));
    const drawn = edges.filter((edge) => there.has(edge.from) && there.has(edge.to)).map((edge) => ({
      ...edge, class: edge.errors > 0 ? "bad" : "", head: edge.errors > 0 ? "bad" : "plain",
      css: { "stroke-width": `${1.2 + 3 * Math.sqrt(edge.calls / most)}px` },
      label: `${compact(edge.calls)}${edge.errors > 0 ? ` · ${percent(edge.errors, edge.calls)}` : ""}`,
      below: edge.p95 === undefined ? "" : `p95 ${duration(edge.p95)}`,
      title: `${edge.from} → ${edge.to}: ${plural(edge.calls, "call")}, ${rate(edge.calls / this.seconds)} per second, ${plural(edge.errors, "error")}, p50 ${took(edge.p50)}, p95 ${took(edge.p95)}, p99 ${took(edge.p99)}`,
    }));
    this.graph = new Graph(nodes, drawn, (key) => this.choose(key), { gapX: 150, gapY: 32, name: "Service graph" });
    return this.graph.element;
  }

  choose(service) {
    location.hash = service ? `#/services?service=${encodeURIComponent(service)}` : "#/services";
  }

  mark() {
    const near = new Set();
    for (const { from, to } of this.graph.edges) {
      if (from === this.service) near.add(to);
      if (to === this.service) near.add(from);
    }
    this.graph.mark(this.service ? (key) => (key === this.service ? "self" : near.has(key) ? "after" : "apart") : null);
    this.hint.replaceChildren(this.service ? button(`Only ${this.service} ✕`, () => this.choose(null), { class: "pill" }) : "");
    this.drawTable();
  }

  drawTable() {
    const { by, down } = this.sort;
    const rows = this.operations.filter((row) => (!this.service || row.service === this.service)
      && (this.text === "" || `${row.service} ${row.operation}`.toLowerCase().includes(this.text)));
    rows.sort((a, b) => (typeof a[by] === "string" ? a[by].localeCompare(b[by]) : (a[by] ?? -1) - (b[by] ?? -1)) * (down ? -1 : 1));
    const slowest = Math.max(1, ...rows.map((row) => row.p99 ?? 0));
    this.table.replaceChildren(
      h("table", { class: "metrics" },
        h("thead", {}, h("tr", {}, COLUMNS.map(([key, label, right]) => h("th", { scope: "col", class: right ? "right" : "", "aria-sort": by === key ? (down ? "descending" : "ascending") : "none" },
          button(`${label}${by === key ? (down ? " ▾" : " ▴") : ""}`, () => this.sortBy(key, right), { class: "bare" }))))),
        h("tbody", {}, rows.slice(0, ROWS_MAX).map((row) => this.row(row, slowest)))),
      rows.length > ROWS_MAX ? h("p", { class: "faint" }, `${ROWS_MAX} of ${rows.length} shown; the filter narrows them.`) : "");
  }

  row(row, slowest) {
    const search = new URLSearchParams({ service: row.service, operation: row.operation });
    return h("tr", {},
      h("td", {}, serviceChip(row.service)),
      h("td", { class: "wide" }, h("a", { href: `#/search?${search}`, title: "Its traces" }, h("bdi", {}, row.operation))),
      h("td", { class: "faint" }, row.kind),
      h("td", { class: "right" }, count(row.calls)),
      h("td", { class: "right", title: "On average since the collector's start" }, rate(row.perSecond)),
      h("td", { class: `right ${row.errors > 0 ? "bad-text" : "faint"}` }, count(row.errors)),
      h("td", { class: `right ${row.errors > 0 ? "bad-text" : "faint"}` }, percent(row.errors, row.calls)),
      h("td", { class: "right" }, took(row.p50)),
      h("td", { class: "right" }, took(row.p95)),
      h("td", { class: "right latency" }, h("i", { css: { width: `${((row.p99 ?? 0) / slowest) * 100}%` } }), h("span", {}, took(row.p99))));
  }

  sortBy(key, right) {
    this.sort = { by: key, down: this.sort.by === key ? !this.sort.down : right };
    this.drawTable();
  }
}

const rate = (perSecond) => (perSecond > 0 && perSecond < 0.01 ? "< 0.01" : digits(perSecond));
const took = (ns) => (ns === undefined ? "–" : duration(ns));

function percent(part, whole) {
  if (!(whole > 0) || part === 0) return "0 %";
  const share = (part / whole) * 100;
  return share < 0.1 ? "< 0.1 %" : `${digits(share)} %`;
}

const fromMs = (value) => (value === undefined || value === null ? undefined : Number(value) * 1e6);

function operation(json, seconds) {
  return {
    service: json.service ?? "", operation: json.operation ?? "", kind: json.kind ?? "", calls: Number(json.calls ?? 0), errors: Number(json.errors ?? 0),
    perSecond: Number(json.calls ?? 0) / seconds,
    rate: Number(json.calls) > 0 ? Number(json.errors ?? 0) / Number(json.calls) : 0,
    p50: fromMs(json.p50Ms), p95: fromMs(json.p95Ms), p99: fromMs(json.p99Ms),
  };
}

function call(json) {
  return {
    from: json.caller ?? "", to: json.callee ?? "", calls: Number(json.calls ?? 0), errors: Number(json.errors ?? 0),
    p50: fromMs(json.p50Ms), p95: fromMs(json.p95Ms), p99: fromMs(json.p99Ms),
  };
}

// Databases, queues and hosts are known from what their clients say of them.
function node(service, { calls = 0, errors = 0, kind = "service" } = {}) {
  const failing = errors > 0;
  return {
    key: service, width: 190, height: 46, class: `${failing ? "error-node" : ""} ${kind === "service" ? "" : "peer-node"}`,
    label: `${kind} ${service}: ${plural(calls, "call")}, ${plural(errors, "error")}`,
    content: h("div", { class: "gnode", css: coloured(service) },
      h("div", { class: "gnode-top" }, h("b", {}, h("span", {}, service || "(no service)")), kind !== "service" && h("small", {}, kind)),
      h("div", { class: "gnode-top" }, h("small", {}, `${compact(calls)} calls`), failing && h("small", { class: "bad-text" }, `${percent(errors, calls)} failed`))),
  };
}
