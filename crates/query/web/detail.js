// Everything about one span, beside the waterfall: what is wrong with it, its times raw and adjusted, its
// attributes, events and links, and its place in the causal order.

import { button, coloured, copyButton, h, sentence, severityBadge } from "./dom.js";
import { count, duration, moment, nanos, offset, short } from "./format.js";
import { ownTime } from "./model.js";

const LONG = 400; // Longer values are shown in part, until asked for.

/** The panel for a node; `actions`: `close()`, `reveal(node)`. */
export function detail(trace, node, actions) {
  return h("aside", { class: "detail", "aria-label": "Span", css: coloured(node.service) },
    h("header", {},
      h("div", { class: "detail-title" }, h("i", { class: "stripe" }),
        h("div", {}, h("small", {}, node.service), h("h2", {}, node.ghost ? "Missing span" : node.name))),
      button("✕", actions.close, { class: "ghost icon", title: "Close (Esc)", "aria-label": "Close" })),
    h("div", { class: "detail-body" }, node.ghost ? ghostBody(trace, node, actions) : spanBody(trace, node, actions)));
}

function ghostBody(trace, node, actions) {
  return [
    h("p", { class: "note warn" }, node.message ? sentence(node.message) : "Other spans name it as their parent, and it is not here."),
    facts([["Span id", id(node.id, "span id")]]),
    section("Named as the parent by", node.named.length,
      h("ul", { class: "plain" }, node.named.slice(0, 100).map((child) => h("li", {}, spanLink(child, actions))))),
  ];
}

function spanBody(trace, node, actions) {
  const { span } = node;
  const own = ownTime(node);
  const took = node.adjusted[1] - node.adjusted[0];
  return [
    findings(trace, node),
    span.statusMessage && h("p", { class: `note ${node.error ? "bad" : ""}` }, span.statusMessage),
    facts([
      ["Duration", [duration(took), took > 0 && node.children.length > 0 && h("small", {}, ` of it ${duration(own)} its own`)]],
      ["Starts", node.adjusted[0] > 0 ? `${duration(node.adjusted[0])} into the trace` : "with the trace"],
      ["Kind", node.kind || "unspecified"],
      ["Status", span.status ?? "unset"],
      ["Critical path", node.segments.length > 0 ? duration(node.segments.reduce((sum, [from, to]) => sum + to - from, 0)) : node.critical ? "on it" : "not on it"],
      ["Span id", id(node.id, "span id")],
      ["Parent", node.parent ? spanLink(node.parent, actions) : node.parentId ? id(node.parentId, "parent's id") : "none: a root"],
    ]),
    times(node),
    node.clock && section("Vector clock", undefined, pairs(node.clock)),
    attributes("Attributes", span.attributes, true),
    events(node),
    links(trace, span),
    attributes("Resource", span.resource, false),
    span.scope?.name && section("Instrumentation scope", undefined, facts([["Name", span.scope.name], ["Version", span.scope.version || "–"]])),
  ];
}

function findings(trace, node) {
  const items = [];
  const cause = node.causeRank > 0 ? trace.rootCauses[node.causeRank - 1] : undefined;
  if (cause) items.push(h("li", {}, h("span", { class: "badge cause" }, `root cause #${node.causeRank}`), " ", sentence((cause.reasons ?? []).join(" "))));
  for (const fault of node.faults) items.push(h("li", {}, severityBadge(fault.severity), " ", sentence(fault.message)));
  for (const problem of node.problems) items.push(h("li", {}, severityBadge(problem.severity), " ", sentence(problem.message)));
  return items.length > 0 && h("ul", { class: "plain findings" }, items);
}

function times(node) {
  const [start, end, adjustedStart, adjustedEnd] = node.absolute;
  const moved = adjustedStart !== start || adjustedEnd !== end;
  // Days are told by the heading; the whole of it is where somebody points.
  const cell = (time) => h("td", { title: `${moment(time, true)}, ${time} ns` }, moment(time, true).slice(11));
  const row = (label, from, to) => h("tr", {}, h("th", { scope: "row" }, label), cell(from), cell(to));
  return section("Times", undefined, [
    h("div", { class: "scroll-x" }, h("table", { class: "times" },
      h("thead", {}, h("tr", {}, h("td", {}, moment(start, true).slice(0, 10)), h("th", { scope: "col" }, "Start"), h("th", { scope: "col" }, "End"))),
      h("tbody", {}, row("recorded", start, end), moved && row("adjusted", adjustedStart, adjustedEnd)))),
    moved && h("p", { class: "small" }, `Moved by ${offset(Number(adjustedStart - start))}: the clock of ${node.service || "its host"} is estimated to be off.`),
  ], moved);
}

function attributes(title, values, open) {
  const entries = Object.entries(values ?? {});
  if (entries.length === 0) return null;
  return section(title, entries.length, pairs(values), open);
}

function pairs(values) {
  return h("dl", { class: "pairs" }, Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => [h("dt", {}, h("bdi", {}, key)), h("dd", {}, valueOf(value))]));
}

function valueOf(value) {
  const structured = value !== null && typeof value === "object";
  const text = structured ? JSON.stringify(value, null, 1) : String(value);
  const kind = structured ? "object" : typeof value;
  const shown = h("bdi", { class: `value is-${kind}` }, text.slice(0, LONG));
  const more = text.length > LONG && button(`… ${text.length - LONG} more characters`, (event) => {
    shown.textContent = text;
    event.currentTarget.remove();
  }, { class: "link" });
  return [shown, more, copyButton(text, "value")];
}

function events(node) {
  const all = node.span.events ?? [];
  if (all.length === 0) return null;
  return section("Events", all.length, h("ol", { class: "events" }, all.slice(0, 200).map((event) => h("li", {},
    h("div", {}, h("b", {}, event.name), h("small", {}, ` ${offset(Number(nanos(event.timeNs) - node.absolute[0]))} from the start`)),
    Object.keys(event.attributes ?? {}).length > 0 && pairs(event.attributes)))));
}

function links(trace, span) {
  const all = span.links ?? [];
  if (all.length === 0) return null;
  return section("Links", all.length, h("ul", { class: "plain" }, all.slice(0, 200).map((link) => h("li", {},
    link.traceId === trace.id ? h("code", {}, `span ${link.spanId}`)
      : h("a", { href: `#/trace/${encodeURIComponent(link.traceId)}?span=${encodeURIComponent(link.spanId)}` }, `span ${short(link.spanId)}… of trace ${short(link.traceId)}…`),
    Object.keys(link.attributes ?? {}).length > 0 && pairs(link.attributes)))));
}

function section(title, number, content, open = true) {
  return h("details", { open }, h("summary", {}, title, number !== undefined && h("small", {}, ` ${count(number)}`)), content);
}

function facts(rows) {
  return h("dl", { class: "facts" }, rows.map(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]));
}

function id(value, what) {
  return [h("code", {}, value), copyButton(value, what)];
}

function spanLink(node, actions) {
  return button(node.ghost ? node.name : `${node.service}: ${node.name}`, () => actions.reveal(node), { class: "link" });
}
