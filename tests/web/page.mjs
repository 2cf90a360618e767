// Walks the web page of a running collector in headless Chromium, asserts on what it says, and takes
// pictures for people to look at.
//
//     npm install
//     node page.mjs http://127.0.0.1:16686 pictures [http://127.0.0.1:4318]
//
// Exit code 1 if anything is not as it should be, console errors included. Traces that lack a parent are
// sealed at the collector's deadline: `quiet = "1s"` and `deadline = "15s"` make this quick and leave time to
// look at an open trace. CHROMIUM names another browser.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { layouts, texts, trees } from "./modules.mjs";
import { makeTraces, post, send, unfinished } from "./traces.mjs";

const SEALED_WITHIN_MS = 120_000;
const [base, pictures, otlp] = arguments_();
const { run, traces } = makeTraces();
const walks = [];
const walk = (name, steps, options = {}) => walks.push({ name, steps, options });
const at = (trace, rest = "") => `#/trace/${trace.id}${rest}`;

function arguments_() {
  const [page, folder, endpoint] = process.argv.slice(2);
  if (!page || !folder) {
    console.error("usage: node page.mjs PAGE_URL PICTURES_FOLDER [OTLP_HTTP_URL]");
    process.exit(2);
  }
  const url = new URL(page);
  return [url.href.replace(/\/$/, ""), folder, (endpoint ?? `http://${url.hostname}:4318`).replace(/\/$/, "")];
}

// ---- what is walked

walk("search", async (page) => {
  await search(page, {});
  const found = await page.locator(".result").count();
  assert.equal(found, Object.keys(traces).length, "every trace of this run is found by its tag");
  await seen(page, ".results", "POST /checkout", "nightly import", "5,000 spans", "incomplete (1 missing)", "root cause");
  assert.equal(await page.locator(".scatter .point").count(), found);
}, { picture: "search" });

walk("search: long names", async (page) => {
  await search(page, { errors: "true" });
  await seen(page, ".results", "<img src=x onerror=");
  await fits(page);
}, { picture: "search-errors" });

walk("search: filters", async (page) => {
  await search(page, { verdict: "incomplete" });
  assert.deepEqual(await titles(page), ["web-frontendGET /orders"]);
  await search(page, { errors: "true", service: "payments" });
  assert.deepEqual(await titles(page), ["web-frontendPOST /checkout"]);
  await search(page, { minDuration: "10s" });
  assert.deepEqual(await titles(page), ["batchnightly import"]);
  await search(page, { severity: "critical" });
  assert.ok((await titles(page)).includes("web-frontendPOST /checkout"));
  await search(page, { service: "no such service" });
  await seen(page, ".results", "No traces found");
});

walk("search: the form is the address", async (page) => {
  await page.goto(`${base}/#/search`);
  await page.getByLabel("Service").fill("orders");
  await page.getByLabel("Tags").fill(`test.run=${run}`);
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await page.waitForFunction(() => location.hash.includes("service=orders"));
  await page.locator(".result").first().waitFor();
  assert.deepEqual(await titles(page), ["web-frontendGET /orders"]);
  await page.goBack();
  await page.waitForFunction(() => !location.hash.includes("service=orders"));
  assert.equal(await page.getByLabel("Service").inputValue(), "");
});

walk("search: a wrong duration is explained", async (page) => {
  await page.goto(`${base}/#/search?minDuration=soon`);
  await seen(page, ".failure", "minDuration");
}, { refused: true });

walk("a healthy trace", async (page) => {
  await open(page, at(traces.healthy));
  await seen(page, ".verdict.good", "Complete:", `${traces.healthy.size} spans`, "1 root");
  assert.equal(await page.locator(".row").count(), traces.healthy.size);
  assert.ok(await page.locator(".segment").count() > 3, "the critical path is drawn");
  await page.locator(".row", { hasText: "SELECT cart_items" }).click();
  await seen(page, ".detail", "SELECT cart_items", "db.system", "postgresql", "more characters", "host.name", "page-tests");
  await page.waitForFunction(() => location.hash.includes("span="));
  await page.keyboard.press("Escape");
  await page.locator(".detail").waitFor({ state: "detached" });
}, { picture: "trace" });

