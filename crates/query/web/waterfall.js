// The waterfall: one row a span on a common time line. Only the rows on the screen exist as elements, so
// that a trace of a hundred thousand spans scrolls like one of ten. Rows are kept while they stay visible
// and drawn again only when something about all of them changes: zoom, time line, width.

import { coloured, drag, h, perFrame, tone, weight } from "./dom.js";
import { duration, nanos, offset, plural, ticks } from "./format.js";
import { Minimap } from "./minimap.js";
import { ancestors, segmentsOn, visibleRows } from "./model.js";

const ROW = 28;
const SPARE = 12;
const INDENT = 14;
const INDENT_MAX = 16; // Deeper spans are told by their number, or the names would leave the screen.

/** Draws a trace's spans; `state` outlives it, so that a trace that still grows keeps its place. */
export class Waterfall {
  constructor(state, onSelect) {
    this.state = state;
    this.onSelect = onSelect;
    this.rows = [];
    this.drawn = new Map();
    this.redraw = perFrame(() => this.draw());
    this.minimap = new Minimap((from, to) => this.zoom(from, to));
    this.ruler = h("div", { class: "ruler", title: "Drag to zoom, double-click for all of it", on: {
      pointerdown: (event) => this.zoomByDrag(event), dblclick: () => this.zoom() } });
    this.mark = h("div", { class: "zoom-mark", hidden: true });
    this.divider = h("div", { class: "divider", role: "separator", "aria-orientation": "vertical", tabindex: "0",
      "aria-label": "Width of the names", on: { pointerdown: (event) => this.resizeByDrag(event), keydown: (event) => this.resizeByKey(event) } });
    this.space = h("div", { class: "rows", role: "rowgroup" });
    this.scroller = h("div", { class: "scroller", role: "treegrid", tabindex: "0", "aria-label": "Spans", on: {
      scroll: this.redraw, keydown: (event) => this.key(event), wheel: (event) => this.wheel(event) } }, this.space);
    this.head = h("div", { class: "wf-head" }, h("div", { class: "wf-label" }, "Service and operation"), this.ruler);
    this.element = h("div", { class: "waterfall" }, this.minimap.element, this.head, this.scroller, this.divider, this.mark);
    this.watcher = new ResizeObserver(() => this.refresh());
    this.watcher.observe(this.scroller);
    this.split(state.split);
  }

  close() {
    this.watcher.disconnect();
    this.minimap.close();
  }

  /** Shows a trace, or shows it again after its state changed. */
  show(trace) {
    this.trace = trace;
    this.refresh();
  }

  get bounds() {
    const [from, to] = this.trace.bounds[this.state.line];
    return [from, to > from ? to : from + 1];
  }

  /** The interval in view. */
  get window() {
    return this.state.zoom ?? this.bounds;
  }

