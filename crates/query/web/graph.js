// A graph that can be moved, zoomed and walked with the keyboard. What a node shows is the caller's; this
// places nodes and edges and tells which node was chosen.

import { button, drag, h, svg } from "./dom.js";
import { layered } from "./layout.js";

const MARGIN = 24;

let serial = 0;

// Where an edge's label stands: past the middle of a segment in its midst, where edges that began together
// have parted. Segments are Bézier curves that begin and end level, see `drawEdge`.
function labelPlace(points) {
  const at = Math.max(1, Math.floor(points.length / 2));
  const [from, to] = [points[at - 1], points[at]];
  const [t, u] = [0.68, 0.32];
  const bend = 3 * u * u * t + 3 * u * t * t;
  return {
    x: u ** 3 * from.x + bend * ((from.x + to.x) / 2) + t ** 3 * to.x,
    y: (u ** 3 + 3 * u * u * t) * from.y + (t ** 3 + 3 * u * t * t) * to.y,
  };
}

/**
 * `nodes`: `{key, width, height, content, label, class}`; `edges`: `{from, to, class, label, below, title}`;
 * `chosen(key, node)` is called when somebody picks a node, with null for the ground.
 */
export class Graph {
  constructor(nodes, edges, chosen, { gapX, gapY, name = "Graph" } = {}) {
    Object.assign(this, { nodes, edges, chosen });
    this.id = `graph${(serial += 1)}`;
    this.placed = layered(nodes, edges, { gapX, gapY });
    this.elements = new Map();
    this.stage = svg("g");
    this.picture = svg("svg", { class: "graph-svg", role: "group", "aria-label": name, on: {
      pointerdown: (event) => this.pan(event), wheel: (event) => this.wheel(event), keydown: (event) => this.key(event) } },
    this.markers(), this.stage);
    this.element = h("div", { class: "graph" }, this.picture, h("div", { class: "graph-tools" },
      button("+", () => this.zoomBy(1.3), { "aria-label": "Closer" }), button("−", () => this.zoomBy(1 / 1.3), { "aria-label": "Farther" }),
      button("Fit", () => this.fit())));
    edges.forEach((edge, at) => this.drawEdge(edge, this.placed.routes[at]));
    for (const edge of edges) if (edge.text) this.stage.append(edge.text); // Above every line.
    for (const node of nodes) this.drawNode(node);
    this.watcher = new ResizeObserver(() => this.shown || this.fit());
    this.watcher.observe(this.element);
  }

  close() {
    this.watcher.disconnect();
  }

