// SPDX-License-Identifier: Apache-2.0
// pages.test.mjs — the pages in Debian's Chromium against servers of our own. COEUS_BIN: the program; SHOTS: a folder for pictures.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { apiGet, coeusPrefixed, coeusRules, coeusThanos, coeusUp, until } from "./server.mjs";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
if (!existsSync(CHROMIUM)) {
        console.log(`SKIP ui-browser: no ${CHROMIUM} (Debian's package chromium)`);
        process.exit(0);
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SHOTS = process.env.SHOTS;
if (SHOTS) mkdirSync(SHOTS, { recursive: true });

/** Path, heading, and what must stand on the page once it has loaded; whose page, where it is not that of `coeus up`. */
const PAGES = [
        ["/query?g0.expr=up", "Query", (p) => p.getByRole("table", { name: "Query result" })],
        ["/alerts", "Alerts", (p) => p.getByText("No alerting rules")],
        ["/rules", "Rules", (p) => p.getByText("No rules")],
        ["/targets", "Targets", (p) => p.getByRole("table", { name: "Targets of node" })],
        ["/service-discovery", "Service discovery", (p) => p.getByRole("table", { name: "Discovered for coeus" })],
        ["/status", "Runtime & build information", (p) => p.getByRole("rowheader", { name: "Storage retention" })],
        [
                "/tsdb-status",
                "TSDB status",
                (p) => p.getByRole("table", { name: "Top 10 series count by metric names" }).getByRole("row").nth(10),
        ],
        ["/flags", "Command-line flags", (p) => p.getByRole("cell", { name: "--web.listen-address" })],
        ["/config", "Configuration", (p) => p.getByText("scrape_configs")],
        ["/alertmanager-discovery", "Alertmanager discovery", (p) => p.getByText("No active Alertmanagers were discovered.")],
        ["/host", "Host", (p) => boardDrawn(p)],
        ["/blocks", "Blocks", (p) => p.getByText("No blocks")],
        [
                "/blocks",
                "Blocks",
                (p) => p.getByRole("toolbar", { name: 'Blocks of {coeus="up"}, raw' }),
                "a server with blocks",
                () => thanos.local,
        ],
        [
                "/blocks",
                "Blocks",
                (p) => p.getByRole("toolbar", { name: 'Blocks of {coeus="up"}, raw' }),
                "a store gateway",
                () => thanos.store,
        ],
        ["/stores", "Stores", (p) => p.getByRole("table", { name: "Store gateways" }), "a querier", () => thanos.query],
        ["/query?g0.expr=count(up)", "Query", (p) => p.getByRole("switch", { name: "Deduplication" }), "a querier", () => thanos.query],
        [
                "/status",
                "Runtime & build information",
                (p) => p.getByRole("rowheader", { name: "Start time" }),
                "a querier",
                () => thanos.query,
        ],
        ["/flags", "Command-line flags", (p) => p.getByRole("cell", { name: "--query.replica-label" }), "a querier", () => thanos.query],
];

let browser;
let shared;
let up;
let prefixed;
let thanos;
let ruled;

before(async () => {
        // Each is kept as soon as it runs, so that after() ends it even where another one failed.
        const started = await Promise.allSettled([
                chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] }).then((b) => {
                        browser = b;
                }),
                coeusUp().then((s) => {
                        up = s;
                }),
                coeusPrefixed().then((s) => {
                        prefixed = s;
                }),
                coeusThanos().then((s) => {
                        thanos = s;
                }),
                coeusRules().then((s) => {
                        ruled = s;
                }),
        ]);
        for (const s of started) if (s.status === "rejected") throw s.reason;
        shared = await browser.newContext(contextOptions);
        await until("both jobs to have been scraped", async () => (await apiGet(up.url, "query?query=up==1")).result.length === 2);
        await until(
                "a rate of the CPU",
                async () =>
                        (await apiGet(up.url, `query?query=${encodeURIComponent("rate(node_cpu_seconds_total[4s])")}`)).result.length > 0,
        );
        await until("an alert that fires", async () =>
                (await apiGet(ruled.url, "alerts")).alerts.some((a) => a.labels.alertname === "Storm" && a.state === "firing"),
        );
        await until("a rule that failed", async () =>
                (await apiGet(ruled.url, "rules")).groups.some((g) => g.rules.some((r) => r.lastError)),
        );
        await until("the target that does not answer", async () =>
                (await apiGet(`${prefixed.url}/prom`, "targets")).activeTargets.some((t) => t.health === "down"),
        );
});
after(async () => {
        await Promise.all([browser?.close(), up?.stop(), prefixed?.stop(), thanos?.stop(), ruled?.stop()]);
});

const contextOptions = { viewport: { width: 1300, height: 900 }, locale: "en-US", timezoneId: "Asia/Kolkata", reducedMotion: "reduce" };

