// Layered drawing of directed graphs, after Sugiyama, Tagawa and Toda (1981): cycles are broken, nodes laid
// in layers so that edges run from left to right, long edges cut by dummies, layers ordered by barycentres
// to avoid crossings, and heights found by least squares within each layer (pool adjacent violators).

const SWEEPS = 12;
const ROUNDS = 10;

/**
 * Places `nodes` (`{key, width, height}`) joined by `edges` (`{from, to}`, keys).
 * Returns `{boxes: Map(key, {x, y, width, height}), routes: [[{x, y}, ...]] as edges, width, height}`.
 */
export function layered(nodes, edges, { gapX = 70, gapY = 14 } = {}) {
  const index = new Map(nodes.map((node, at) => [node.key, at]));
  const real = edges.map(({ from, to }) => ({ from: index.get(from), to: index.get(to) }));
  const straight = acyclic(nodes.length, real);
  const layerOf = layers(nodes.length, straight);
  const { cells, chains, links } = cut(nodes, straight, layerOf);
  const rows = order(cells, links);
  place(rows, cells, links, gapY);
  return measure(nodes, cells, rows, chains, straight, gapX);
}

// Edges that close a cycle are turned round; loops on one node stay out of the layers.
function acyclic(size, edges) {
  const out = Array.from({ length: size }, () => []);
  edges.forEach((edge, at) => edge.from !== edge.to && out[edge.from].push(at));
  const state = new Uint8Array(size); // 0 new, 1 on the path, 2 done
  const turned = new Uint8Array(edges.length);
  for (let root = 0; root < size; root += 1) {
    if (state[root] !== 0) continue;
    const path = [[root, 0]];
    state[root] = 1;
    while (path.length > 0) {
      const top = path[path.length - 1];
      const at = out[top[0]][top[1]];
      top[1] += 1;
      if (at === undefined) {
        state[top[0]] = 2;
        path.pop();
      } else if (state[edges[at].to] === 1) turned[at] = 1;
      else if (state[edges[at].to] === 0) {
        state[edges[at].to] = 1;
        path.push([edges[at].to, 0]);
      }
    }
  }
  return edges.map(({ from, to }, at) => (turned[at] ? { from: to, to: from, turned: true } : { from, to, turned: false }));
}

// Longest path from a source; a source then moves up to its nearest successor.
function layers(size, edges) {
  const layer = new Int32Array(size);
  const waits = new Int32Array(size);
  const out = Array.from({ length: size }, () => []);
  for (const { from, to } of edges) {
    if (from === to) continue;
    out[from].push(to);
    waits[to] += 1;
  }
  const sources = [];
  for (let node = 0; node < size; node += 1) if (waits[node] === 0) sources.push(node);
  const ready = [...sources];
  for (let next = 0; next < ready.length; next += 1) {
    for (const to of out[ready[next]]) {
      layer[to] = Math.max(layer[to], layer[ready[next]] + 1);
      waits[to] -= 1;
      if (waits[to] === 0) ready.push(to);
    }
  }
  for (const source of sources) {
    if (out[source].length > 0) layer[source] = Math.min(...out[source].map((to) => layer[to])) - 1;
  }
  return layer;
}

// Cells are nodes and, on edges that cross layers, dummies; links join cells of neighbouring layers.
function cut(nodes, edges, layerOf) {
  const cells = nodes.map((node, at) => ({ layer: layerOf[at], height: node.height, width: node.width, dummy: false }));
  const links = [];
  const chains = edges.map(({ from, to }) => {
    const chain = [from];
    if (from === to) return chain;
    for (let layer = layerOf[from] + 1; layer < layerOf[to]; layer += 1) {
      cells.push({ layer, height: 4, width: 0, dummy: true });
      chain.push(cells.length - 1);
    }
    chain.push(to);
    for (let at = 1; at < chain.length; at += 1) links.push([chain[at - 1], chain[at]]);
    return chain;
  });
  return { cells, chains, links };
}

function neighbours(cells, links) {
  const before = cells.map(() => []);
  const after = cells.map(() => []);
  for (const [from, to] of links) {
    after[from].push(to);
    before[to].push(from);
  }
  return { before, after };
}

