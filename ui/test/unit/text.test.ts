// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { parseBoot } from "../../src/boot";
import { formatSeries, matchesFilter, parseValue } from "../../src/lib/series";
import { discoveredPools } from "../../src/sections/discovered";
import { groupPools, poolState, type Target } from "../../src/sections/targets";

test.each([
        [{ __name__: "up", job: "a", x: 'q"\\' }, 'up{job="a", x="q\\"\\\\"}'],
        [{ job: "a" }, '{job="a"}'],
        [{}, "{}"],
        [{ __name__: "up" }, "up{}"],
        [{ __name__: "my.metric", "a.b": "c" }, '{"my.metric", "a.b"="c"}'],
])("%j is %s", (labels, text) => {
        expect(formatSeries(labels as Record<string, string>)).toBe(text);
});

test("sample values", () => {
        expect([parseValue("+Inf"), parseValue("-Inf"), parseValue("1e3")]).toEqual([Infinity, -Infinity, 1000]);
        expect(parseValue("NaN")).toBeNaN();
});

test.each([
        ["", true],
        ["node", true],
        ["NODE 9100", true],
        ["job=node", true],
        ['job="node"', true],
        ["job=web", false],
        ["nothing", false],
])("the filter %j", (filter, want) => {
        expect(matchesFilter(filter, { job: "node", instance: "h:9100" })).toBe(want);
});

const target = (scrapePool: string, health: string, job = scrapePool): Target => ({
        scrapePool,
        health,
        labels: { job },
        discoveredLabels: { __address__: "x" },
        scrapeUrl: "http://x/metrics",
        globalUrl: "",
        lastError: "",
        lastScrape: "",
        lastScrapeDuration: 0,
        scrapeInterval: "15s",
        scrapeTimeout: "10s",
});

test("pools count all targets and show those that pass", () => {
        const pools = groupPools(
                ["empty", "b"],
                [target("b", "up"), target("b", "down"), target("a", "down"), target("c", "unknown")],
                "",
                "down",
        );
        expect(pools.map((p) => [p.name, p.count, p.up, p.shown.length, poolState(p)])).toEqual([
                ["a", 1, 0, 1, "bad"],
                ["b", 2, 1, 1, "warn"],
                ["c", 1, 0, 0, "none"],
                ["empty", 0, 0, 0, "none"],
        ]);
});

test("discovery counts what keep_dropped_targets forgot", () => {
        const [p] = discoveredPools(
                ["a"],
                {
                        activeTargets: [target("a", "up")],
                        droppedTargets: [{ scrapePool: "a", discoveredLabels: { x: "y" } }],
                        droppedTargetCounts: { a: 3 },
                },
                "",
                "dropped",
        );
        expect(p).toMatchObject({ active: 1, total: 4, forgotten: 2 });
        expect(p?.shown).toHaveLength(1);
});

test("the boot block: slashes at the end of the prefix go, garbage gives defaults", () => {
        expect(parseBoot('{"prefix":"/prom/"}').prefix).toBe("/prom");
        expect(parseBoot('{"prefix":"/"}').prefix).toBe("");
        expect(parseBoot("COEUS_BOOT_JSON")).toMatchObject({ prefix: "", ready: true });
        expect(parseBoot('{"ready":false}').ready).toBe(false);
});
