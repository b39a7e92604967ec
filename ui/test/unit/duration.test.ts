// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { formatDuration, humanDuration, parseDuration, stepRange } from "../../src/lib/duration";

test.each([
        ["5m", 300_000],
        ["1d2h3m4s", 93_784_000],
        ["1y", 31_536_000_000],
        ["1w", 604_800_000],
        ["250ms", 250],
        ["0", 0],
        ["0s", 0],
])("%s is %d ms", (text, ms) => {
        expect(parseDuration(text)).toBe(ms);
});

test.each(["", "5", "m", "5x", "1m1h", "-5m", "1.5h", " 5m"])("%j is no duration", (text) => {
        expect(parseDuration(text)).toBeNull();
});

test.each([
        [0, "0s"],
        [3_600_000, "1h"],
        [5_400_000, "1h30m"],
        [90 * 86_400_000, "90d"],
        [14 * 86_400_000, "2w"],
        [31_536_000_000, "1y"],
        [1250, "1s250ms"],
        [-60_000, "-1m"],
])("%d ms is written %s and read back", (ms, text) => {
        expect(formatDuration(ms)).toBe(text);
        if (ms >= 0) expect(parseDuration(text)).toBe(ms);
});

test.each([
        [0, "0s"],
        [0.2442, "0.2442ms"],
        [12.3456, "12.35ms"],
        [2345, "2.345s"],
        [93_784_000, "1d 2h 3m 4s"],
])("%d ms reads %s", (ms, text) => {
        expect(humanDuration(ms)).toBe(text);
});

test("the range buttons go to the next step and stop at the ends", () => {
        expect(stepRange(3_600_000, 1)).toBe(7_200_000);
        expect(stepRange(3_600_000, -1)).toBe(1_800_000);
        expect(stepRange(3_500_000, 1)).toBe(3_600_000);
        expect(stepRange(1000, -1)).toBe(1000);
        expect(stepRange(2 * 31_536_000_000, 1)).toBe(2 * 31_536_000_000);
});