function order(cells, links) {
  const { before, after } = neighbours(cells, links);
  const deepest = cells.reduce((most, cell) => Math.max(most, cell.layer), 0);
  let rows = Array.from({ length: deepest + 1 }, () => []);
  // Depth first keeps trees together: without other edges nothing crosses from the start.
  const seen = new Uint8Array(cells.length);
  const visit = (root) => {
    const stack = [root];
    while (stack.length > 0) {
      const cell = stack.pop();
      if (seen[cell]) continue;
      seen[cell] = 1;
      rows[cells[cell].layer].push(cell);
      for (let at = after[cell].length - 1; at >= 0; at -= 1) stack.push(after[cell][at]);
    }
  };
  cells.forEach((_, cell) => before[cell].length === 0 && visit(cell));
  cells.forEach((_, cell) => visit(cell));

  let best = { rows, crossings: crossings(rows, after) };
  for (let sweep = 0; sweep < SWEEPS && best.crossings > 0; sweep += 1) {
    rows = rows.map((row) => [...row]);
    const down = sweep % 2 === 0;
    const at = ranks(rows, cells.length);
    const side = down ? before : after;
    for (let step = 1; step < rows.length; step += 1) {
      const row = rows[down ? step : rows.length - 1 - step];
      const wish = new Map(row.map((cell) => [cell, mean(side[cell].map((other) => at[other])) ?? at[cell]]));
      row.sort((a, b) => wish.get(a) - wish.get(b));
      row.forEach((cell, place) => { at[cell] = place; });
    }
    const found = crossings(rows, after);
    if (found < best.crossings) best = { rows, crossings: found };
  }
  return best.rows;
}

function ranks(rows, size) {
  const at = new Int32Array(size);
  for (const row of rows) row.forEach((cell, place) => { at[cell] = place; });
  return at;
}

function mean(values) {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function crossings(rows, after) {
  const at = ranks(rows, after.length);
  let found = 0;
  for (const row of rows) {
    const ends = row.flatMap((cell) => after[cell].map((to) => at[to]).sort((a, b) => a - b));
    for (let i = 0; i < ends.length; i += 1) for (let j = i + 1; j < ends.length; j += 1) if (ends[i] > ends[j]) found += 1;
  }
  return found;
}

// Each cell wants to be level with its neighbours; the order of a layer and its gaps are kept.
function place(rows, cells, links, gap) {
  const { before, after } = neighbours(cells, links);
  for (const row of rows) {
    let y = 0;
    for (const cell of row) {
      cells[cell].y = y + cells[cell].height / 2;
      y += cells[cell].height + gap;
    }
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    const down = round % 2 === 0;
    const side = down ? before : after;
    for (let step = 0; step < rows.length; step += 1) {
      const row = rows[down ? step : rows.length - 1 - step];
      const wishes = row.map((cell) => mean(side[cell].map((other) => cells[other].y)) ?? cells[cell].y);
      spread(row, cells, wishes, gap);
    }
  }
}

// Least squares under minimal distances: cells that would overlap move as one block around their mean.
function spread(row, cells, wishes, gap) {
  const offsets = [];
  row.forEach((cell, at) => {
    offsets.push(at === 0 ? 0 : offsets[at - 1] + (cells[row[at - 1]].height + cells[cell].height) / 2 + gap);
  });
  const blocks = [];
  wishes.forEach((wish, at) => {
    blocks.push({ sum: wish - offsets[at], size: 1 });
    while (blocks.length > 1) {
      const last = blocks[blocks.length - 1];
      const other = blocks[blocks.length - 2];
      if (other.sum / other.size <= last.sum / last.size) break;
      blocks.pop();
      other.sum += last.sum;
      other.size += last.size;
    }
  });
  let at = 0;
  for (const block of blocks) {
    for (let taken = 0; taken < block.size; taken += 1, at += 1) cells[row[at]].y = block.sum / block.size + offsets[at];
  }
}

function measure(nodes, cells, rows, chains, edges, gapX) {
  const lefts = [];
  let x = 0;
  for (const row of rows) {
    lefts.push(x);
    x += row.reduce((most, cell) => Math.max(most, cells[cell].width), 0) + gapX;
  }
  const top = cells.reduce((least, cell) => Math.min(least, cell.y - cell.height / 2), Infinity);
  const boxes = new Map(nodes.map((node, at) => [node.key, {
    x: lefts[cells[at].layer], y: cells[at].y - cells[at].height / 2 - top, width: node.width, height: node.height }]));
  const columnWidth = (layer) => (lefts[layer + 1] ?? x) - lefts[layer] - gapX;
  const routes = chains.map((chain, at) => {
    const points = chain.flatMap((cell, place) => {
      const y = cells[cell].y - top;
      const left = lefts[cells[cell].layer];
      if (cells[cell].dummy) return [{ x: left, y }, { x: left + columnWidth(cells[cell].layer), y }];
      return [{ x: place === 0 ? left + cells[cell].width : left, y }];
    });
    return edges[at].turned ? points.reverse() : points;
  });
  const bottom = cells.reduce((most, cell) => Math.max(most, cell.y + cell.height / 2), 0) - top;
  return { boxes, routes, width: Math.max(1, x - gapX), height: Math.max(1, bottom) };
}