/** Runs with a new page of the context; what it writes to the console and what fails to load is collected and must be nothing at the end. */
async function inContext(context, run) {
        context.setDefaultTimeout(10_000);
        const page = await context.newPage();
        try {
                const said = [];
                page.on("console", (m) => ["error", "warning"].includes(m.type()) && said.push(`${m.type()}: ${m.text()} (${page.url()})`));
                page.on("pageerror", (e) => said.push(`exception: ${e.message} (${page.url()})`));
                await run(page, said);
                assert.deepEqual(said, []);
        } finally {
                await page.close();
        }
}

/** In the context that all tests share (its cache makes them quick), or in a fresh one with the options. What was stored goes away. */
async function withPage(opts, run) {
        if (Object.keys(opts).length === 0) {
                return inContext(shared, async (page, said) => {
                        try {
                                await run(page, said);
                        } finally {
                                await page.evaluate(() => localStorage.clear()).catch(() => {});
                        }
                });
        }
        const context = await browser.newContext({ ...contextOptions, ...opts });
        try {
                await inContext(context, run);
        } finally {
                await context.close();
        }
}

async function boardDrawn(page) {
        await page.waitForFunction(() => {
                const panels = [...document.querySelectorAll("[data-panel]")];
                return panels.length > 10 && panels.every((p) => p.dataset.panelReady === "true");
        });
        return page.locator("[data-panel]").first();
}

