// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { decodePanels, encodePanels, fetchingParams, newPanel, stepMs } from "../../src/lib/queryState";

test("panels are read back as they were written", () => {
        const panels = [
                {
                        ...newPanel(),
                        expr: 'rate(x{a="b c"}[5m])',
                        tab: "graph" as const,
                        rangeMs: 5_400_000,
                        endMs: Date.UTC(2026, 7, 1, 12),
                        displayMode: "stacked",
                        yMin: 0,
                },
                { ...newPanel(), expr: "up", resolution: { type: "custom" as const, stepMs: 14_500 }, showTree: true, showExemplars: true },
                { ...newPanel(), expr: "", resolution: { type: "fixed" as const, stepMs: 60_000 } },
        ];
        expect(decodePanels(encodePanels(panels))).toEqual(panels);
});

test("the names are upstream's", () => {
        const p = { ...newPanel(), expr: "up", endMs: Date.UTC(2026, 7, 1, 12), yMin: 2 };
        expect([...new URLSearchParams(encodePanels([p]))]).toEqual([
                ["g0.expr", "up"],
                ["g0.show_tree", "0"],
                ["g0.tab", "table"],
                ["g0.end_input", "2026-08-01 12:00:00"],
                ["g0.moment_input", "2026-08-01 12:00:00"],
                ["g0.range_input", "1h"],
                ["g0.res_type", "auto"],
                ["g0.res_density", "medium"],
                ["g0.display_mode", "lines"],
                ["g0.y_axis_min", "2"],
                ["g0.show_exemplars", "0"],
        ]);
});

test("old links are understood", () => {
        expect(decodePanels("?g0.expr=up&g0.tab=0&g0.stacked=1&g0.range_input=2h&g0.step_input=30")[0]).toEqual({
                ...newPanel(),
                expr: "up",
                tab: "graph",
                displayMode: "stacked",
                rangeMs: 7_200_000,
                resolution: { type: "custom", stepMs: 30_000 },
        });
        expect(decodePanels("?g0.expr=up&g0.tab=1")[0]?.tab).toBe("table");
});

test("what makes no sense keeps the default", () => {
        const [p] = decodePanels(
                "?g0.expr=up&g0.range_input=soon&g0.end_input=later&g0.res_type=fixed&g0.res_step=-3&g0.y_axis_min=&g0.tab=explain",
        );
        expect(p).toEqual({ ...newPanel(), expr: "up" });
        expect(decodePanels("")).toEqual([]);
        expect(decodePanels("?g1.expr=up")).toEqual([]);
});

test.each([
        ["low", 3_600_000, 36_000],
        ["medium", 3_600_000, 14_000],
        ["high", 3_600_000, 4000],
        ["high", 60_000, 1000],
] as const)("%s resolution of %d ms is a step of %d ms", (density, range, step) => {
        expect(stepMs({ type: "auto", density }, range)).toBe(step);
});

test("how a querier shall answer stands in the URL by upstream's names, and only where the backend understands it", () => {
        const p = { ...newPanel(), expr: "up" };
        p.fetching = { dedup: false, partialResponse: false, maxSourceResolution: "5m", storeMatches: "[]" };
        const querier = { partial: true, querier: true };
        expect(encodePanels([p])).not.toContain("partial_response");
        expect([...new URLSearchParams(encodePanels([p], querier))].slice(-4)).toEqual([
                ["g0.deduplicate", "0"],
                ["g0.max_source_resolution", "5m"],
                ["g0.store_matches", "[]"],
                ["g0.partial_response", "0"],
        ]);
        expect(decodePanels(encodePanels([p], querier))).toEqual([p]);
        expect(decodePanels("?g0.expr=up", false)[0]?.fetching).toEqual({
                dedup: true,
                partialResponse: false,
                maxSourceResolution: "0s",
                storeMatches: "[]",
        });
        expect(fetchingParams(p.fetching, querier)).toEqual({ dedup: "false", partial_response: "false", max_source_resolution: "5m" });
        expect(fetchingParams(p.fetching, { partial: true, querier: false })).toEqual({ partial_response: "false" });
        expect(fetchingParams(p.fetching, { partial: false, querier: false })).toEqual({});
});
