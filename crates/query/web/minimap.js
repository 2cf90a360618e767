// The whole trace in a strip above the waterfall: every span a line in its service's colour. Dragging over
// it zooms; the part in view is clear, the rest is veiled.

import { drag, h, paint } from "./dom.js";

const HEIGHT = 56;
const LINES_MAX = 20000; // More are not told apart in so few pixels: every n-th is drawn.

/** The strip; `zoomed(from, to)` is called with the interval that was dragged over. */
export class Minimap {
  constructor(zoomed) {
    this.zoomed = zoomed;
    this.canvas = h("canvas", { height: HEIGHT, "aria-hidden": "true" });
    this.before = h("div", { class: "veil" });
    this.after = h("div", { class: "veil" });
    this.picked = h("div", { class: "picked", hidden: true });
    this.element = h("div", { class: "minimap", title: "Drag to zoom, double-click for all of it", on: {
      pointerdown: (event) => this.pick(event), dblclick: () => this.zoomed() } },
    this.canvas, this.before, this.after, this.picked);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => this.trace && this.paint();
    this.scheme.addEventListener("change", this.repaint);
  }

  close() {
    this.scheme.removeEventListener("change", this.repaint);
  }

  show(trace, line, window, focus) {
    const [low, high] = trace.bounds[line];
    this.bounds = [low, high > low ? high : low + 1];
    const share = (time) => ((time - this.bounds[0]) / (this.bounds[1] - this.bounds[0])) * 100;
    this.before.style.setProperty("width", `${Math.max(0, share(window[0]))}%`);
    this.after.style.setProperty("width", `${Math.max(0, 100 - share(window[1]))}%`);
    const width = this.element.clientWidth;
    if (this.trace === trace && this.line === line && this.width === width && this.focus === focus) return;
    Object.assign(this, { trace, line, width, focus });
    this.paint();
  }

  paint() {
    const { canvas, trace, line, width } = this;
    const scale = devicePixelRatio || 1;
    canvas.width = Math.max(1, width * scale);
    canvas.height = HEIGHT * scale;
    const style = getComputedStyle(this.element);
    const [light, chroma] = [style.getPropertyValue("--svc-l").trim(), style.getPropertyValue("--svc-c").trim()];
    const bad = style.getPropertyValue("--bad-solid").trim();
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const step = Math.max(1, Math.ceil(trace.nodes.length / LINES_MAX));
    const pitch = (HEIGHT - 8) / Math.max(8, trace.nodes.length);
    const thick = Math.max(1, Math.min(4, pitch - 1));
    const [low, high] = this.bounds;
    for (let at = 0; at < trace.nodes.length; at += step) {
      const node = trace.nodes[at];
      if (node.ghost) continue;
      const x = ((node[line][0] - low) / (high - low)) * width;
      const w = ((node[line][1] - node[line][0]) / (high - low)) * width;
      pen.globalAlpha = this.focus && this.focus !== node.service ? 0.15 : 1;
      pen.fillStyle = node.error ? bad : this.colour(node.service, Number(light), chroma);
      pen.fillRect(x, 4 + at * pitch, Math.max(1, w), thick);
    }
  }

  colour(service, light, chroma) {
    const { hue, tone } = paint(service);
    return `oklch(${light + tone} ${chroma} ${hue})`;
  }

  pick(event) {
    const box = this.element.getBoundingClientRect();
    const start = event.clientX - box.left;
    const here = (move) => Math.min(box.width, Math.max(0, move.clientX - box.left));
    drag(event, (move) => {
      const [a, b] = [start, here(move)].sort((x, y) => x - y);
      this.picked.hidden = false;
      this.picked.style.setProperty("left", `${a}px`);
      this.picked.style.setProperty("width", `${b - a}px`);
    }, (last) => {
      this.picked.hidden = true;
      const [a, b] = [start, here(last)].sort((x, y) => x - y);
      if (b - a < 4) return;
      const time = (x) => this.bounds[0] + (x / box.width) * (this.bounds[1] - this.bounds[0]);
      this.zoomed(time(a), time(b));
    });
  }
}