// What axe finds and still finds a second later: while colours change, text of the new ones may stand on a ground of the old ones.
async function axeFindings(page) {
        await page.evaluate(axe); // not as a script element: the page's content policy refuses that, as it should
        for (let tries = 5; ; tries--) {
                const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
                const found = violations
                        .filter((v) => ["serious", "critical"].includes(v.impact))
                        .map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).slice(0, 3)}`);
                if (!found.length || tries === 1) return found;
                await page.waitForTimeout(250);
        }
}

const editor = (page, n = 1) => page.getByRole("textbox", { name: `Expression of query ${n}` });
async function typeQuery(page, text) {
        await editor(page).click();
        await page.keyboard.type(text);
        await page.keyboard.press("Escape"); // the completion list, where one is open
        await editor(page).click();
        await page.keyboard.press("End");
}
const chart = (page) => page.locator('.chart[role="img"]').first();

describe("every page", () => {
        for (const [path, heading, content, whose, server = () => up] of PAGES)
                test(`${path}${whose ? ` of ${whose}` : ""}: content, console, accessibility in light and dark, a narrow window`, () =>
                        withPage({}, async (page) => {
                                await page.emulateMedia({ colorScheme: "light" });
                                await page.goto(server().url + path);
                                await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor({ state: "attached" });
                                await (await content(page)).waitFor();
                                assert.match(await page.title(), / · coeus$/);
                                for (const scheme of ["light", "dark"]) {
                                        await page.emulateMedia({ colorScheme: scheme });
                                        await page.locator(`html[data-mantine-color-scheme="${scheme}"]`).waitFor();
                                        // The colours arrive with the next frames.
                                        await page.evaluate(
                                                () => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r))),
                                        );
                                        assert.deepEqual(await axeFindings(page), [], scheme);
                                        if (SHOTS)
                                                await page.screenshot({
                                                        path: join(
                                                                SHOTS,
                                                                `${path.slice(1).replace(/\?.*/, "")}${whose ? `-${whose.replaceAll(" ", "-")}` : ""}-${scheme}.png`,
                                                        ),
                                                        fullPage: true,
                                                });
                                }
                                await page.setViewportSize({ width: 420, height: 800 });
                                const tooWide = () =>
                                        page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
                                await until("the page to fit 420 pixels", async () => (await tooWide()) <= 0, 5);
                                assert.ok(
                                        await page
                                                .getByRole("button", { name: "Settings" })
                                                .evaluate((b) => b.getBoundingClientRect().right <= innerWidth),
                                        "the settings are in sight",
                                );
                        }));
});

describe("query page", () => {
        test("a query that is typed and run with Enter shows a table, then a graph, and stands in the URL", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/query`);
                        await page.getByText(/^No data queried yet/).waitFor();
                        await typeQuery(page, "up");
                        await page.keyboard.press("Enter");
                        const table = page.getByRole("table", { name: "Query result" });
                        await table.waitFor();
                        const rows = (await table.getByRole("row").allInnerTexts()).map((t) => t.replace(/\s+/g, " ").trim()).sort();
                        const host = up.url.slice("http://".length);
                        assert.deepEqual(rows, [`up{instance="${host}", job="coeus"} 1`, `up{instance="${host}", job="node"} 1`]);
                        await page.getByText(/^Load time: .*Result series: 2$/).waitFor();

                        await page.getByRole("tab", { name: "Graph" }).click();
                        await chart(page).waitFor();
                        assert.equal(await chart(page).getAttribute("data-chart-series"), "2");
                        assert.ok(Number(await chart(page).getAttribute("data-chart-points")) >= 2);
                        assert.match(await chart(page).getAttribute("aria-label"), /^Graph of up: 2 series from /);
                        await page.getByText(/Resolution: 14s · Result series: 2$/).waitFor();
                        const params = new URL(page.url()).searchParams;
                        assert.deepEqual(
                                [params.get("g0.expr"), params.get("g0.tab"), params.get("g0.range_input"), params.get("g0.display_mode")],
                                ["up", "graph", "1h", "lines"],
                        );
                        // A picture of one colour would be an empty chart.
                        const colours = await page
                                .locator(".chart canvas")
                                .evaluate(
                                        (c) =>
                                                new Set(
                                                        new Uint32Array(
                                                                c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer,
                                                        ),
                                                ).size,
                                );
                        assert.ok(colours > 10, `${colours} colours on the canvas`);

                        await page.goBack();
                        await table.waitFor();
                }));

        test("names of metrics and functions are offered while typing, and Tab or Enter takes one", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/query`);
                        await editor(page).click();
                        await page.keyboard.type("rate(node_cpu_sec", { delay: 20 });
                        const option = page.getByRole("option", { name: /node_cpu_seconds_total/ });
                        await option.waitFor();
                        await page.waitForTimeout(120); // CodeMirror ignores keys in the list's first moment
                        await page.keyboard.press("Enter");
                        await page.keyboard.type("{mo", { delay: 20 });
                        await page.getByRole("option", { name: /^mode/ }).waitFor();
                        assert.match(await editor(page).innerText(), /^rate\(node_cpu_seconds_total\{mo\}?\)$/);
                        assert.equal(new URL(page.url()).search, "", "nothing was run");
                }));

        test("a wrong expression is underlined, and the server's words are shown when it is run", () =>
                withPage({}, async (page, said) => {
                        await page.goto(`${up.url}/query`);
                        await typeQuery(page, "sum(up) + ");
                        await page.locator(".cm-lintRange-error, .cm-lintPoint-error").first().waitFor({ state: "attached" });
                        await page.keyboard.press("Enter");
                        await page
                                .getByRole("alert")
                                .filter({ hasText: "Error executing query" })
                                .filter({ hasText: "parse error" })
                                .waitFor();
                        assert.equal(said.length, 1, "the browser itself notes the status 400");
                        said.length = 0;
                }));

        test("infos of the server are shown, unless settings say otherwise", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/query?g0.expr=${encodeURIComponent("rate(node_load1[10s])")}`);
                        const notice = page.getByText("Query notice", { exact: true });
                        await notice.waitFor();
                        await page.getByRole("button", { name: "Settings" }).click();
                        await page.getByRole("switch", { name: "Show query notices" }).click();
                        await notice.waitFor({ state: "detached" });
                        await page.reload();
                        await page.getByText(/Result series/).waitFor();
                        assert.equal(await notice.count(), 0);
                }));

        test("range, resolution, stack and end time change the graph and the URL", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/query?g0.expr=up&g0.tab=graph&g0.range_input=1h`);
                        await chart(page).waitFor();
                        const param = (name) => new URL(page.url()).searchParams.get(`g0.${name}`);
                        await page.getByRole("button", { name: "Longer range" }).click();
                        await until("the range", () => param("range_input") === "2h");
                        await page.getByRole("textbox", { name: "Range", exact: true }).fill("10m");
                        await page.keyboard.press("Enter");
                        await until("the range", () => param("range_input") === "10m");
                        await page.getByText("Stacked", { exact: true }).click();
                        await until("the stack", () => param("display_mode") === "stacked");
                        await page
                                .getByRole("combobox", { name: "Resolution" })
                                .or(page.getByRole("textbox", { name: "Resolution" }))
                                .first()
                                .click();
                        await page.getByRole("option", { name: "30s" }).click();
                        await page.getByText(/Resolution: 30s/).waitFor();
                        assert.deepEqual([param("res_type"), param("res_step")], ["fixed", "30"]);
                        await page.getByRole("button", { name: "End time: back" }).click();
                        await until("the end time", () => /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(param("end_input") ?? ""));
                        await page.getByRole("button", { name: "End time: now" }).click();
                        await until("the end time to be gone", () => param("end_input") === null);
                        await page.waitForFunction(() => document.querySelector(".chart")?.dataset.chartSeries === "2");
                }));

        test("a drag over the graph zooms, the back button undoes it", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/query?g0.expr=up&g0.tab=graph&g0.range_input=1h`);
                        const box = await page.locator(".chart .u-over").boundingBox();
                        await page.mouse.move(box.x + box.width * 0.5, box.y + 100);
                        await page.mouse.down();
                        await page.mouse.move(box.x + box.width * 0.7, box.y + 120, { steps: 4 });
                        await page.mouse.up();
                        const range = () => new URL(page.url()).searchParams.get("g0.range_input");
                        await until("the zoom", () => /^1[12]m/.test(range()));
                        await page.goBack();
                        await until("the old range", () => range() === "1h");
                        await page.getByRole("textbox", { name: "Range", exact: true }).and(page.locator('[value="1h"]')).waitFor();
                }));

        test("the legend isolates a series, and with Ctrl hides one; the mouse shows values", () =>
                withPage({}, async (page) => {
                        await page.goto(
                                `${up.url}/query?g0.expr=${encodeURIComponent('{__name__=~"node_load.*"}')}&g0.tab=graph&g0.range_input=1m`,
                        );
                        const legend = page.getByRole("list", { name: "Legend" }).getByRole("button");
                        await legend.nth(2).waitFor();
                        const pressed = () => legend.evaluateAll((all) => all.map((b) => b.getAttribute("aria-pressed")));
                        await legend.nth(1).click();
                        assert.deepEqual(await pressed(), ["false", "true", "false"]);
                        await legend.nth(1).click();
                        assert.deepEqual(await pressed(), ["true", "true", "true"]);
                        await legend.nth(0).click({ modifiers: ["Control"] });
                        assert.deepEqual(await pressed(), ["false", "true", "true"]);
                        const box = await page.locator(".chart .u-over").boundingBox();
                        await page.mouse.move(box.x + box.width - 4, box.y + 40);
                        const tip = page.locator(".chart-tooltip");
                        await tip.waitFor();
                        assert.match(await tip.innerText(), /node_load(5|15)\s+[\d.]+\s+instance: 127\.0\.0\.1:\d+\s+job: node/);
                }));

        test("examples stand where nothing was asked yet; what was run is offered again", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/query`);
                        await page.getByRole("button", { name: "Which targets answer?" }).click();
                        await page.getByRole("table", { name: "Query result" }).waitFor();
                        assert.equal(await editor(page).textContent(), "up");
                        await page.goto(`${up.url}/query`);
                        await editor(page).dblclick();
                        await page.getByRole("option", { name: "up past query" }).waitFor();
                }));

        test("several panels: added, duplicated, formatted, removed", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/query?g0.expr=sum(up)by(job)&g0.tab=table`);
                        await page.getByRole("button", { name: "More about query 1" }).click();
                        await page.getByRole("menuitem", { name: "Format query" }).click();
                        await page.waitForFunction(() => document.querySelector(".cm-content").innerText === "sum by (job) (up)");
                        await page.getByRole("button", { name: "Add query" }).click();
                        await editor(page, 2).waitFor();
                        await page.getByRole("button", { name: "More about query 1" }).click();
                        await page.getByRole("menuitem", { name: "Duplicate query" }).click();
                        await editor(page, 3).waitFor();
                        await page.getByRole("button", { name: "More about query 1" }).click();
                        await page.getByRole("menuitem", { name: "Remove query" }).click();
                        await editor(page, 3).waitFor({ state: "detached" });
                        const params = new URL(page.url()).searchParams;
                        assert.deepEqual(
                                [params.get("g0.expr"), params.get("g1.expr"), params.get("g2.expr")],
                                ["sum(up)by(job)", "", null],
                        );
                }));

        test("an old link to /graph opens the query in its old form", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/graph?g0.expr=up&g0.tab=0&g0.stacked=1`);
                        await chart(page).waitFor();
                        assert.equal(new URL(page.url()).pathname, "/query");
                        assert.ok(await page.getByRole("radio", { name: "Stacked", exact: true }).isChecked());
                }));

        test("an evaluation time is taken in the zone that the settings say", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/query?g0.expr=time()&g0.moment_input=2026-08-01+12:00:00`);
                        const input = page.getByLabel("Evaluation time (UTC)");
                        assert.equal(
                                await input.inputValue(),
                                "2026-08-01T12:00:00".replace(/:00$/, await input.evaluate((e) => e.value.slice(16))),
                        );
                        await page.getByText("1785585600").waitFor();
                        await page.getByRole("button", { name: "Settings" }).click();
                        await page.getByRole("switch", { name: "Use local time" }).click();
                        await page.getByLabel("Evaluation time (local time)").and(page.locator('[value^="2026-08-01T17:30"]')).waitFor();
                }));
});

