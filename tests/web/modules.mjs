// What the page's modules compute, tried in the browser on inputs that no well-behaved program sends. Each
// function runs within the page; a complaint is returned as a text.

/** Trees from cycles, doubles, strangers' parents and a chain of 100 000 spans. */
export async function trees() {
  const { buildTrace, visibleRows, ancestors, ownTime } = await import("./model.js");
  const span = (spanId, parentId, from = 0, to = 10) => ({ spanId, parentId, service: "s", name: spanId, status: "unset", startNs: String(1_000_000 + from), endNs: String(1_000_000 + to), attributes: {} });
  const build = (spans, more = {}) => buildTrace({ summary: { traceId: "t" }, phase: "sealed", spans, ...more });
  const all = (trace, many) => trace.nodes.length === many && new Set(trace.nodes).size === many && trace.nodes.every((node, at) => node.index === at && node.end > at);

  if (!all(build([]), 0)) return "no spans";
  if (!all(build([span("a", "a")]), 1)) return "a span that is its own parent";
  const cycle = build([span("r", null), span("a", "c"), span("b", "a"), span("c", "b"), span("d", "b")]);
  if (!all(cycle, 5) || cycle.nodes.filter((node) => node.cycle).length !== 1) return "a cycle";
  if (ancestors(cycle.byId.get("a")).length !== 2) return "ancestors on a cycle";
  if (!all(build([span("r", null), span("a", "r"), span("a", "r", 5, 7), span("b", "a")]), 4)) return "an id twice";
  const orphans = build([span("a", "x"), span("b", "x"), span("c", "y")], { missing: [{ spanId: "x", children: ["a", "b"], message: "m" }] });
  if (!all(orphans, 5) || orphans.ghosts.length !== 2 || orphans.byId.get("x").named.length !== 2) return "missing parents";
  const chain = [];
  for (let at = 0; at < 100_000; at += 1) chain.push(span(`n${at}`, at === 0 ? null : `n${at - 1}`, 0, 200_000 - at));
  const deep = build(chain);
  if (!all(deep, 100_000) || deep.nodes[99_999].depth !== 99_999) return "a deep chain";
  if (visibleRows(deep.nodes, new Set([deep.nodes[3]])).length !== 4) return "a collapsed subtree";
  const parent = build([span("p", null, 0, 100), span("a", "p", 10, 30), span("b", "p", 20, 50), span("c", "p", 90, 150)]).nodes[0];
  if (ownTime(parent) !== 50) return `own time is ${ownTime(parent)}, not 50`;
  return null;
}

/** Layers: edges run to the right but for those that close a cycle, and nothing lies on anything else. */
export async function layouts() {
  const { layered } = await import("./layout.js");
  let seed = 1;
  const random = (below) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  for (let round = 0; round < 40; round += 1) {
    const size = 1 + random(60);
    const nodes = Array.from({ length: size }, (_, at) => ({ key: `k${at}`, width: 100, height: 20 + random(30) }));
    const acyclic = round % 2 === 0;
    const edges = [];
    for (let at = 0; at < size + random(40); at += 1) {
      const [from, to] = [random(size), random(size)];
      if (acyclic && from >= to) continue;
      edges.push({ from: `k${from}`, to: `k${to}` });
    }
    const { boxes, routes, width, height } = layered(nodes, edges);
    const placed = [...boxes.values()];
    if (placed.length !== size || routes.length !== edges.length) return "something was lost";
    for (const box of placed) {
      if (!(box.x >= -0.01 && box.y >= -0.01 && box.x + box.width <= width + 0.01 && box.y + box.height <= height + 0.01)) return `out of the picture: ${JSON.stringify(box)}`;
      if (placed.some((other) => other !== box && other.x === box.x && other.y < box.y + box.height - 0.01 && box.y < other.y + other.height - 0.01)) return "two nodes overlap";
    }
    if (acyclic && edges.some(({ from, to }) => boxes.get(from).x >= boxes.get(to).x)) return "an edge runs to the left";
  }
  return null;
}

/** Numbers as people read them, tags as they are typed, and the order of vector clocks. */
export async function texts() {
  const { duration, ticks, nanos } = await import("./format.js");
  const { parseTags } = await import("./search.js");
  const { precedes } = await import("./causal.js");
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const durations = [0, 999, 1500, 12_345_678, 999_999_999, 61e9, 3600e9, 90061e9].map(duration);
  if (!same(durations, ["0", "999 ns", "1.5 µs", "12.3 ms", "1 s", "1 min 1 s", "1 h", "1 d 1 h"])) return durations.join(", ");
  if (!same(ticks(0, 100, 5), [0, 20, 40, 60, 80, 100]) || ticks(5, 5, 3).length !== 1) return "ticks";
  if (nanos("not a number") !== 0n || nanos("1795306601149000001") !== 1795306601149000001n) return "nanoseconds";
  if (!same(parseTags("a=1 b.c=\"x y\" d= junk"), ["a=1", "b.c=x y", "d="])) return JSON.stringify(parseTags("a=1 b.c=\"x y\" d= junk"));
  if (!precedes({ a: 1 }, { a: 1, b: 1 }) || precedes({ a: 1, b: 1 }, { a: 1 }) || precedes({ a: 1 }, { b: 1 }) || precedes({ a: 1 }, { a: 1 })) return "clocks";
  return null;
}
