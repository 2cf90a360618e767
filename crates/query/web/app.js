// The page's frame: which view is shown is in the address (`#/view/argument?parameters`), so that every
// view can be linked to and the browser's back button works.

import * as api from "./api.js";
import { empty, paint, toast } from "./dom.js";
import { liveView } from "./live.js";
import { searchView } from "./search.js";
import { servicesView } from "./services.js";
import { traceView } from "./trace.js";

const VIEWS = { search: searchView, trace: traceView, services: servicesView, live: liveView };
const TITLES = { search: "Search", trace: "Trace", services: "Services", live: "Live" };

/** The address's parts: view, argument and parameters. */
function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view = "", argument = ""] = path.split("/");
  let decoded = argument;
  try {
    decoded = decodeURIComponent(argument);
  } catch {
    // A broken escape is looked up as it stands, and not found.
  }
  return { view: view || "search", argument: decoded, params: new URLSearchParams(query) };
}

let shown = { key: "", close() {}, update() {} };

function show() {
  const { view, argument, params } = place();
  const key = `${view}/${argument}`;
  if (key === shown.key) {
    shown.update(params);
    return;
  }
  shown.close();
  const root = document.getElementById("view");
  root.replaceChildren();
  root.className = `view-${view in VIEWS ? view : "none"}`;
  document.title = `${TITLES[view] ?? "?"} · Quorate`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!Object.hasOwn(VIEWS, view)) {
    root.append(empty("There is no such view", "The bar above leads to those that there are."));
    shown = { key, close() {}, update() {} };
    return;
  }
  shown = { key, ...VIEWS[view](root, params, argument) };
}

function openById(event) {
  event.preventDefault();
  const input = document.getElementById("goto-id");
  const id = input.value.trim().toLowerCase();
  if (!/^[0-9a-f]{1,32}$/.test(id)) {
    toast("A trace id is up to 32 hexadecimal digits");
    return;
  }
  input.value = "";
  location.hash = `#/trace/${id.padStart(32, "0")}`;
}

function shortcuts(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  if (event.key !== "/") return;
  const field = document.querySelector("[data-find]") ?? document.getElementById("goto-id");
  field.focus();
  event.preventDefault();
}

document.getElementById("goto").addEventListener("submit", openById);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // The address is the router's.
  document.getElementById("view").focus();
});
addEventListener("keydown", shortcuts);
addEventListener("hashchange", show);

// Services get their colours in alphabetical order before anything is drawn, so that they are the same
// after a reload.
try {
  for (const service of (await api.services()).sort()) paint(service);
} catch {
  // The view says what is wrong when it asks for its own data.
}
show();
