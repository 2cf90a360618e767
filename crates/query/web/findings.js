// The top of a trace's page: what it is, whether it is whole, what is wrong with it, and why.

import * as api from "./api.js";
import { button, copyButton, h, sentence, serviceChip, severityBadge, tone, verdictMark, weight } from "./dom.js";
import { ago, count, digits, duration, moment, plural, short } from "./format.js";
import { byService } from "./model.js";

const FIRST = 3; // Of a list of findings, until all are asked for.

/** Title, figures and the links that lead elsewhere. */
export function headline(trace) {
  const { summary, nodes } = trace;
  const spans = nodes.length - trace.ghosts.length;
  const [from, to] = trace.bounds.adjusted;
  const deepest = nodes.reduce((most, node) => Math.max(most, node.depth + 1), 0);
  const errors = nodes.filter((node) => node.error).length;
  const services = byService(trace).length;
  const links = api.links(trace.id);
  const root = summary.rootName ? [h("bdi", { class: "service" }, summary.rootService), " ", h("bdi", {}, summary.rootName)] : [h("em", {}, "Trace without a root")];
  return h("header", { class: "trace-head" },
    h("div", { class: "trace-title" },
      h("h1", {}, root),
      h("div", { class: "trace-id" }, h("code", {}, trace.id), copyButton(trace.id, "trace id"))),
    h("ul", { class: "figures" },
      figure(duration(to - from), "duration"), figure(count(spans), spans === 1 ? "span" : "spans"), figure(count(services), services === 1 ? "service" : "services"),
      figure(count(deepest), "deep"), figure(count(errors), errors === 1 ? "error" : "errors", errors > 0 ? "bad" : ""),
      figure(moment(trace.origins.adjusted), ago(trace.origins.adjusted), "wide")),
    h("div", { class: "trace-links" },
      h("a", { href: links.otlp, download: `${trace.id}.otlp.json`, class: "button" }, "↓ OTLP"),
      h("a", { href: links.jaeger, download: `${trace.id}.jaeger.json`, class: "button" }, "↓ Jaeger"),
      h("a", { href: links.jaeger, target: "_blank", rel: "noopener", class: "button", title: "What Jaeger's API answers" }, "Jaeger API ↗")));
}

function figure(value, label, kind = "") {
  return h("li", { class: kind }, h("b", {}, value), h("small", {}, label));
}

/** The verdict in words. `reveal(node)` shows a span. */
export function verdict(trace, reveal) {
  const { phase, ghosts } = trace;
  const { verdict: word = "open", spans = 0, roots = 0, missingCount = ghosts.length } = trace.summary.completeness ?? {};
  const sealed = phase === "sealed";
  const revision = trace.summary.revision > 1 ? ` This is revision ${trace.summary.revision}: spans came after it was first sealed.` : "";
  const dropped = samplingNote(trace.summary.decision);
  if (!sealed) {
    return banner("open", h("b", {}, `Open (${phase}).`),
      ` ${plural(trace.nodes.length - ghosts.length, "span")} so far${ghosts.length > 0 ? `, ${plural(ghosts.length, "parent")} not here yet` : ""}. This page follows it until it is sealed.`, missingList(ghosts, reveal));
  }
  if (word === "complete") {
    return banner(word, h("b", {}, "Complete:"), ` ${plural(spans, "span")}, ${plural(roots, "root")}, and every parent that a span names is here.${revision}`, dropped);
  }
  if (word === "evicted") {
    return banner(word, h("b", {}, "Evicted:"), ` sealed early, to stay within the memory for open traces. More may follow as another revision.${revision}`, missingList(ghosts, reveal), dropped);
  }
  const why = missingCount > 0
    ? ` ${plural(missingCount, "span")} that others name as their parent never arrived:`
    : roots === 0 ? " no root span arrived." : " its time was up before it was quiet.";
  return banner(word, h("b", {}, "Incomplete:"), why, missingList(ghosts, reveal),
    missingCount > 0 && roots === 0 && " There is no root either.", revision, dropped);
}

function banner(word, ...content) {
  const [kind, mark] = verdictMark(word);
  return h("section", { class: `verdict ${kind}`, "aria-label": "Verdict" }, h("span", { class: "verdict-mark", "aria-hidden": "true" }, mark), h("p", {}, content));
}

function missingList(ghosts, reveal) {
  if (ghosts.length === 0) return null;
  const shown = ghosts.slice(0, 4).map((ghost, at) => [
    at > 0 ? "; " : " ",
    button(short(ghost.id), () => reveal(ghost), { class: "link mono", title: ghost.id }),
    ` (named by ${namedBy(ghost)})`,
  ]);
  return [shown, ghosts.length > 4 ? ` and ${plural(ghosts.length - 4, "more", "more")}.` : "."];
}

function namedBy(ghost) {
  const services = [...new Set(ghost.named.map((node) => node.service))];
  return `${plural(ghost.named.length, "span")} of ${services.slice(0, 3).join(", ")}${services.length > 3 ? " and others" : ""}`;
}