walk("keys alone", async (page) => {
  await open(page, at(traces.healthy));
  await page.locator(".scroller").focus();
  await page.keyboard.press("Home");
  await seen(page, ".detail h2", "POST /checkout");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await page.locator(".row").count(), 1, "the root's subtree is hidden");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  await seen(page, ".detail h2", "call auth");
  await page.keyboard.press("/");
  await page.keyboard.type("db.system=postgresql");
  await seen(page, ".hits", "1 span");
  await page.keyboard.press("Enter");
  await seen(page, ".detail h2", "SELECT cart_items");
});

walk("a failing trace and its root cause", async (page) => {
  await open(page, at(traces.failing));
  const first = page.locator(".root-cause").first();
  await seen(page, ".root-cause >> nth=0", "payments", "call bank");
  assert.ok((await first.locator(".reasons li").count()) > 0, "it says why");
  await seen(page, ".findings-grid", "Faults", "critical");
  await first.getByRole("button").click();
  await seen(page, ".detail", "call bank", "504 Gateway Timeout", "root cause #1", "exception", "deadline exceeded");
  await page.keyboard.press("e");
  await seen(page, ".detail", "error");
}, { picture: "root-cause" });

walk("a missing parent", async (page) => {
  await open(page, at(traces.missing));
  await seen(page, ".verdict.warn", "Incomplete:", "1 span that others name as their parent never arrived", traces.missing.missing.slice(0, 8));
  assert.equal(await page.locator(".row.is-ghost").count(), 1);
  await page.locator(".verdict button").click();
  await seen(page, ".detail", "Missing span", traces.missing.missing, "orders: list orders", "pricing: quote");
}, { picture: "missing-parent" });

walk("an open trace is followed until it is sealed", async (page) => {
  const trace = unfinished(run);
  await post(trace.first, otlp);
  await open(page, at(trace));
  await seen(page, ".verdict.calm", "Open", "1 span so far", "1 parent not here yet");
  await page.locator(".row", { hasText: "work" }).click();
  await post(trace.last, otlp);
  await page.locator(".verdict.good").waitFor({ timeout: SEALED_WITHIN_MS });
  await seen(page, ".verdict", "Complete: 2 spans");
  assert.equal(await page.locator(".row.is-ghost").count(), 0);
  await seen(page, ".detail h2", "work"); // What was chosen stays chosen.
}, { picture: "followed" });

walk("clocks that disagree", async (page) => {
  await open(page, at(traces.skewed));
  await seen(page, ".skew", "Clocks adjusted:", "payments", "ahead");
  const left = () => page.locator(".row", { hasText: "POST /charge" }).locator(".bar").evaluate((bar) => parseFloat(bar.style.left));
  const parent = () => page.locator(".row", { hasText: "call payments" }).locator(".bar").evaluate((bar) => parseFloat(bar.style.left));
  assert.ok(Math.abs((await left()) - (await parent())) < 5, "adjusted, the call begins with its caller");
  await page.getByRole("button", { name: "Raw times" }).click();
  await seen(page, ".skew", "as recorded", "ahead");
  assert.ok((await left()) - (await parent()) > 80, "raw, it begins five seconds later");
  await page.locator(".row", { hasText: "POST /charge" }).click();
  await seen(page, ".detail .times", "recorded", "adjusted");
  await page.getByRole("button", { name: "Adjusted times" }).click();
}, { picture: "skew" });

walk("five thousand spans", async (page) => {
  await open(page, at(traces.large));
  const grid = page.locator(".scroller");
  assert.equal(await grid.getAttribute("aria-rowcount"), String(traces.large.size));
  assert.ok(await page.locator(".row").count() < 150, "only rows on the screen exist");
  await grid.evaluate((element) => { element.scrollTop = element.scrollHeight; });
  await page.locator(`.row[aria-rowindex="${traces.large.size}"]`).waitFor();
  assert.ok(await page.locator(".row").count() < 150);
  await page.getByRole("button", { name: "Collapse all" }).click();
  assert.equal(await grid.getAttribute("aria-rowcount"), "1");
  await page.getByRole("button", { name: "Expand all" }).click();
  const ruler = await page.locator(".ruler").boundingBox();
  await page.mouse.move(ruler.x + ruler.width * 0.25, ruler.y + 10);
  await page.mouse.down();
  await page.mouse.move(ruler.x + ruler.width * 0.5, ruler.y + 10, { steps: 4 });
  await page.mouse.up();
  await page.waitForFunction(() => parseFloat(document.querySelector(".veil").style.width) > 20);
  await page.locator(".row .took:not(.inside)").first().waitFor(); // What begins in the interval is shown.
}, { picture: "large" });