  refresh() {
    if (!this.trace) return;
    this.rows = visibleRows(this.trace.nodes, this.state.collapsed);
    this.position = new Map(this.rows.map((node, at) => [node, at]));
    this.scroller.setAttribute("aria-rowcount", this.rows.length);
    this.space.style.setProperty("height", `${this.rows.length * ROW}px`);
    for (const row of this.drawn.values()) row.remove();
    this.drawn.clear();
    this.minimap.show(this.trace, this.state.line, this.window, this.state.focus);
    this.drawRuler();
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW) - SPARE);
    const last = Math.min(this.rows.length, Math.ceil((this.scroller.scrollTop + this.scroller.clientHeight) / ROW) + SPARE);
    for (const [node, row] of this.drawn) {
      const at = this.position.get(node);
      if (at >= first && at < last) continue;
      row.remove();
      this.drawn.delete(node);
    }
    for (let at = first; at < last; at += 1) {
      const node = this.rows[at];
      if (this.drawn.has(node)) continue;
      const row = this.row(node, at);
      this.drawn.set(node, row);
      this.space.append(row);
    }
  }

  // ---- one row

  row(node, at) {
    const { state } = this;
    const open = !state.collapsed.has(node);
    const classes = ["row", node.ghost && "is-ghost", node.error && "is-error", at % 2 && "odd", state.selected === node.id && "selected",
      state.found?.has(node) && "found", state.focus && state.focus !== node.service && "dim"];
    return h("div", {
      class: classes.filter(Boolean).join(" "), role: "row", id: `row-${node.index}`, "aria-rowindex": at + 1, "aria-level": node.depth + 1,
      "aria-selected": state.selected === node.id ? "true" : "false", "aria-expanded": node.children.length > 0 ? String(open) : undefined,
      css: { transform: `translateY(${at * ROW}px)`, ...coloured(node.service) },
      on: { click: (event) => this.click(event, node) },
    }, this.label(node, open), this.bar(node));
  }

  label(node, open) {
    const depth = Math.min(node.depth, INDENT_MAX);
    const worst = node.faults.reduce((most, fault) => (weight(fault.severity) > weight(most?.severity) ? fault : most), undefined);
    return h("div", { class: "name", role: "gridcell", title: node.ghost ? node.message : `${node.service}: ${node.name}` },
      h("span", { class: "indent", css: { width: `${depth * INDENT}px` } }),
      node.depth > INDENT_MAX && h("span", { class: "deep" }, node.depth),
      h("span", { class: "caret", "data-caret": true, "aria-hidden": "true" }, node.children.length === 0 ? "" : open ? "▾" : "▸"),
      h("i", { class: "stripe" }),
      node.error && h("span", { class: "mark bad", title: "Its status is error" }, "!"),
      node.causeRank > 0 && h("span", { class: "mark cause", title: `Root cause number ${node.causeRank}` }, `#${node.causeRank}`),
      worst && h("span", { class: `mark fault ${tone(worst.severity)}`, title: worst.message }, "▲"),
      node.ghost ? h("em", {}, node.name) : [h("bdi", { class: "service" }, node.service), h("bdi", { class: "operation" }, node.name)],
      node.cycle && h("span", { class: "badge bad" }, "cycle"),
      !open && node.children.length > 0 && h("span", { class: "hidden-count" }, `+${node.end - node.index - 1}`));
  }

  bar(node) {
    const [from, to] = node[this.state.line];
    const [low, high] = this.window;
    const place = (time) => Math.min(101, Math.max(-1, ((time - low) / (high - low)) * 100));
    const [left, right] = [place(from), place(to)];
    const box = h("div", { class: "track", role: "gridcell" });
    if (to < low || from > high) {
      box.append(h("span", { class: `beyond ${from > high ? "after" : "before"}` }, from > high ? "›" : "‹"));
      return box;
    }
    const parts = [];
    if (this.state.critical && !node.ghost) {
      for (const [start, end] of segmentsOn(node, this.state.line)) {
        if (end < low || start > high) continue;
        parts.push(h("i", { class: "segment", css: { left: `${place(start)}%`, width: `${place(end) - place(start)}%` } }));
      }
    }
    const shift = this.shift(node);
    if (shift !== 0) {
      const [start, end] = [place(from - shift), place(to - shift)];
      parts.push(h("i", { class: "recorded", title: `Recorded ${duration(Math.abs(shift))} ${shift > 0 ? "earlier" : "later"}`, css: { left: `${start}%`, width: `${end - start}%` } }));
    }
    parts.push(h("i", { class: "bar", css: { left: `${left}%`, width: `${right - left}%` } }));
    for (const event of (node.span?.events ?? []).slice(0, 50)) {
      const time = Number(nanos(event.timeNs) - node.absolute[0]) + from;
      if (time >= low && time <= high) parts.push(h("i", { class: `tick${event.name === "exception" ? " bad" : ""}`, title: event.name, css: { left: `${place(time)}%` } }));
    }
    const text = node.ghost ? `named by ${plural(node.named.length, "span")}` : `${duration(to - from)}${shift === 0 ? "" : ` (moved ${offset(shift)})`}`;
    if (right < 82) parts.push(h("span", { class: "took", css: { left: `${Math.max(0, right)}%` } }, text));
    else if (left > 18) parts.push(h("span", { class: "took before", css: { right: `${100 - Math.min(100, left)}%` } }, text));
    else parts.push(h("span", { class: "took inside", css: { left: `${Math.max(0, left)}%` } }, text));
    box.append(...parts);
    return box;
  }

  // How far adjusting moved a span.
  shift(node) {
    return node.ghost || this.state.line !== "adjusted" ? 0 : Number(node.absolute[2] - node.absolute[0]);
  }

  // ---- selection and the tree

  click(event, node) {
    if (event.target.closest("[data-caret]") && node.children.length > 0) this.toggle(node);
    else this.select(node);
  }

  toggle(node) {
    const { collapsed } = this.state;
    if (!collapsed.delete(node)) collapsed.add(node);
    this.refresh();
  }

  collapseAll(which) {
    this.state.collapsed = new Set(which ? this.trace.nodes.filter((node) => node.children.length > 0) : []);
    this.scroller.scrollTop = 0;
    this.refresh();
  }

  /** Opens what hides a node, scrolls to it and selects it. */
  reveal(node) {
    for (const above of ancestors(node)) this.state.collapsed.delete(above);
    this.state.selected = node.id;
    this.refresh();
    this.scrollTo(node, true);
    this.select(node);
  }

  scrollTo(node, centre) {
    const top = this.position.get(node) * ROW;
    const { scrollTop, clientHeight } = this.scroller;
    if (top >= scrollTop && top + ROW <= scrollTop + clientHeight) return;
    if (centre) this.scroller.scrollTop = top - clientHeight / 3;
    else this.scroller.scrollTop = top < scrollTop ? top : top + ROW - clientHeight;
  }

  select(node) {
    const before = this.state.selected;
    this.state.selected = node?.id ?? null;
    for (const [other, row] of this.drawn) {
      if (other.id !== before && other !== node) continue;
      row.classList.toggle("selected", other === node);
      row.setAttribute("aria-selected", String(other === node));
    }
    if (node) this.scroller.setAttribute("aria-activedescendant", `row-${node.index}`);
    this.onSelect(node);
  }

  key(event) {
    if (event.target !== this.scroller) return;
    const node = this.trace.byId.get(this.state.selected);
    const at = node ? (this.position.get(node) ?? -1) : -1;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW) - 1);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this.rows.length - 1, PageDown: at + page, PageUp: at - page }[event.key];
    if (to !== undefined) {
      const next = this.rows[Math.min(this.rows.length - 1, Math.max(0, to))];
      if (!next) return;
      this.scrollTo(next, false);
      this.draw();
      this.select(next);
    } else if (event.key === "ArrowRight" && node?.children.length > 0 && this.state.collapsed.has(node)) this.toggle(node);
    else if (event.key === "ArrowLeft" && node?.children.length > 0 && !this.state.collapsed.has(node)) this.toggle(node);
    else if (event.key === "ArrowLeft" && node?.parent) this.reveal(node.parent);
    else if (event.key === "Escape") this.select(null);
    else return;
    event.preventDefault();
  }

  // ---- zoom

  zoom(from, to) {
    const [low, high] = this.bounds;
    const narrowest = Math.max(1, (high - low) * 1e-7);
    if (from === undefined || to - from < narrowest || (from <= low && to >= high)) this.state.zoom = null;
    else this.state.zoom = [Math.max(low, from), Math.min(high, to)];
    this.refresh();
    if (this.state.zoom) this.showZoomed();
  }

  // Scrolls to what begins in the interval, unless some of it is on the screen already.
  showZoomed() {
    const [from, to] = this.state.zoom;
    const begins = (node) => node[this.state.line][0] >= from && node[this.state.line][0] <= to;
    const first = Math.floor(this.scroller.scrollTop / ROW);
    const last = first + Math.floor(this.scroller.clientHeight / ROW);
    if (this.rows.slice(first, last).some(begins)) return;
    const node = this.rows.find(begins);
    if (node) this.scrollTo(node, true);
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = this.ruler.getBoundingClientRect();
    const at = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const [low, high] = this.window;
    const factor = event.deltaY > 0 ? 1.25 : 0.8;
    const middle = low + (high - low) * at;
    this.zoom(middle - (middle - low) * factor, middle + (high - middle) * factor);
  }

  zoomByDrag(event) {
    const box = this.ruler.getBoundingClientRect();
    const outer = this.element.getBoundingClientRect();
    const start = event.clientX;
    const clamp = (x) => Math.min(box.right, Math.max(box.left, x));
    drag(event, (move) => {
      const [a, b] = [start, clamp(move.clientX)].sort((x, y) => x - y);
      this.mark.hidden = false;
      this.mark.style.setProperty("left", `${a - outer.left}px`);
      this.mark.style.setProperty("width", `${b - a}px`);
    }, (last) => {
      this.mark.hidden = true;
      const [a, b] = [start, clamp(last.clientX)].sort((x, y) => x - y);
      if (b - a < 4) return;
      const [low, high] = this.window;
      const time = (x) => low + ((x - box.left) / box.width) * (high - low);
      this.zoom(time(a), time(b));
    });
  }

  drawRuler() {
    const [low, high] = this.window;
    const wanted = Math.max(2, Math.floor(this.ruler.clientWidth / 110));
    const share = (time) => ((time - low) / (high - low)) * 100;
    const places = ticks(low, high, wanted);
    this.space.style.setProperty("--grid-from", `${(share(places[0]) / 100) * this.ruler.clientWidth}px`);
    this.space.style.setProperty("--grid", places.length > 1 ? `${((share(places[1]) - share(places[0])) / 100) * this.ruler.clientWidth}px` : "100%");
    this.ruler.replaceChildren(...places.map((time) => {
      const at = share(time);
      return h("span", { class: at > 94 ? "tick-end" : "", css: at > 94 ? { right: `${100 - at}%` } : { left: `${at}%` } }, duration(time));
    }));
  }

  // ---- the width of the names

  split(share) {
    this.state.split = Math.min(0.7, Math.max(0.15, share));
    this.element.style.setProperty("--split", `${this.state.split * 100}%`);
  }

  resizeByDrag(event) {
    const box = this.element.getBoundingClientRect();
    drag(event, (move) => this.split((move.clientX - box.left) / box.width), () => this.refresh());
  }

  resizeByKey(event) {
    const by = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
    if (by === undefined) return;
    this.split(this.state.split + by);
    this.refresh();
    event.preventDefault();
  }
}
