// A trace as the views read it: spans in tree order with their rows, missing parents as ghosts, and both
// time lines, the recorded one and the one adjusted for skew. Nothing here recurses, because a trace may be
// as deep as it is long, and nothing trusts the parents that spans name: cycles and doubles are met too.

import { nanos, short } from "./format.js";

/** The two time lines. */
export const RAW = "raw";
export const ADJUSTED = "adjusted";

/**
 * Prepares the collector's answer for one trace.
 *
 * Nodes are spans and ghosts: `{index, id, parent, children, depth, ghost, raw: [from, to], adjusted:
 * [from, to], ...}`, times in nanoseconds from the time line's origin. `nodes` is in tree order, and a
 * node's subtree is `nodes[index .. end]`.
 */
export function buildTrace(json) {
  const found = (json.spans ?? []).map(spanNode);
  const byId = new Map();
  for (const node of found) if (!byId.has(node.id)) byId.set(node.id, node);
  const ghosts = missingParents(json, found, byId);
  const all = found.concat(ghosts);
  const origins = relateTimes(found);
  for (const ghost of ghosts) ghostTimes(ghost, found);
  const nodes = treeOrder(all, byId);
  const trace = {
    json, nodes, byId, origins,
    id: json.summary?.traceId ?? "",
    summary: json.summary ?? {},
    phase: json.phase ?? "sealed",
    skew: (json.skew ?? []).filter((entry) => entry.offsetNs),
    faults: json.faults ?? [],
    rootCauses: json.rootCauses ?? [],
    problems: json.problems ?? [],
    edges: json.edges ?? [],
    ghosts,
    bounds: { [RAW]: bounds(found, RAW), [ADJUSTED]: bounds(found, ADJUSTED) },
  };
  attach(trace);
  return trace;
}

function spanNode(span) {
  const start = nanos(span.startNs);
  const end = nanos(span.endNs);
  const adjustedStart = span.adjustedStartNs === undefined ? start : nanos(span.adjustedStartNs);
  const adjustedEnd = span.adjustedEndNs === undefined ? end : nanos(span.adjustedEndNs);
  return {
    span, id: String(span.spanId), parentId: span.parentId || null, ghost: false,
    service: span.service ?? "", name: span.name ?? "", kind: span.kind ?? "",
    error: span.status === "error", critical: Boolean(span.critical), clock: span.clock,
    absolute: [start, end, adjustedStart, adjustedEnd],
    segments: [], faults: [], problems: [], causeRank: 0,
    children: [], depth: 0,
  };
}

// Parents that the collector found missing, and those that it did not list: it lists a bounded number, and
// none yet while the trace is open.
function missingParents(json, found, byId) {
  const ghosts = new Map();
  const ghost = (id, message) => {
    const node = {
      id, parentId: null, ghost: true, message, named: [], service: "", name: `missing span ${short(id)}…`, kind: "",
      error: false, critical: false, segments: [], faults: [], problems: [], causeRank: 0, children: [], depth: 0,
    };
    ghosts.set(id, node);
    byId.set(id, node);
  };
  for (const missing of json.missing ?? []) {
    if (!byId.has(missing.spanId)) ghost(missing.spanId, missing.message ?? "");
  }
  for (const node of found) {
    if (node.parentId === null) continue;
    if (!byId.has(node.parentId)) ghost(node.parentId, "");
    ghosts.get(node.parentId)?.named.push(node);
  }
  return [...ghosts.values()];
}

function relateTimes(found) {
  const least = (at) => found.reduce((low, node) => (low === null || node.absolute[at] < low ? node.absolute[at] : low), null) ?? 0n;
  const origins = { [RAW]: least(0), [ADJUSTED]: least(2) };
  for (const node of found) {
    const [start, end, adjustedStart, adjustedEnd] = node.absolute;
    node[RAW] = [Number(start - origins[RAW]), Number(end - origins[RAW])];
    node[ADJUSTED] = [Number(adjustedStart - origins[ADJUSTED]), Number(adjustedEnd - origins[ADJUSTED])];
  }
  return origins;
}

// Nobody knows when a missing span ran; it is drawn over the time of those that name it.
function ghostTimes(ghost, found) {
  for (const line of [RAW, ADJUSTED]) {
    const [from, to] = bounds(ghost.named.length > 0 ? ghost.named : found, line);
    ghost[line] = [from, to];
  }
}

function bounds(nodes, line) {
  let from = Infinity;
  let to = -Infinity;
  for (const node of nodes) {
    from = Math.min(from, node[line][0]);
    to = Math.max(to, node[line][1]);
  }
  return from <= to ? [from, to] : [0, 1];
}