function samplingNote(decision) {
  const word = typeof decision === "string" ? decision : (decision?.kind ?? decision?.decision ?? Object.keys(decision ?? {})[0]);
  return String(word).toLowerCase() === "dropped" ? " Tail sampling did not keep its spans." : null;
}

/** Root causes, faults, and problems of structure and time, side by side. Empty ones are left out. */
export function findings(trace, reveal) {
  const cards = [
    trace.rootCauses.length > 0 && card("Root causes", trace.rootCauses, (cause, at) => rootCause(trace, cause, at, reveal)),
    trace.faults.length > 0 && card("Faults", sorted(trace.faults), (fault) => finding(trace, fault, reveal)),
    trace.problems.length > 0 && card("Structure and time", sorted(trace.problems), (problem) => finding(trace, problem, reveal)),
  ].filter(Boolean);
  return cards.length > 0 && h("section", { class: "findings-grid", "aria-label": "Findings" }, cards);
}

const sorted = (list) => [...list].sort((a, b) => weight(b.severity) - weight(a.severity));

function card(title, items, draw) {
  const list = h("ol", { class: "plain" }, items.slice(0, FIRST).map(draw));
  const more = items.length > FIRST && button(`Show all ${items.length}`, (event) => {
    list.replaceChildren(...items.slice(0, 500).map(draw));
    event.currentTarget.remove();
  }, { class: "link" });
  return h("div", { class: "card" }, h("h2", {}, title, h("small", {}, ` ${items.length}`)), list, more);
}

function rootCause(trace, cause, at, reveal) {
  const elsewhere = cause.traceId && cause.traceId !== trace.id;
  const where = [h("bdi", { class: "service" }, cause.service), " ", h("bdi", {}, cause.operation)];
  const node = elsewhere ? undefined : trace.byId.get(cause.spanId);
  const title = elsewhere
    ? h("a", { href: `#/trace/${encodeURIComponent(cause.traceId)}?span=${encodeURIComponent(cause.spanId)}` }, where, " in a linked trace ↗")
    : h("button", { type: "button", class: "link", on: { click: () => node && reveal(node) } }, where);
  return h("li", { class: "root-cause" }, h("span", { class: "rank", "aria-label": `Rank ${at + 1}` }, at + 1),
    h("div", {}, h("div", { class: "cause-title" }, title, score(cause.score)),
      h("ul", { class: "reasons" }, (cause.reasons ?? []).map((reason) => h("li", {}, sentence(reason))))));
}

function score(value) {
  if (!Number.isFinite(value)) return null;
  return h("span", { class: "score", title: "How strongly the evidence speaks for it" }, digits(value));
}

function finding(trace, item, reveal) {
  const node = item.spanId ? trace.byId.get(item.spanId) : undefined;
  const text = sentence(item.message);
  return h("li", { class: `finding ${tone(item.severity)}` }, severityBadge(item.severity),
    h("span", { class: "kind" }, String(item.kind ?? "").replaceAll(/[-_]/g, " ")),
    node ? h("button", { type: "button", class: "link text", on: { click: () => reveal(node) } }, text) : text);
}

/** The services of a trace, to tell colours and to bring one to the fore; and the offsets of their clocks. */
export function legend(trace, focus, onFocus) {
  return h("div", { class: "legend", role: "group", "aria-label": "Services" }, byService(trace).slice(0, 40).map((entry) =>
    h("button", { type: "button", class: "bare", "aria-pressed": String(focus === entry.service), title: `${plural(entry.spans, "span")}, ${plural(entry.errors, "error")}, own time ${duration(entry.own)}`,
      on: { click: () => onFocus(focus === entry.service ? null : entry.service) } },
    serviceChip(entry.service, [h("small", {}, entry.spans), entry.errors > 0 && h("small", { class: "bad-text" }, ` ${entry.errors} !`)]))));
}

// An offset is what is added to a clock's times: that of a clock that is ahead is negative.
const clockIsOff = (ns) => `${duration(Math.abs(ns))} ${ns < 0 ? "ahead" : "behind"}`;

/** How far clocks are estimated to be off, in a line of words. */
export function skewNote(trace, line) {
  if (trace.skew.length === 0) return null;
  return h("p", { class: "skew" }, h("b", {}, line === "adjusted" ? "Clocks adjusted: " : "Times as recorded; clocks seem to be off: "),
    trace.skew.slice(0, 12).map((entry) => serviceChip(entry.service, [h("small", {}, ` ${clockIsOff(entry.offsetNs)}`),
      entry.uncertaintyNs !== undefined && h("small", { class: "faint" }, ` ± ${duration(entry.uncertaintyNs)}`)],
    { title: `${entry.service}${entry.instance ? ` (${entry.instance})` : ""}: ${clockIsOff(entry.offsetNs)}${entry.samples ? `, from ${plural(entry.samples, "pair")} of client and server spans` : ""}` })));
}
