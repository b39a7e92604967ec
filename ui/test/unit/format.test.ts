// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { formatTicks, formatUnit } from "../../src/viz/format";

test.each([
        [0, "bytes", "0 B"],
        [1023, "bytes", "1023 B"],
        [1536, "bytes", "1.50 KiB"],
        [25_253_052_416, "bytes", "23.5 GiB"],
        [1_500_000, "decbytes", "1.50 MB"],
        [0.4217, "percentunit", "42.2%"],
        [42.17, "percent", "42.2%"],
        [0, "percentunit", "0%"],
        [12_345_678, "bps", "12.3 Mb/s"],
        [2048, "binBps", "2 KiB/s"],
        [999, "short", "999"],
        [1234, "short", "1.23 K"],
        [1_234_567, "short", "1.23 Mil"],
        [0.001234, "short", "0.00123"],
        [0.0042, "s", "4.20 ms"],
        [1.5, "s", "1.50 s"],
        [90, "s", "1.50 mins"],
        [3960, "s", "1.10 hours"],
        [172_800, "s", "2 days"],
        [1500, "ms", "1.50 s"],
        [0, "s", "0 s"],
        [-2048, "bytes", "-2 KiB"],
        [Number.NaN, "bytes", "NaN"],
        [Infinity, "s", "+Inf"],
        [-Infinity, "s", "-Inf"],
        [3, "widgets", "3 widgets"],
])("%d of %s is %s", (v, unit, text) => {
        expect(formatUnit(v, unit)).toBe(text);
});

test("decimals that are asked for are kept", () => {
        expect(formatUnit(1, "percentunit", 1)).toBe("100.0%");
        expect(formatUnit(4, "short", 2)).toBe("4.00");
        expect(formatUnit(null, "short")).toBe("–");
});

test.each([
        [[0, 2.5, 5, 7.5, 10], "short", ["0", "2.5", "5", "7.5", "10"]],
        [[0, 0.5, 1], "percentunit", ["0%", "50%", "100%"]],
        [[0, 1_073_741_824, 2_147_483_648], "bytes", ["0 B", "1 GiB", "2 GiB"]],
        [[0, 2500, 5000], "short", ["0", "2.5 K", "5 K"]],
        [[100, 200, 300], "none", ["100", "200", "300"]],
        [[0.001, 0.002], "none", ["0.001", "0.002"]],
] as const)("ticks %j of %s say what they are", (ticks, unit, texts) => {
        expect(formatTicks([...ticks], unit)).toEqual(texts);
});