function treeOrder(all, byId) {
  const roots = [];
  for (const node of all) {
    const parent = node.parentId === null ? undefined : byId.get(node.parentId);
    node.parent = parent === node ? undefined : parent;
    if (node.parent) node.parent.children.push(node);
    else roots.push(node);
  }
  const byStart = (a, b) => a[ADJUSTED][0] - b[ADJUSTED][0] || (a.id < b.id ? -1 : 1);
  for (const node of all) node.children.sort(byStart);
  roots.sort((a, b) => Number(a.ghost) - Number(b.ghost) || byStart(a, b));

  const nodes = [];
  const seen = new Set();
  const walk = (root) => {
    const stack = [{ node: root, next: 0 }];
    enter(root, 0);
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      const child = top.node.children[top.next];
      top.next += 1;
      if (child === undefined) {
        top.node.end = nodes.length;
        stack.pop();
      } else if (!seen.has(child)) {
        enter(child, stack.length);
        stack.push({ node: child, next: 0 });
      }
    }
  };
  const enter = (node, depth) => {
    seen.add(node);
    node.depth = depth;
    node.index = nodes.length;
    nodes.push(node);
  };
  for (const root of roots) walk(root);
  // What is left hangs on a cycle: it is shown from the first of its spans.
  for (const node of all) {
    if (seen.has(node)) continue;
    node.cycle = true;
    walk(node);
  }
  return nodes;
}

// Findings are shown on the spans that they are about.
function attach(trace) {
  const { json, byId } = trace;
  for (const segment of json.criticalPath ?? []) {
    const node = byId.get(segment.spanId);
    if (!node || node.ghost) continue;
    const origin = trace.origins[ADJUSTED];
    node.critical = true;
    node.segments.push([Number(nanos(segment.fromNs) - origin), Number(nanos(segment.toNs) - origin)]);
  }
  for (const fault of trace.faults) byId.get(fault.spanId)?.faults.push(fault);
  for (const problem of trace.problems) if (problem.spanId) byId.get(problem.spanId)?.problems.push(problem);
  trace.rootCauses.forEach((cause, rank) => {
    const node = cause.traceId && cause.traceId !== trace.id ? undefined : byId.get(cause.spanId);
    if (node && node.causeRank === 0) node.causeRank = rank + 1;
  });
}

/** Critical path segments of a node on a time line; they were computed on the adjusted one. */
export function segmentsOn(node, line) {
  const shift = line === ADJUSTED ? 0 : node[RAW][0] - node[ADJUSTED][0];
  return node.segments.map(([from, to]) => [from + shift, to + shift]);
}

/** The rows that are shown when the subtrees of the nodes in `collapsed` are not. */
export function visibleRows(nodes, collapsed) {
  const rows = [];
  for (let at = 0; at < nodes.length;) {
    const node = nodes[at];
    rows.push(node);
    at = collapsed.has(node) && node.children.length > 0 ? Math.max(node.end, at + 1) : at + 1;
  }
  return rows;
}

/** The nodes above a node, nearest first. */
export function ancestors(node) {
  const above = [];
  const seen = new Set([node]);
  for (let at = node.parent; at && !seen.has(at); at = at.parent) {
    seen.add(at);
    above.push(at);
  }
  return above;
}

/** Time within a node's own interval that none of its children covers, in nanoseconds. */
export function ownTime(node) {
  const [from, to] = node[ADJUSTED];
  let covered = 0;
  let upTo = from;
  for (const child of node.children) {
    const start = Math.max(child[ADJUSTED][0], upTo);
    const end = Math.min(child[ADJUSTED][1], to);
    if (end > start && !child.ghost) {
      covered += end - start;
      upTo = end;
    }
  }
  return Math.max(0, to - from - covered);
}

/** Spans by service: `[{service, spans, errors}]`, most spans first. */
export function byService(trace) {
  const found = new Map();
  for (const node of trace.nodes) {
    if (node.ghost) continue;
    const entry = found.get(node.service) ?? { service: node.service, spans: 0, errors: 0, own: 0 };
    entry.spans += 1;
    entry.errors += Number(node.error);
    entry.own += ownTime(node);
    found.set(node.service, entry);
  }
  return [...found.values()].sort((a, b) => b.spans - a.spans || (a.service < b.service ? -1 : 1));
}

/** Whether a node matches what somebody looks for: ids, names, attributes. */
export function matches(node, text) {
  if (node.id.includes(text) || node.name.toLowerCase().includes(text) || node.service.toLowerCase().includes(text)) return true;
  for (const [key, value] of Object.entries(node.span?.attributes ?? {})) {
    if (`${key}=${typeof value === "object" ? JSON.stringify(value) : value}`.toLowerCase().includes(text)) return true;
  }
  return String(node.span?.statusMessage ?? "").toLowerCase().includes(text);
}
