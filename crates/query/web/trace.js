// One trace. The page is drawn once and brought up to date while the trace is open; what a person set
// (collapsed subtrees, zoom, the span selected) stays. Tab and span are in the address.

import * as api from "./api.js";
import { CausalGraph } from "./causal.js";
import { detail } from "./detail.js";
import { button, empty, failure, h } from "./dom.js";
import { findings, headline, legend, skewNote, verdict } from "./findings.js";
import { plural } from "./format.js";
import { ADJUSTED, RAW, buildTrace, matches } from "./model.js";
import { Waterfall } from "./waterfall.js";

const FOLLOW_MS = 2000;
const TABS = [["waterfall", "Waterfall"], ["graph", "Causal graph"]];

/** Mounts the view of the trace `id`. */
export function traceView(root, params, id) {
  const view = new TraceView(root, id, params);
  view.load();
  return { close: () => view.close(), update: (changed) => view.go(changed) };
}

class TraceView {
  constructor(root, id, params) {
    Object.assign(this, { root, id });
    this.aborter = new AbortController();
    this.tab = params.get("tab") === "graph" ? "graph" : "waterfall";
    this.state = {
      line: ADJUSTED, zoom: null, collapsed: new Set(), selected: params.get("span"), found: null, focus: null,
      critical: true, split: innerWidth < 800 ? 0.45 : 0.36, text: "",
    };
    this.keys = (event) => this.key(event);
    addEventListener("keydown", this.keys);
  }

  close() {
    this.aborter.abort();
    clearTimeout(this.timer);
    removeEventListener("keydown", this.keys);
    this.waterfall?.close();
    this.graph?.close();
  }