describe("status pages", () => {
        test("targets: both jobs are up, the filter narrows, discovered labels and the pool's configuration open", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/targets`);
                        for (const job of ["coeus", "node"]) await page.getByRole("button", { name: `${job} (1/1 up)` }).waitFor();
                        await page.getByRole("cell", { name: `${up.url}/host/metrics` }).waitFor();
                        await page.getByRole("button", { name: "Show discovered labels" }).first().click();
                        await page.getByText('__scrape_interval__="1s"').waitFor();
                        await page.getByRole("button", { name: "Show config" }).last().click();
                        await page.getByRole("region", { name: "Configuration of node" }).getByText("/host/metrics").waitFor();
                        await page.getByRole("textbox", { name: "Filter by endpoint or labels" }).fill("job=node");
                        await page.getByRole("button", { name: "coeus (1/1 up)" }).waitFor({ state: "detached" });
                        assert.equal(new URL(page.url()).searchParams.get("search"), "job=node");
                        await page.getByText("Down", { exact: true }).click();
                        await page.getByText("2 pools have no target that passes the filters.").waitFor();
                }));

        test("targets: one that does not answer says why; service discovery shows what was dropped", () =>
                withPage({}, async (page) => {
                        await page.goto(`${prefixed.url}/prom/targets`);
                        await page.getByRole("button", { name: "away (0/1 up)" }).waitFor();
                        await page.getByText(/Error scraping target:.*127\.0\.0\.1:1/).waitFor();
                        await page.goto(`${prefixed.url}/prom/service-discovery?state=dropped`);
                        await page.getByRole("button", { name: "gone (0 / 1 active targets)" }).waitFor();
                        await page.getByRole("table", { name: "Discovered for gone" }).getByText("dropped", { exact: true }).waitFor();
                }));

        test("flags are filtered, the configuration is what was given", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/flags`);
                        await page.getByRole("textbox", { name: "Filter by flag name or value" }).fill("scrape-interval");
                        const table = page.getByRole("table", { name: "Flags" });
                        await until("one row", async () => (await table.getByRole("row").count()) === 2);
                        await table.getByRole("row", { name: "--scrape-interval 1s" }).waitFor();
                        await page.goto(`${up.url}/config`);
                        const shown = await page.getByRole("region", { name: "The configuration in force" }).innerText();
                        assert.equal(shown.trim(), (await apiGet(up.url, "status/config")).yaml.trim());
                        await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
                        await page.getByRole("button", { name: "Copy" }).click();
                        await page.getByRole("button", { name: "Copied" }).waitFor();
                        assert.equal((await page.evaluate(() => navigator.clipboard.readText())).trim(), shown.trim());
                }));

        test("the navigation leads everywhere, and marks where one is", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/`);
                        assert.equal(new URL(page.url()).pathname, "/query");
                        await page.getByRole("link", { name: "Alerts" }).click();
                        await page.getByRole("heading", { level: 1, name: "Alerts" }).waitFor();
                        assert.equal(await page.getByRole("link", { name: "Alerts" }).getAttribute("aria-current"), "page");
                        await page.getByRole("button", { name: "Status" }).click();
                        await page.getByRole("menuitem", { name: "TSDB status" }).click();
                        await page.getByRole("heading", { level: 1, name: "TSDB status" }).waitFor();
                        await page.getByRole("button", { name: "Status › TSDB status" }).waitFor();
                }));
});

describe("shell", () => {
        test("the theme goes from the system's to light, dark and back, and is kept", () =>
                withPage({ colorScheme: "dark" }, async (page) => {
                        const scheme = () => page.locator("html").getAttribute("data-mantine-color-scheme");
                        const button = page.getByRole("button", { name: /^Theme:/ });
                        await page.goto(`${up.url}/alerts`);
                        await button.waitFor();
                        assert.equal(await scheme(), "dark");
                        await button.click();
                        await until("light", async () => (await scheme()) === "light");
                        await page.reload();
                        await button.waitFor();
                        assert.equal(await scheme(), "light");
                        await button.click();
                        await button.click();
                        await until("the system's", async () => (await scheme()) === "dark");
                }));

        test("until the server is ready a page shows how far the replay is, then itself", () =>
                withPage({}, async (page, said) => {
                        let ready = false;
                        await page.route("**/alerts", async (route) => {
                                const res = await route.fetch();
                                await route.fulfill({ response: res, body: (await res.text()).replace('"ready":true', '"ready":false') });
                        });
                        await page.route("**/-/ready", (route) =>
                                ready
                                        ? route.fulfill({ status: 200, body: "ready" })
                                        : route.fulfill({
                                                  status: 503,
                                                  headers: { "X-Prometheus-Stopping": "false" },
                                                  body: "Service Unavailable",
                                          }),
                        );
                        await page.route("**/status/walreplay", (route) =>
                                route.fulfill({
                                        contentType: "application/json",
                                        body: '{"status":"success","data":{"min":2,"max":11,"current":6}}',
                                }),
                        );
                        await page.goto(`${up.url}/alerts`);
                        await page.getByText("The server is starting up…").waitFor();
                        await page.getByText("Replaying WAL (6/11)").waitFor();
                        assert.equal(await page.getByRole("progressbar").getAttribute("aria-valuenow"), "50");
                        ready = true;
                        await page.getByText("No alerting rules").waitFor();
                        assert.ok(
                                said.every((s) => s.includes("503")),
                                said.join("\n"),
                        );
                        said.length = 0;
                }));

        test("a server that goes away and comes back is waited for", () =>
                withPage({}, async (page, said) => {
                        let away = true;
                        const unavailable = (route) =>
                                away
                                        ? route.fulfill({
                                                  status: 503,
                                                  contentType: "text/plain",
                                                  headers: { "X-Prometheus-Stopping": "true" },
                                                  body: "Service Unavailable",
                                          })
                                        : route.continue();
                        await page.route("**/-/ready", unavailable);
                        await page.route("**/status/flags", unavailable);
                        await page.goto(`${up.url}/flags`);
                        await page.getByText("The server is shutting down…").waitFor();
                        away = false;
                        await page.getByRole("cell", { name: "--web.listen-address" }).waitFor();
                        assert.ok(
                                said.every((s) => s.includes("503")),
                                said.join("\n"),
                        );
                        said.length = 0;
                }));

        test("below a path prefix nothing is missed, and links stay below it", () =>
                withPage({}, async (page) => {
                        await page.goto(`${prefixed.url}/prom/query?g0.expr=up`);
                        await page.getByRole("table", { name: "Query result" }).waitFor();
                        await page.getByRole("link", { name: "Alerts" }).click();
                        await page.getByText("No alerting rules").waitFor();
                        assert.equal(new URL(page.url()).pathname, "/prom/alerts");
                        await page.reload();
                        await page.getByText("No alerting rules").waitFor();
                }));

        test("an unknown address says so; the licences of what is built in are served", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/alerts`);
                        await page.evaluate(() => history.pushState(null, "", "/nowhere"));
                        await page.getByText("There is no such page").waitFor();
                        await page.getByRole("button", { name: "Settings" }).click();
                        const res = await page.request.get(await page.getByRole("link", { name: "licences" }).evaluate((a) => a.href));
                        assert.equal(res.status(), 200);
                        assert.match(await res.text(), /react 19.*: MIT/);
                }));
});

