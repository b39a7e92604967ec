// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from "vitest";
import { host } from "../../src/dash/host";
import { interpolate, intervalMs, intervalVariables, legendName, parseLabelValues, parseWhen } from "../../src/dash/interpolate";
import { thresholdColor } from "../../src/dash/model";

describe("variables", () => {
        test.each([
                ['up{i="$i"}', { i: "a:1" }, 'up{i="a:1"}'],
                ["[[i]] ${i} $i", { i: "x" }, "x x x"],
                ["$ix $i", { i: "x" }, "$ix x"],
                ["${i:regex}", { i: "a.b" }, "a\\\\.b"],
                ["$i", { i: ["a", "b.c"] }, "(a|b\\\\.c)"],
                ["${i:pipe}", { i: ["a", "b"] }, "a|b"],
                ["$i", { i: 'a"b' }, 'a\\"b'],
        ])("%s with %j is %s", (text, vars, want) => {
                expect(interpolate(text, vars)).toBe(want);
        });
        test("label_values is taken apart", () => {
                expect(parseLabelValues("label_values(up, instance)")).toEqual({ selector: "up", label: "instance" });
                expect(parseLabelValues('label_values(up{a="b, c"}, job)')).toEqual({ selector: 'up{a="b, c"}', label: "job" });
                expect(parseLabelValues("label_values(job)")).toEqual({ selector: "", label: "job" });
                expect(parseLabelValues("query_result(up)")).toBeNull();
        });
});

test("names of series: a missing label is empty, no format is the whole series", () => {
        expect(legendName("{{ device }} read {{x}}", { device: "sda" })).toBe("sda read ");
        expect(legendName("", { __name__: "up", job: "a" })).toBe('up{job="a"}');
});

test("the interval is round, and not finer than the data", () => {
        expect(intervalMs(3_600_000, 600, 1000)).toBe(10_000);
        expect(intervalMs(3_600_000, 600, 15_000)).toBe(15_000);
        expect(intervalMs(86_400_000, 600, 15_000)).toBe(300_000);
});

test("a rate looks over four scrapes or more", () => {
        expect(intervalVariables(15_000, 3_600_000, 15_000)).toMatchObject({
                __interval: "15s",
                __rate_interval: "1m",
                __range: "1h",
                __range_s: "3600",
        });
        expect(intervalVariables(300_000, 86_400_000, 15_000).__rate_interval).toBe("5m15s");
});

test.each([
        ["now", 1_000_000],
        ["now-5m", 700_000],
        ["now+1s", 1_001_000],
        ["123456", 123_456],
        ["yesterday", null],
        ["now-5", null],
])("%s is %s", (text, want) => {
        expect(parseWhen(text, 1_000_000)).toBe(want);
});

test("the colour is of the last threshold that is reached", () => {
        const steps = [
                { color: "green", value: null },
                { color: "red", value: 80 },
        ];
        expect([-5, 79.9, 80, 200].map((v) => thresholdColor(v, steps))).toEqual(["green", "green", "red", "red"]);
        expect(thresholdColor(null, steps)).toBeUndefined();
        expect(thresholdColor(1, undefined)).toBeUndefined();
});

test("the panels of the host board do not overlap and fit the grid", () => {
        const taken = new Set<string>();
        for (const { title, gridPos: g } of host.panels) {
                expect(g.x + g.w, title).toBeLessThanOrEqual(24);
                for (let x = g.x; x < g.x + g.w; x++)
                        for (let y = g.y; y < g.y + g.h; y++) {
                                expect(taken.has(`${x},${y}`), title).toBe(false);
                                taken.add(`${x},${y}`);
                        }
        }
});
