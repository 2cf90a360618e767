// Elements, without a framework. Everything that comes from a trace enters the page through here, as
// text nodes and attribute values; nothing is ever parsed as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") element.setAttribute("class", value);
    else if (key === "on") for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    else if (key === "css") for (const [name, css] of Object.entries(value)) element.style.setProperty(name, css);
    else if (key === "data") Object.assign(element.dataset, value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** An HTML element. `props`: attributes, and `class`, `on` (listeners), `css` (properties), `data`. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** A sentence of the analysis, in which names stand between backticks. */
export function sentence(text) {
  return h("bdi", {}, String(text ?? "").split("`").map((part, at) => (at % 2 ? h("code", {}, part) : part)));
}

/** An SVG element. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** A button with a label. */
export function button(label, onclick, props = {}) {
  return h("button", { type: "button", ...props, on: { click: onclick } }, label);
}

let toastTimer = 0;

/** A short notice at the bottom of the page. */
export function toast(text) {
  const element = document.getElementById("toast");
  element.textContent = text;
  element.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => element.classList.remove("shown"), 2500);
}

/** Copies text; where the clipboard is closed to the page (no TLS), says so. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("The browser does not allow copying here");
  }
}

/** A small button that copies `text`. */
export function copyButton(text, what) {
  const sheets = svg("svg", { viewBox: "0 0 16 16", width: 12, height: 12, "aria-hidden": "true" },
    svg("path", { d: "M5 5h8.5v8.5H5z M2.5 11V2.5H11", fill: "none", stroke: "currentColor", "stroke-width": 1.4, "stroke-linejoin": "round" }));
  return button(sheets, () => copy(text), { class: "ghost icon", title: `Copy ${what}`, "aria-label": `Copy ${what}` });
}

/** Calls `work` once per frame at most, however often it is asked. */
export function perFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

/** Follows a drag that began with `event`, until the pointer is let go. */
export function drag(event, moved, done = () => {}) {
  const target = event.currentTarget;
  target.setPointerCapture(event.pointerId);
  const end = (last) => {
    target.removeEventListener("pointermove", moved);
    target.removeEventListener("pointerup", end);
    target.removeEventListener("pointercancel", end);
    done(last);
  };
  target.addEventListener("pointermove", moved);
  target.addEventListener("pointerup", end);
  target.addEventListener("pointercancel", end);
}

// Services keep their colour for as long as the page is open: ten hues that are told apart, each time round
// in another tone. The hues around red are left out, because red says error.
const paints = new Map();
const HUES = 10;
const TONES = [0, -0.13, 0.09];
const RED_ENDS = 52;
const STEP = 30; // Degrees between two hues.
const JUMP = 3; // Steps between services that follow each other, without a common factor with the hues.

/** The colour of a service: a hue in degrees of OKLCH and what is added to the scheme's lightness. */
export function paint(service) {
  let found = paints.get(service);
  if (found === undefined) {
    const at = paints.size;
    const hue = RED_ENDS + ((7 + at * JUMP) % HUES) * STEP;
    found = { hue, tone: TONES[Math.floor(at / HUES) % TONES.length] };
    paints.set(service, found);
  }
  return found;
}

/** The same as properties for the style sheet. */
export function coloured(service) {
  const { hue, tone } = paint(service);
  return { "--hue": hue, "--tone": tone };
}

/** A service's name beside its colour. */
export function serviceChip(service, detail, props = {}) {
  return h("span", { ...props, class: `chip ${props.class ?? ""}`, css: coloured(service), title: props.title ?? service },
    h("i", { class: "dot" }), h("bdi", {}, service || "(no service)"), detail);
}

const VERDICTS = {
  complete: ["good", "✓"], incomplete: ["warn", "◐"], evicted: ["odd", "◒"], open: ["calm", "…"],
};

/** The mark of a verdict, and the tone it is told in. */
export function verdictMark(verdict) {
  return VERDICTS[verdict] ?? ["calm", "?"];
}

/** The verdict on a trace, as a badge. */
export function verdictBadge(verdict, missing = 0) {
  const [tone, mark] = verdictMark(verdict);
  const detail = verdict === "incomplete" && missing > 0 ? ` (${missing} missing)` : "";
  return h("span", { class: `badge ${tone}` }, h("i", { "aria-hidden": "true" }, mark), ` ${verdict}${detail}`);
}

const SEVERITIES = { critical: ["bad", "▲"], warning: ["warn", "▲"], info: ["calm", "●"], error: ["bad", "▲"] };

/** The tone of a severity: a class of the style sheet. */
export function tone(severity) {
  return (SEVERITIES[String(severity).toLowerCase()] ?? SEVERITIES.info)[0];
}

/** How bad a severity is, for sorting: more is worse. */
export function weight(severity) {
  return { info: 1, warning: 2, error: 3, critical: 3 }[String(severity).toLowerCase()] ?? 0;
}

/** A severity as a badge. */
export function severityBadge(severity) {
  const name = String(severity).toLowerCase();
  const [kind, mark] = SEVERITIES[name] ?? SEVERITIES.info;
  return h("span", { class: `badge ${kind}` }, h("i", { "aria-hidden": "true" }, mark), ` ${name}`);
}

/** What stands where there is nothing else to show. */
export function empty(title, ...more) {
  return h("div", { class: "empty" }, h("h2", {}, title), ...more.map((line) => h("p", {}, line)));
}

/** What went wrong while the page asked for something. */
export function failure(error, retry) {
  return h("div", { class: "empty failure", role: "alert" }, h("h2", {}, error.title ?? "That did not work"),
    h("p", {}, error.message), retry && button("Try again", retry));
}