walk("causal graph", async (page) => {
  await open(page, at(traces.failing, "?tab=graph"));
  await page.locator(".node").first().waitFor();
  assert.equal(await page.locator(".node").count(), traces.failing.size + 1, "its spans and the linked trace's");
  assert.equal(await page.locator(".edge.follows-from").count(), 1);
  assert.ok(await page.locator(".edge.link").count() >= 1);
  await seen(page, ".node .vc >> nth=0", "web:1");
  await page.locator(".node", { hasText: "POST /charge" }).click();
  await seen(page, ".relation", "happened before it", "concurrent with it");
  await seen(page, ".detail", "POST /charge", "Vector clock");
  await page.getByRole("button", { name: "Services", exact: true }).click();
  await page.locator(".node", { hasText: "payments" }).first().waitFor();
  assert.ok(await page.locator(".node").count() < traces.failing.size);
}, { picture: "causal-graph" });

walk("causal graph of a large trace", async (page) => {
  await open(page, at(traces.large, "?tab=graph"));
  assert.ok(await page.getByRole("button", { name: "Spans", exact: true }).isDisabled(), "five thousand nodes are not offered");
  assert.ok(await page.locator(".node").count() <= 400);
}, { picture: "causal-graph-large" });

walk("text from traces stays text", async (page) => {
  await open(page, at(traces.hostile));
  await page.locator(".row").first().click();
  await seen(page, ".detail", "<img src=x onerror=");
  await page.getByRole("tab", { name: "Causal graph" }).click();
  await page.locator(".node").first().waitFor();
  await search(page, {});
  await page.goto(`${base}/#/services`);
  await page.locator(".metrics tbody tr").first().waitFor();
  assert.equal(await page.evaluate(() => window.broken), undefined);
  assert.equal(await page.locator("main img").count(), 0);
});

walk("services", async (page) => {
  await page.goto(`${base}/#/services`);
  await seen(page, ".graph", "payments", "web-frontend");
  await seen(page, ".metrics", "POST /charge", "SELECT cart_items");
  await page.locator(".services .node", { hasText: "payments" }).first().click();
  await page.waitForFunction(() => location.hash.includes("service=payments"));
  const rows = await page.locator(".metrics tbody tr").allTextContents();
  assert.ok(rows.length > 0 && rows.every((row) => row.startsWith("payments")), "only its operations are shown");
}, { picture: "services" });

walk("live", async (page) => {
  await page.goto(`${base}/#/live`);
  await seen(page, ".tiles", "Spans per second", "Open traces", "Sealed traces", "Durable log", "Store");
  await page.locator(".latest tr").first().waitFor();
  await page.locator(".spark polyline").first().waitFor({ state: "attached" }); // A flat line counts as hidden.
  await page.locator(".all-figures summary").click();
  await seen(page, ".all-figures", "accepted spans", "disk bytes");
}, { picture: "live" });

walk("downloads", async (page) => {
  await open(page, at(traces.healthy));
  const fetched = async (name) => page.evaluate(async (url) => (await fetch(url)).json(), await page.getByRole("link", { name }).getAttribute("href"));
  const spans = (await fetched("↓ OTLP")).resourceSpans.flatMap((resource) => resource.scopeSpans).flatMap((scope) => scope.spans);
  assert.equal(spans.length, traces.healthy.size);
  assert.equal((await fetched("↓ Jaeger")).data[0].traceID, traces.healthy.id);
});

walk("a trace that is not there", async (page) => {
  await page.goto(`${base}/`);
  await page.locator("#goto-id").fill("abc");
  await page.keyboard.press("Enter");
  await seen(page, "#view", "No such trace", "00000000000000000000000000000abc");
}, { refused: true });

