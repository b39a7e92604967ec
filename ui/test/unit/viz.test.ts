// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { alignColumns, stackColumns } from "../../src/viz/align";
import { toggleHidden } from "../../src/viz/toggle";
import { sparkline } from "../../src/viz/sparkline";

test("samples stand in the column of their step, others are gaps", () => {
        const { times, columns } = alignColumns(
                [
                        {
                                metric: {},
                                values: [
                                        [100, "1"],
                                        [120.0001, "3"],
                                        [130, "NaN"],
                                        [140, "+Inf"],
                                        [990, "9"],
                                ],
                        },
                        { metric: {} },
                ],
                { start: 100, end: 145, step: 10 },
        );
        expect(times).toEqual([100, 110, 120, 130, 140]);
        expect(columns).toEqual([
                [1, null, 3, null, null],
                [null, null, null, null, null],
        ]);
});

test("a step that is no binary fraction loses no point at the end", () => {
        expect(alignColumns([], { start: 0, end: 0.3, step: 0.1 }).times).toHaveLength(4);
});

test("a stack adds what is shown", () => {
        const columns = [
                [1, 2, null],
                [10, null, 30],
                [5, 5, 5],
        ];
        expect(stackColumns(columns, () => false)).toEqual([
                [1, 2, 0],
                [11, 2, 30],
                [16, 7, 35],
        ]);
        expect(stackColumns(columns, (i) => i === 1)).toEqual([
                [1, 2, 0],
                [null, null, null],
                [6, 7, 5],
        ]);
        expect(
                stackColumns(
                        [
                                [null, 1],
                                [null, null],
                        ],
                        () => false,
                ),
        ).toEqual([
                [null, 1],
                [null, 1],
        ]);
});

test("a click on the legend isolates, again shows all; with Ctrl it toggles one", () => {
        const none = new Set<number>();
        const alone = toggleHidden(none, 1, 3, false);
        expect(alone).toEqual(new Set([0, 2]));
        expect(toggleHidden(alone, 1, 3, false)).toEqual(none);
        expect(toggleHidden(alone, 0, 3, false)).toEqual(new Set([1, 2]));
        expect(toggleHidden(none, 0, 3, true)).toEqual(new Set([0]));
        expect(toggleHidden(new Set([0]), 0, 3, true)).toEqual(none);
        expect(toggleHidden(new Set([0, 1]), 2, 3, true)).toEqual(none);
});

test("a sparkline needs two points and skips what is not finite", () => {
        expect(sparkline([1])).toBe("");
        expect(sparkline([null, Number.NaN, 1, Infinity])).toBe("");
        expect(sparkline([0, Infinity, 10])).toBe("M0.00 28.00L100.00 4.00");
        expect(sparkline([5, 5])).toBe("M0.00 16.00L100.00 16.00");
});
