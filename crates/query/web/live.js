// What the collector is doing now, asked once a second while the page is looked at.

import * as api from "./api.js";
import { failure, h, svg, verdictBadge } from "./dom.js";
import { ago, bytes, count, digits, duration, moment, plural } from "./format.js";

const EVERY_MS = 1000;
const LATEST_EVERY = 3; // Polls.
const KEPT = 120;

/** Mounts the view. */
export function liveView(root) {
  const view = new LiveView(root);
  view.poll();
  return { close: () => view.close(), update() {} };
}

class LiveView {
  constructor(root) {
    this.root = root;
    this.aborter = new AbortController();
    this.history = [];
    this.polls = 0;
    this.summary = h("p", {});
    this.tiles = h("div", { class: "tiles" });
    this.latest = h("section", { "aria-label": "Newest traces" });
    this.all = h("div", {});
    this.page = h("div", { class: "live" }, h("header", { class: "results-head" }, h("h1", {}, "Live"), this.summary), this.tiles, this.latest,
      h("details", { class: "all-figures" }, h("summary", {}, "All figures"), this.all));
    this.wake = () => document.hidden || this.poll();
    document.addEventListener("visibilitychange", this.wake);
  }

  close() {
    this.aborter.abort();
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.wake);
  }

  async poll() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    try {
      const figures = await api.live(this.aborter.signal);
      this.history.push({ at: performance.now(), figures });
      if (this.history.length > KEPT) this.history.shift();
      this.draw(figures);
      // Not under somebody's pointer: a link would be gone before it is pressed.
      if (this.polls % LATEST_EVERY === 0 && !this.latest.matches(":hover, :focus-within")) {
        const found = await api.search([["limit", "15"]], this.aborter.signal);
        this.latest.replaceChildren(...newest(found.traces ?? []));
      }
      this.polls += 1;
      if (!this.page.isConnected) this.root.replaceChildren(this.page);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.root.replaceChildren(failure(error, () => this.poll()));
    }
    if (!this.aborter.signal.aborted) this.timer = setTimeout(() => this.poll(), EVERY_MS);
  }

  // Change per second of a counter between each two polls.
  rates(name) {
    return this.history.slice(1).map((now, at) => {
      const before = this.history[at];
      const seconds = Math.max(0.001, (now.at - before.at) / 1000);
      return Math.max(0, (Number(now.figures[name] ?? 0) - Number(before.figures[name] ?? 0)) / seconds);
    });
  }

  series(name) {
    return this.history.map(({ figures }) => Number(figures[name] ?? 0));
  }

  draw(now) {
    const rate = this.rates("acceptedSpans");
    const perSecond = rate.length > 0 ? rate[rate.length - 1] : Number(now.spansPerSecond ?? 0);
    this.summary.textContent = [now.version && `version ${now.version}`, now.uptimeS !== undefined && `up ${duration(Number(now.uptimeS) * 1e9)}`].filter(Boolean).join(" · ");
    this.tiles.replaceChildren(
      tile("Spans per second", count(Math.round(perSecond)), `${count(now.acceptedSpans)} accepted in all`, spark(rate)),
      tile("Open traces", count(now.openTraces), phases(now), spark(this.series("openTraces"))),
      tile("Memory of open traces", bytes(now.openBytes), plural(now.openSpans ?? 0, "span"), meter(now)),
      tile("Sealed traces", count(now.sealed), now.complete === undefined ? "in all" : `${count(now.complete)} of them complete`, spark(this.rates("sealed"))),
      tile("Refused spans", count(now.refusedSpans), "malformed, or over a limit", undefined, now.refusedSpans > 0),
      tile("Late spans", count(now.late), "came after their trace was sealed, which was amended"),
      tile("Timed out", count(now.timedOut), "sealed with something missing", undefined, now.timedOut > 0),
      tile("Evicted", count(now.evicted), "sealed early, to stay within memory", undefined, now.evicted > 0),
      tile("Durable log", bytes(now.logBytes), "accepted, kept until it is stored"),
      storeTile(now.store ?? {}));
    this.all.replaceChildren(figures(now));
  }
}

// The newest sealed traces.
function newest(traces) {
  if (traces.length === 0) return [];
  return [h("div", { class: "results-head" }, h("h1", {}, "Newest traces")),
    h("div", { class: "latest" }, h("table", {}, h("tbody", {}, traces.map((trace) => h("tr", {},
      h("td", {}, verdictBadge(trace.completeness?.verdict, trace.completeness?.missingCount)),
      h("td", { class: "wide" }, h("a", { href: `#/trace/${encodeURIComponent(trace.traceId)}` },
        trace.rootName ? [h("bdi", { class: "service" }, trace.rootService), h("bdi", {}, trace.rootName)] : h("em", {}, "no root span"))),
      h("td", { class: "right" }, duration(Number(trace.durationNs))),
      h("td", { class: "right" }, plural(trace.spans, "span")),
      h("td", { class: "right" }, trace.errors > 0 ? h("span", { class: "bad-text" }, plural(trace.errors, "error")) : ""),
      h("td", { class: "right faint" }, ago(trace.startNs)))))))];
}

function tile(title, value, detail, picture, warn = false) {
  return h("section", { class: `tile${warn ? " warn" : ""}` }, h("h2", {}, title), h("b", { class: "big" }, value), h("p", {}, detail), picture);
}

function phases(now) {
  const known = Object.entries(now.phases ?? {});
  return known.length > 0 ? known.map(([phase, traces]) => `${count(traces)} ${phase}`).join(" · ") : "still being assembled";
}

function meter(now) {
  const limit = Number(now.memoryLimitBytes ?? 0);
  if (!(limit > 0)) return null;
  const share = Math.min(1, Number(now.openBytes ?? 0) / limit);
  return h("div", { class: "meter", role: "meter", "aria-label": "Memory of open traces", "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": Math.round(share * 100) },
    h("i", { class: share > 0.85 ? "bad" : share > 0.6 ? "warn" : "", css: { width: `${share * 100}%` } }), h("span", {}, `${digits(share * 100)} % of ${bytes(limit)}`));
}

function storeTile(store) {
  const since = store.oldestNs ?? store.oldest;
  return tile("Store", bytes(store.diskBytes ?? store.bytesOnDisk ?? store.bytes), `${plural(store.traces ?? 0, "trace")}, ${plural(store.spans ?? 0, "span")}${since ? `, since ${moment(since).slice(0, 16)}` : ""}`);
}

/** A line of the last values, from zero. */
function spark(values) {
  if (values.length < 2) return h("div", { class: "spark" });
  const [width, height] = [240, 40];
  const top = Math.max(1, ...values);
  const points = values.map((value, at) => `${(KEPT - values.length + at) * (width / (KEPT - 1))},${height - 2 - (value / top) * (height - 6)}`);
  const first = points[0].split(",")[0];
  return svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("polygon", { points: `${first},${height} ${points.join(" ")} ${width},${height}` }), svg("polyline", { points: points.join(" ") }));
}

// Whatever else the collector counts is shown by its name.
function figures(values) {
  return h("dl", { class: "facts" }, Object.entries(values).map(([key, value]) => [
    h("dt", {}, key.replaceAll(/([A-Z])/g, " $1").toLowerCase()),
    h("dd", {}, value !== null && typeof value === "object" ? figures(value) : typeof value === "number" ? value.toLocaleString("en") : String(value)),
  ]));
}