for (const compute of [trees, layouts, texts]) {
  walk(`modules: ${compute.name}`, async (page) => {
    await page.goto(`${base}/`);
    // A function given as a text is evaluated where the page's own address is the base of imports.
    assert.equal(await page.evaluate(`(${compute})()`), null);
  });
}

walk("a small screen", async (page) => {
  await open(page, at(traces.failing));
  await fits(page);
}, { picture: "small", viewport: { width: 400, height: 800 } });

for (const [name, hash] of [["search", `#/search?tags=test.run%3D${run}`], ["trace", at(traces.failing)], ["graph", at(traces.failing, "?tab=graph")], ["services", "#/services"], ["live", "#/live"]]) {
  walk(`dark: ${name}`, async (page) => {
    await page.goto(`${base}/${hash}`);
    await page.locator("#view > *:not(.loading)").first().waitFor();
    const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
    assert.ok(background.every((part) => part < 60), `the ground is dark: ${background}`);
    await page.waitForLoadState("networkidle").catch(() => {}); // The live view never rests.
  }, { picture: `dark-${name}`, scheme: "dark" });
}

// ---- how

async function open(page, hash) {
  await page.goto(`${base}/${hash}`);
  await page.locator(".trace").waitFor();
}

async function search(page, conditions) {
  const answered = page.waitForResponse((response) => response.url().includes("/api/quorate/search"));
  await page.goto(`${base}/#/search?${new URLSearchParams({ tags: `test.run=${run}`, ...conditions })}`);
  await (await answered).finished();
  await page.locator(".results:not([aria-busy]) > *").first().waitFor();
}

async function fits(page) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(overflow <= 0, `the page is ${overflow} pixels wider than the screen`);
}

const titles = (page) => page.locator(".result-name").allTextContents();

async function seen(page, selector, ...texts) {
  const element = page.locator(selector).first();
  await element.waitFor();
  for (const text of texts) {
    try {
      await element.filter({ hasText: text }).waitFor({ timeout: 10_000 });
    } catch {
      assert.fail(`"${text}" is not in ${selector}: ${(await element.textContent()).slice(0, 600)}`);
    }
  }
}

async function sealed() {
  const until = Date.now() + SEALED_WITHIN_MS;
  for (const trace of Object.values(traces)) {
    for (;;) {
      const response = await fetch(`${base}/api/quorate/traces/${trace.id}`);
      const json = response.ok ? await response.json() : {};
      if (json.phase === "sealed" && json.spans.length === trace.size) break;
      if (Date.now() > until) throw new Error(`trace ${trace.id} is not sealed: HTTP ${response.status}, ${json.phase}, ${json.spans?.length} of ${trace.size} spans`);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

async function attempt(browser, { name, steps, options }) {
  const context = await browser.newContext({ viewport: options.viewport ?? { width: 1400, height: 880 }, colorScheme: options.scheme ?? "light" });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error.stack ?? error)));
  page.on("console", (message) => {
    const refused = options.refused && message.text().startsWith("Failed to load resource"); // What the walk is about.
    if (message.type() === "error" && !refused) complaints.push(message.text());
  });
  try {
    await steps(page);
  } catch (error) {
    complaints.unshift(error.message);
  }
  if (options.picture || complaints.length > 0) {
    await page.waitForTimeout(300); // For the picture's sake: hover and fading settle.
    await page.screenshot({ path: join(pictures, `${options.picture ?? name.replaceAll(/\W+/g, "-")}.png`) });
  }
  await context.close();
  console.log(`${complaints.length === 0 ? "ok  " : "FAIL"} ${name}`);
  for (const complaint of complaints) console.log(`     ${complaint.replaceAll("\n", "\n     ")}`);
  return complaints.length === 0;
}

mkdirSync(pictures, { recursive: true });
for (const trace of Object.values(traces)) await send(trace, otlp);
await sealed();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let passed = 0;
for (const one of walks) passed += Number(await attempt(browser, one));
await browser.close();
console.log(`${passed} passed, ${walks.length - passed} failed`);
process.exit(passed === walks.length ? 0 : 1);