  markers() {
    const head = (name) => svg("marker", { id: `${this.id}-${name}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" },
      svg("path", { d: "M0 0 L8 4 L0 8 z", class: `head ${name}` }));
    return svg("defs", {}, head("plain"), head("link"), head("follows-from"), head("bad"));
  }

  drawEdge(edge, points) {
    const group = svg("g", { class: `edge ${edge.class ?? ""}` });
    const self = edge.from === edge.to;
    const box = self && this.placed.boxes.get(edge.from);
    const path = self
      ? `M${box.x + box.width - 24} ${box.y} c0 -26 44 -26 34 ${box.height / 3}`
      : points.map(({ x, y }, at) => {
        if (at === 0) return `M${x} ${y}`;
        const middle = (x + points[at - 1].x) / 2;
        return `C${middle} ${points[at - 1].y} ${middle} ${y} ${x} ${y}`;
      }).join("");
    const line = svg("path", { d: path, class: "line", "marker-end": `url(#${this.id}-${edge.head ?? "plain"})`, css: edge.css });
    group.append(line);
    if (edge.title) group.append(svg("title", {}, edge.title));
    if (edge.label && !self) {
      const { x, y } = labelPlace(points);
      edge.text = svg("text", { class: "edge-label", "text-anchor": "middle" }, svg("tspan", { x, y: y - 5 }, edge.label), edge.below && svg("tspan", { x, y: y + 14 }, edge.below));
    }
    edge.element = group;
    this.stage.append(group);
  }

  drawNode(node) {
    const box = this.placed.boxes.get(node.key);
    const pick = (event) => {
      event.stopPropagation();
      this.chosen(node.key, node);
    };
    const element = svg("g", { class: `node ${node.class ?? ""}`, tabindex: "0", role: "button", "aria-label": node.label,
      transform: `translate(${box.x} ${box.y})`, "data-key": node.key, on: {
        click: pick, pointerdown: (event) => event.stopPropagation(),
        keydown: (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), pick(event)) } },
    svg("foreignObject", { width: box.width, height: box.height }, node.content), svg("title", {}, node.label));
    this.elements.set(node.key, element);
    this.stage.append(element);
  }

  /** Marks nodes by a function from key to a class (or nothing), and edges whose both ends are lit. */
  mark(classOf) {
    for (const [key, element] of this.elements) element.dataset.mark = classOf?.(key) ?? "";
    for (const edge of this.edges) {
      const lit = !classOf || (classOf(edge.from) !== "apart" && classOf(edge.to) !== "apart");
      edge.element.classList.toggle("unlit", !lit);
      edge.text?.classList.toggle("unlit", !lit);
    }
  }

  // ---- moving

  apply() {
    this.stage.setAttribute("transform", `translate(${this.x} ${this.y}) scale(${this.scale})`);
  }

  /** All of it in view; small graphs are not blown up, and large ones not shrunk until unreadable. */
  fit() {
    const { clientWidth, clientHeight } = this.element;
    if (clientWidth === 0) return;
    this.shown = true;
    const { width, height } = this.placed;
    const whole = Math.min((clientWidth - 2 * MARGIN) / width, (clientHeight - 2 * MARGIN) / height);
    this.scale = Math.min(1, Math.max(whole, 0.45));
    this.x = Math.max(MARGIN, (clientWidth - width * this.scale) / 2);
    this.y = Math.max(MARGIN, (clientHeight - height * this.scale) / 2);
    this.apply();
  }

  /** Moves a node into view. */
  show(key) {
    const box = this.placed.boxes.get(key);
    if (!box || !this.shown) return;
    const { clientWidth, clientHeight } = this.element;
    const [x, y] = [box.x * this.scale + this.x, box.y * this.scale + this.y];
    if (x < 0 || x + box.width * this.scale > clientWidth) this.x += clientWidth / 2 - x;
    if (y < 0 || y + box.height * this.scale > clientHeight) this.y += clientHeight / 2 - y;
    this.apply();
  }

  zoomBy(factor, at = { x: this.element.clientWidth / 2, y: this.element.clientHeight / 2 }) {
    const next = Math.min(3, Math.max(0.08, this.scale * factor));
    this.x = at.x - ((at.x - this.x) * next) / this.scale;
    this.y = at.y - ((at.y - this.y) * next) / this.scale;
    this.scale = next;
    this.apply();
  }

  wheel(event) {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      const box = this.picture.getBoundingClientRect();
      this.zoomBy(event.deltaY > 0 ? 1 / 1.15 : 1.15, { x: event.clientX - box.left, y: event.clientY - box.top });
      return;
    }
    this.x -= event.deltaX;
    this.y -= event.deltaY;
    this.apply();
  }

  pan(event) {
    if (event.button !== 0) return;
    const start = { x: event.clientX - this.x, y: event.clientY - this.y, moved: false };
    drag(event, (move) => {
      const [x, y] = [move.clientX - start.x, move.clientY - start.y];
      if (Math.abs(x - this.x) + Math.abs(y - this.y) > 2) start.moved = true;
      Object.assign(this, { x, y });
      this.apply();
    }, () => start.moved || this.chosen(null));
  }

  // Arrows walk along edges and between them.
  key(event) {
    const key = event.target.dataset?.key;
    if (!key) return;
    const ends = { ArrowRight: ["from", "to"], ArrowLeft: ["to", "from"] }[event.key];
    let next;
    if (ends) next = this.edges.find((edge) => edge[ends[0]] === key)?.[ends[1]];
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") next = this.beside(key, event.key === "ArrowDown" ? 1 : -1);
    else return;
    event.preventDefault();
    if (next === undefined) return;
    this.show(next);
    this.elements.get(next)?.focus({ preventScroll: true });
  }

  beside(key, step) {
    const { boxes } = this.placed;
    const column = [...boxes].filter(([, box]) => box.x === boxes.get(key).x).sort((a, b) => a[1].y - b[1].y).map(([other]) => other);
    return column[column.indexOf(key) + step];
  }
}