  async load() {
    if (!this.trace) this.root.replaceChildren(h("p", { class: "loading" }, "Loading the trace…"));
    try {
      const json = await api.trace(this.id, this.aborter.signal);
      const news = JSON.stringify([json.phase, json.summary?.revision, json.spans?.length]);
      if (news !== this.news) this.take(json);
      this.news = news;
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!this.trace) this.root.replaceChildren(error.status === 404 ? this.absent() : failure(error, () => this.load()));
    }
    if (this.trace && this.trace.phase !== "sealed") this.timer = setTimeout(() => this.load(), FOLLOW_MS);
  }

  absent() {
    return empty("No such trace", h("code", {}, this.id),
      "It may have expired, or none of its spans has arrived.", button("Look again", () => this.load()));
  }

  // A trace that grew is built anew; the collapsed nodes are carried over by their ids.
  take(json) {
    const collapsed = new Set([...this.state.collapsed].map((node) => node.id));
    this.trace = buildTrace(json);
    this.state.collapsed = new Set(this.trace.nodes.filter((node) => collapsed.has(node.id)));
    this.state.found = null;
    document.title = `${this.trace.summary.rootName || "Trace"} · Quorate`;
    this.draw();
    const node = this.trace.byId.get(this.state.selected);
    if (node && this.tab === "waterfall") this.reveal(node);
    if (this.finder?.value) this.find();
  }

  draw() {
    const { trace } = this;
    this.waterfall?.close();
    this.graph?.close();
    this.graph = undefined;
    const scroll = this.waterfall?.scroller.scrollTop ?? 0;
    this.waterfall = new Waterfall(this.state, (node) => this.selected(node));
    this.side = h("div", { class: "side", hidden: true });
    this.body = h("div", { class: "trace-body", role: "tabpanel" });
    this.tools = h("div", { class: "tools" });
    const reveal = (node) => this.reveal(node);
    this.root.replaceChildren(h("div", { class: "trace" },
      headline(trace), verdict(trace, reveal), findings(trace, reveal) || null,
      h("div", { class: "tabs", role: "tablist", "aria-label": "Ways to look at it" }, TABS.map(([name, label]) =>
        h("button", { type: "button", role: "tab", id: `tab-${name}`, on: { click: () => this.show(name) } }, label))),
      this.tools, h("div", { class: "trace-split" }, this.body, this.side)));
    this.show(this.tab);
    this.waterfall.scroller.scrollTop = scroll;
  }

  show(tab) {
    this.tab = tab;
    this.body.setAttribute("aria-labelledby", `tab-${tab}`);
    for (const [name] of TABS) document.getElementById(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
    if (tab === "graph") {
      this.graph ??= new CausalGraph(this.trace, this.state, (node) => this.selected(node));
      this.body.replaceChildren(this.graph.element);
      this.tools.replaceChildren(this.graph.tools);
      this.graph.show();
    } else {
      this.body.replaceChildren(this.waterfall.element);
      this.drawTools();
      this.waterfall.show(this.trace);
    }
    this.address();
  }

  // ---- the waterfall's tools

  drawTools() {
    const { state, trace, waterfall } = this;
    const again = () => {
      this.drawTools();
      waterfall.refresh();
    };
    const line = (name, label) => h("button", { type: "button", "aria-pressed": String(state.line === name), on: { click: () => {
      state.line = name;
      state.zoom = null;
      again();
    } } }, label);
    const skewed = trace.skew.length > 0;
    this.finder ??= h("input", { type: "search", placeholder: "Find in this trace", "aria-label": "Find spans", "data-find": true, title: "Names, ids, attributes as key=value. Press / to get here, Enter for the next",
      on: { input: () => this.find(), keydown: (event) => this.findKey(event) } });
    this.hits ??= h("span", { class: "hits", "aria-live": "polite" });
    this.tools.replaceChildren(
      h("div", { class: "tool-row" },
        this.finder, this.hits,
        h("div", { class: "segmented", role: "group", "aria-label": "Times", title: skewed ? "" : "No clock was found to be off" },
          ...[line(ADJUSTED, "Adjusted times"), line(RAW, "Raw times")].map((one) => (skewed ? one : disable(one)))),
        h("label", { class: "check" }, h("input", { type: "checkbox", checked: state.critical, on: { change: (event) => {
          state.critical = event.target.checked;
          waterfall.refresh();
        } } }), "Critical path"),
        button("Expand all", () => waterfall.collapseAll(false)), button("Collapse all", () => waterfall.collapseAll(true)),
        button("Next error", () => this.nextError(), { disabled: !trace.nodes.some((node) => node.error), title: "e" }),
        button("Whole trace", () => waterfall.zoom(), { title: "0" }),
        h("small", { class: "keys" }, "↑ ↓ ← →  ·  / find  ·  e error  ·  0 whole trace")),
      skewNote(trace, state.line) ?? "",
      legend(trace, state.focus, (service) => {
        state.focus = service;
        again();
      }));
  }

  find() {
    const text = this.finder.value.trim().toLowerCase();
    const found = text === "" ? [] : this.trace.nodes.filter((node) => matches(node, text));
    this.state.found = new Set(found);
    this.foundList = found;
    this.hits.textContent = text === "" ? "" : plural(found.length, "span");
    this.waterfall.refresh();
  }

  findKey(event) {
    if (event.key === "Escape") {
      this.finder.value = "";
      this.find();
      this.waterfall.scroller.focus();
    }
    if (event.key === "Enter") this.next(this.foundList ?? [], event.shiftKey);
  }

  nextError() {
    this.next(this.trace.nodes.filter((node) => node.error), false);
  }

  // The one after (or before) the selected span, around the end.
  next(list, back) {
    if (list.length === 0) return;
    const at = this.trace.byId.get(this.state.selected)?.index ?? -1;
    const node = back ? (list.findLast((one) => one.index < at) ?? list[list.length - 1]) : (list.find((one) => one.index > at) ?? list[0]);
    this.reveal(node);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea") || !this.trace) return;
    if (event.key === "e") this.nextError();
    else if (event.key === "0") this.waterfall.zoom();
    else if (event.key === "Escape" && this.state.selected) this.deselect();
    else return;
    event.preventDefault();
  }

  // ---- the span that is selected

  reveal(node) {
    if (this.tab !== "waterfall") this.show("waterfall");
    this.waterfall.reveal(node);
    this.body.scrollIntoView({ block: "nearest" });
  }

  deselect() {
    if (this.tab === "graph") this.graph.select(null);
    else this.waterfall.select(null);
  }

  selected(node) {
    this.state.selected = node?.id ?? null;
    this.side.hidden = !node;
    this.side.replaceChildren(node ? detail(this.trace, node, { close: () => this.deselect(), reveal: (other) => this.reveal(other) }) : "");
    this.address();
  }

  address() {
    const params = new URLSearchParams();
    if (this.tab !== "waterfall") params.set("tab", this.tab);
    if (this.state.selected) params.set("span", this.state.selected);
    const query = params.toString();
    history.replaceState(null, "", `#/trace/${encodeURIComponent(this.id)}${query ? `?${query}` : ""}`);
  }

  /** The address changed within this trace. */
  go(params) {
    if (!this.trace) return;
    const node = this.trace.byId.get(params.get("span"));
    const tab = params.get("tab") === "graph" ? "graph" : "waterfall";
    if (node && node.id !== this.state.selected) this.state.selected = node.id;
    this.show(tab);
    if (node && tab === "waterfall") this.reveal(node);
  }
}

function disable(control) {
  control.disabled = true;
  return control;
}