describe("host board", () => {
        test("every panel draws, with the values of this machine", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/host?from=now-5m`);
                        await boardDrawn(page);
                        const panels = await page.locator("[data-panel]").evaluateAll((all) =>
                                all.map((p) => ({
                                        title: p.getAttribute("aria-label"),
                                        type: p.dataset.panel,
                                        value: p.querySelector("[data-value]")?.dataset.value,
                                        points: Number(p.querySelector("[data-chart-points]")?.dataset.chartPoints ?? 0),
                                        failed: p.querySelector('[role="alert"]') !== null,
                                })),
                        );
                        assert.deepEqual(
                                panels.filter((p) => p.failed),
                                [],
                        );
                        const value = (title) => panels.find((p) => p.title === title)?.value;
                        assert.match(value("CPU busy"), /^\d+\.\d%$/);
                        assert.match(value("Memory used"), /^\d+\.\d%$/);
                        assert.match(value("Uptime"), /^[\d.]+ (s|mins|hours|days|weeks|years)$/);
                        const [cpus] = (
                                await apiGet(up.url, `query?query=${encodeURIComponent("count(count by (cpu) (node_cpu_seconds_total))")}`)
                        ).result;
                        assert.equal(value("CPUs"), cpus.value[1]);
                        const blank = () =>
                                page.locator("[data-panel]").evaluateAll((all) =>
                                        all
                                                .filter((p) => Number(p.querySelector("[data-chart-points]")?.dataset.chartPoints ?? 0) > 0)
                                                .filter((p) => {
                                                        const c = p.querySelector("canvas");
                                                        return (
                                                                !c ||
                                                                new Set(
                                                                        new Uint32Array(
                                                                                c.getContext("2d").getImageData(0, 0, c.width, c.height)
                                                                                        .data.buffer,
                                                                        ),
                                                                ).size < 10
                                                        );
                                                })
                                                .map((p) => p.getAttribute("aria-label")),
                                );
                        await until("all charts to be painted", async () => (await blank()).length === 0);
                        // Disks, networks and pressure depend on the machine; these do not.
                        for (const title of ["CPU by mode", "Memory", "Load", "Context switches and interrupts"])
                                assert.ok(
                                        panels.find((p) => p.title === title && p.type === "timeseries")?.points > 0,
                                        `${title} has points`,
                                );
                }));

        test("the time range and a drag stand in the URL; the crosshair is shared", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/host?from=now-5m`);
                        await boardDrawn(page);
                        const box = await page.getByRole("region", { name: "Memory", exact: true }).locator(".u-over").boundingBox();
                        await page.mouse.move(box.x + box.width - 3, box.y + 30);
                        await page.locator(".chart-tooltip").filter({ hasText: "buffers and cache" }).waitFor();
                        const cursor = await page.getByRole("region", { name: "Load", exact: true }).locator(".u-cursor-x").boundingBox();
                        assert.ok(cursor !== null);
                        await page.mouse.move(box.x + 40, box.y + 30);
                        await page.mouse.down();
                        await page.mouse.move(box.x + 140, box.y + 30, { steps: 4 });
                        await page.mouse.up();
                        await until("the chosen time in the URL", () =>
                                /^\d{13}$/.test(new URL(page.url()).searchParams.get("from") ?? ""),
                        );
                        await page
                                .getByRole("combobox", { name: "Time range" })
                                .or(page.getByRole("textbox", { name: "Time range" }))
                                .first()
                                .click();
                        await page.getByRole("option", { name: "Last 1h" }).click();
                        await until("the range in the URL", () => new URL(page.url()).searchParams.get("from") === "now-1h");
                }));
});

