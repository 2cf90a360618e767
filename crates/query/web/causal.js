// The causal graph of a trace: what could have influenced what. Edges are parent to child, link (cause to
// effect, also from other traces) and follows-from; vector clocks, where spans carry them, order more than
// edges do. Choosing a node shows its causal past and future; what is dimmed is concurrent with it.

import { coloured, empty, h } from "./dom.js";
import { count, digits, duration, plural, short } from "./format.js";
import { Graph } from "./graph.js";

const READABLE = 400; // Nodes that can be told apart in one picture.
const SPANS_FIRST = 150;
const MODES = [["spans", "Spans"], ["paths", "Call paths"], ["services", "Services"]];

/** The graph of `trace`; `chosen(node)` is called with the span that somebody picks, or null. */
export class CausalGraph {
  constructor(trace, state, chosen) {
    Object.assign(this, { trace, state, chosen });
    this.sizes = Object.fromEntries(MODES.map(([mode]) => [mode, new Set(keysOf(trace, mode).values()).size]));
    this.mode = this.sizes.spans <= SPANS_FIRST ? "spans" : this.sizes.paths <= READABLE ? "paths" : "services";
    this.element = h("div", { class: "causal" });
    this.tools = h("div", { class: "tools-inner" });
    this.said = h("span", { class: "relation", "aria-live": "polite" });
  }

  close() {
    this.graph?.close();
  }

  show() {
    this.graph?.close();
    this.drawTools();
    const { nodes, edges } = collapse(this.trace, this.mode);
    if (nodes.length === 0) {
      this.element.replaceChildren(empty("Nothing to draw"));
      return;
    }
    this.causality = new Reach(nodes, edges);
    this.graph = new Graph(nodes, edges, (key, node) => this.select(key, node), { gapX: 64, gapY: 12, name: "Causal graph" });
    this.element.replaceChildren(this.graph.element);
    this.graph.fit();
    const selected = nodes.find((node) => node.spans?.some((span) => span.id === this.state.selected));
    if (selected) this.mark(selected.key);
    else this.said.textContent = "Choose a node to see what came before it, after it, and beside it.";
  }

  drawTools() {
    const sizes = this.sizes;
    this.tools.replaceChildren(h("div", { class: "tool-row" },
      h("div", { class: "segmented", role: "group", "aria-label": "What a node is" }, MODES.map(([mode, label]) =>
        h("button", { type: "button", "aria-pressed": String(mode === this.mode), disabled: sizes[mode] > READABLE,
          title: sizes[mode] > READABLE ? `${count(sizes[mode])} nodes are too many to be told apart` : `${plural(sizes[mode], "node")}`,
          on: { click: () => {
            this.mode = mode;
            this.show();
          } } }, label))),
      h("ul", { class: "key" }, [["parent", "parent"], ["link", "link"], ["follows-from", "follows from"]].map(([kind, label]) =>
        h("li", {}, h("i", { class: `sample ${kind}` }), label))),
      this.said));
  }

  select(key, node) {
    this.mark(key);
    const only = node?.spans?.length === 1 ? node.spans[0] : null;
    if (node?.external) location.hash = `#/trace/${encodeURIComponent(node.external.trace)}?span=${encodeURIComponent(node.external.span)}`;
    else this.chosen(only);
  }

  mark(key) {
    if (key === null || key === undefined) {
      this.graph.mark(null);
      this.said.textContent = "";
      return;
    }
    const relation = this.causality.relations(key);
    this.graph.mark((other) => relation.get(other));
    this.graph.show(key);
    const tally = { before: 0, after: 0, apart: 0 };
    for (const kind of relation.values()) if (kind in tally) tally[kind] += 1;
    this.said.textContent = `${tally.before} happened before it, ${tally.after} after it, ${tally.apart} concurrent with it`;
  }
}

// The key of the node that a span is drawn in, for each span.
function keysOf(trace, mode) {
  const keys = new Map();
  const paths = new Map();
  for (const node of trace.nodes) {
    if (node.ghost || mode === "spans") keys.set(node, `s${node.index}`);
    else if (mode === "services") keys.set(node, `v${node.service}`);
    else {
      const above = node.parent && keys.get(node.parent);
      const path = JSON.stringify([above ?? "", node.service, node.name, node.kind]);
      if (!paths.has(path)) paths.set(path, `p${paths.size}`);
      keys.set(node, paths.get(path));
    }
  }
  return keys;
}