describe("thanos", () => {
        const answered = (page, path) =>
                page
                        .waitForResponse((r) => r.url().includes(`/api/v1/${path}`) && r.request().method() === "POST")
                        .then(async (r) => ({
                                params: new URLSearchParams(r.request().postData()),
                                body: await r.json(),
                        }));

        test("stores: kinds, health, labels and times; the filter narrows", () =>
                withPage({}, async (page) => {
                        await page.goto(`${thanos.query.url}/`);
                        await page.getByRole("link", { name: "Stores" }).click();
                        const rows = page.getByRole("table", { name: "Store gateways" }).getByRole("row");
                        const row = rows.nth(1);
                        await row.waitFor();
                        const { minTime } = (await apiGet(thanos.query.url, "stores")).store[0];
                        const text = (await row.innerText()).replace(/\s+/g, " ");
                        assert.match(
                                text,
                                new RegExp(`^${thanos.gateway} UP coeus="up" ${new Date(minTime).toISOString().slice(0, 19)}Z `, "i"),
                        );
                        await page.getByRole("region", { name: "Store gateways" }).getByText("1/1 up").waitFor();
                        await page.getByRole("textbox", { name: "Filter by address or labels" }).fill("coeus=nobody");
                        await page.getByText("No store matches").waitFor();
                        assert.equal(new URL(page.url()).searchParams.get("search"), "coeus=nobody");
                        await page.getByRole("textbox", { name: "Filter by address or labels" }).fill("coeus=up");
                        await row.waitFor();
                        await page.getByRole("switch", { name: "Only those that fail" }).click();
                        await page.getByText("No store matches").waitFor();
                }));

        test("stores: one that fails says why", () =>
                withPage({}, async (page) => {
                        await page.route("**/api/v1/stores", async (route) => {
                                const res = await route.fetch();
                                const body = await res.json();
                                body.data.store[0].lastError = "rpc error: connection refused";
                                await route.fulfill({ response: res, json: body });
                        });
                        await page.goto(`${thanos.query.url}/stores?down=1`);
                        await page.getByText("Last error: rpc error: connection refused").waitFor();
                        await page.getByText("0/1 up").waitFor();
                        assert.deepEqual(await axeFindings(page), []);
                }));

        test("a querier is asked as the switches say, warns of what is missing, and the URL keeps it", () =>
                withPage({}, async (page, said) => {
                        await page.goto(`${thanos.query.url}/query`);
                        await typeQuery(page, "count(up)");
                        let answer = answered(page, "query");
                        await page.keyboard.press("Enter");
                        let { params, body } = await answer;
                        assert.deepEqual(
                                ["dedup", "partial_response", "max_source_resolution"].map((n) => params.get(n)),
                                ["true", "true", "0s"],
                        );
                        assert.ok(body.warnings.length > 0);
                        await page.getByText("Query warning").first().waitFor();
                        await page.getByText(thanos.away).first().waitFor();

                        answer = answered(page, "query");
                        await page.getByRole("switch", { name: "Deduplication" }).click();
                        ({ params } = await answer);
                        assert.equal(params.get("dedup"), "false");
                        answer = answered(page, "query");
                        await page.getByRole("combobox", { name: "Source resolution" }).click();
                        await page.getByRole("option", { name: "Down to 5 minutes" }).click();
                        ({ params } = await answer);
                        assert.equal(params.get("max_source_resolution"), "5m");

                        await page.getByRole("switch", { name: "Partial response" }).click();
                        await page
                                .getByRole("alert")
                                .filter({ hasText: "Error executing query" })
                                .filter({ hasText: thanos.away })
                                .waitFor();
                        assert.equal(said.length, 1, "the browser itself notes the status 422");
                        said.length = 0;
                        const url = new URL(page.url()).searchParams;
                        assert.deepEqual(
                                ["deduplicate", "partial_response", "max_source_resolution"].map((n) => url.get(`g0.${n}`)),
                                ["0", "0", "5m"],
                        );
                        await page.getByRole("tab", { name: "Graph" }).click();
                        answer = answered(page, "query_range");
                        await page.getByRole("switch", { name: "Partial response" }).click();
                        ({ params } = await answer);
                        assert.deepEqual([params.get("dedup"), params.get("partial_response")], ["false", "true"]);
                        said.length = 0; // the graph's first question had failed, too
                        await page.getByText("Query warning").first().waitFor();
                }));

        test("a server with a bucket offers partial responses only, one without nothing", () =>
                withPage({}, async (page) => {
                        await page.goto(`${up.url}/query?g0.expr=up`);
                        await page.getByRole("switch", { name: "Partial response" }).waitFor();
                        assert.equal(await page.getByRole("switch", { name: "Deduplication" }).count(), 0);
                        await page.goto(`${prefixed.url}/prom/query?g0.expr=up`);
                        await page.getByRole("table", { name: "Query result" }).waitFor();
                        assert.equal(await page.getByRole("switch").count(), 0);
                        await page.getByRole("button", { name: "Status" }).click();
                        await page.getByRole("menuitem", { name: "Target health" }).waitFor();
                        assert.equal(await page.getByRole("menuitem", { name: "Blocks" }).count(), 0);
                }));

        test("blocks lie on a time line; one that is chosen says what it holds, arrows go on", () =>
                withPage({}, async (page) => {
                        await page.goto(`${thanos.store.url}/`);
                        assert.equal(new URL(page.url()).pathname, "/blocks");
                        const { blocks } = await apiGet(thanos.store.url, "blocks");
                        const sorted = blocks.sort((a, b) => a.minTime - b.minTime);
                        const bars = page.getByRole("toolbar").getByRole("button");
                        await until("all blocks", async () => (await bars.count()) === sorted.length, 10);
                        const boxes = await Promise.all([0, 1].map((i) => bars.nth(i).boundingBox()));
                        assert.ok(boxes[0].x + boxes[0].width <= boxes[1].x + 1, "the later one lies to the right");
                        await bars.first().click();
                        const details = page.getByRole("table", { name: `Block ${sorted[0].ulid}` });
                        await details.waitFor();
                        assert.equal(new URL(page.url()).searchParams.get("block"), sorted[0].ulid);
                        const samples = sorted[0].stats.numSamples.toLocaleString("en-US");
                        await details.getByRole("row", { name: `Samples ${samples}` }).waitFor();
                        await page.keyboard.press("ArrowRight");
                        await page.keyboard.press("Enter");
                        await page.getByRole("table", { name: `Block ${sorted[1].ulid}` }).waitFor();
                        assert.equal(await bars.nth(1).getAttribute("aria-pressed"), "true");
                        assert.deepEqual(await axeFindings(page), []);
                        await page.getByRole("textbox", { name: /^Filter/ }).fill("coeus=nobody");
                        await page.getByText("No block matches").waitFor();
                }));
});