function collapse(trace, mode) {
  const keys = keysOf(trace, mode);
  const groups = new Map();
  for (const [node, key] of keys) {
    if (!groups.has(key)) groups.set(key, { key, spans: [] });
    groups.get(key).spans.push(node);
  }
  const edges = new Map();
  const join = (from, to, kind) => {
    if (from === to && kind === "parent") return; // Calls within one node say nothing more.
    const id = `${from} ${to} ${kind}`;
    const edge = edges.get(id) ?? { from, to, kind, times: 0 };
    edge.times += 1;
    edges.set(id, edge);
  };
  for (const node of trace.nodes) if (node.parent) join(keys.get(node.parent), keys.get(node), "parent");
  for (const edge of trace.edges) {
    if (edge.kind === "parent") continue; // Those are known from the spans, ghosts included.
    const ends = [edge.from, edge.to].map((id) => trace.byId.get(id));
    // A trace's id may stand beside an end that is not among this trace's spans.
    const [from, to] = ends.map((node, at) => (node ? keys.get(node) : external(groups, edge, at === 0 ? edge.from : edge.to)));
    join(from, to, edge.kind);
  }
  const nodes = [...groups.values()].slice(0, READABLE + 100).map(present);
  const there = new Set(nodes.map((node) => node.key));
  return { nodes, edges: [...edges.values()].filter((edge) => there.has(edge.from) && there.has(edge.to)).map(style) };
}

function external(groups, edge, span) {
  const key = `x${span}`;
  if (!groups.has(key)) groups.set(key, { key, external: { trace: edge.trace ?? "", span } });
  return key;
}

function style(edge) {
  const label = edge.times > 1 ? `×${count(edge.times)}` : "";
  return { ...edge, class: edge.kind, head: edge.kind === "parent" ? "plain" : edge.kind, label, title: edge.kind };
}

function present(group) {
  const { spans, external: other } = group;
  if (other) {
    const label = `${short(other.span)} of ${short(other.trace)}`;
    return { ...group, width: 190, height: 44, label, class: "external", content: h("div", { class: "gnode" }, h("small", {}, "span of another trace ↗"), h("b", {}, h("span", {}, label))) };
  }
  const [first] = spans;
  const services = group.key.startsWith("v");
  const errors = spans.filter((span) => span.error).length;
  const took = spans.reduce((sum, span) => sum + (span.adjusted[1] - span.adjusted[0]), 0);
  const clock = spans.length === 1 && first.clock ? Object.entries(first.clock).map(([process, ticks]) => `${process}:${ticks}`).join(" ") : "";
  const title = first.ghost ? first.name : services ? first.service : first.name;
  const detail = first.ghost ? "never arrived" : spans.length === 1 ? duration(took) : `×${count(spans.length)} · ⌀ ${duration(took / spans.length)}`;
  const label = `${first.service ? `${first.service}: ` : ""}${title}, ${detail}${errors > 0 ? `, ${plural(errors, "error")}` : ""}${clock ? `, clock ${clock}` : ""}`;
  const classes = [first.ghost && "ghost-node", errors > 0 && "error-node", spans.some((span) => span.critical) && "critical-node"];
  return {
    ...group, label, width: 190, height: clock ? 62 : 46, class: classes.filter(Boolean).join(" "),
    content: h("div", { class: "gnode", css: coloured(first.service) },
      h("div", { class: "gnode-top" }, h("small", { class: "service" }, first.ghost ? "missing" : services ? "" : first.service), h("small", {}, detail)),
      h("b", {}, h("span", {}, title), errors > 0 && h("span", { class: "mark bad" }, spans.length > 1 ? `${digits(errors)} !` : "!")),
      clock && h("code", { class: "vc" }, clock)),
  };
}

// Which nodes reach which, over edges and vector clocks.
class Reach {
  constructor(nodes, edges) {
    this.nodes = nodes;
    this.next = new Map();
    this.previous = new Map();
    for (const { from, to } of edges) {
      push(this.next, from, to);
      push(this.previous, to, from);
    }
  }

  /** For every node: before, after, both (on a cycle, or a collapsed one), apart, or itself. */
  relations(key) {
    const past = walk(this.previous, key);
    const future = walk(this.next, key);
    const own = this.nodes.find((node) => node.key === key);
    const clock = clockOf(own);
    return new Map(this.nodes.map((node) => {
      if (node.key === key) return [node.key, "self"];
      const other = clockOf(node);
      const before = past.has(node.key) || (clock && other && precedes(other, clock));
      const after = future.has(node.key) || (clock && other && precedes(clock, other));
      return [node.key, before && after ? "both" : before ? "before" : after ? "after" : "apart"];
    }));
  }
}

function push(map, key, value) {
  if (!map.has(key)) map.set(key, []);
  map.get(key).push(value);
}

function walk(next, from) {
  const seen = new Set();
  const stack = [from];
  while (stack.length > 0) {
    for (const to of next.get(stack.pop()) ?? []) {
      if (seen.has(to)) continue;
      seen.add(to);
      stack.push(to);
    }
  }
  return seen;
}

const clockOf = (node) => (node?.spans?.length === 1 ? node.spans[0].clock : undefined);

/** Whether clock `a` is before `b`: nowhere ahead, somewhere behind. */
export function precedes(a, b) {
  const at = (clock, process) => (Object.hasOwn(clock, process) ? Number(clock[process]) : 0);
  const processes = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return processes.every((process) => at(a, process) <= at(b, process)) && processes.some((process) => at(a, process) < at(b, process));
}