describe("rules and alerts", () => {
        test("alerts: how many are in each state, the active ones with labels and annotations, filters", () =>
                withPage({}, async (page) => {
                        await page.goto(`${ruled.url}/alerts`);
                        await page.getByText("Firing (1)").waitFor();
                        await page.getByText("Pending (1)").waitFor();
                        await page.getByText("Inactive (1)").waitFor();
                        await page.getByRole("button", { name: /Storm/ }).click();
                        const active = page.getByRole("table", { name: "Active alerts of Storm" });
                        await active.getByText("wind of 7").waitFor();
                        await active.getByText("severity").waitFor();
                        await active.getByText("7e+00").waitFor();
                        assert.deepEqual(await axeFindings(page), []);
                        await page.getByText("Pending (1)").click();
                        await page.getByRole("button", { name: /Rain/ }).waitFor();
                        assert.equal(await page.getByRole("button", { name: /Storm/ }).count(), 0);
                        assert.equal(new URL(page.url()).searchParams.get("state"), "pending");
                }));

        test("rules: groups with their files, what failed says why, the expression leads to the query page", () =>
                withPage({}, async (page) => {
                        await page.goto(`${ruled.url}/rules`);
                        await page.getByRole("heading", { name: "sums" }).waitFor();
                        await page.getByText("vector contains metrics with the same labelset after applying rule labels").waitFor();
                        assert.deepEqual(await axeFindings(page), []);
                        await page.getByRole("textbox", { name: /^Filter/ }).fill("knots");
                        await until("one rule", async () => (await page.getByText("broken").count()) === 0, 10);
                        await page.getByRole("link", { name: "vector(3)" }).click();
                        await page.getByRole("table", { name: "Query result" }).waitFor();
                }));

        test("the Alertmanager that the configuration names is listed", () =>
                withPage({}, async (page) => {
                        await page.goto(`${ruled.url}/alertmanager-discovery`);
                        await page.getByText("http://127.0.0.1:1/api/v2/alerts").waitFor();
                }));
});
