// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from "vitest";
import { ago, formatPoint, formatTimestamp, parseTime, timeTicks, toInput } from "../../src/lib/time";

const NOON = Date.UTC(2026, 7, 1, 12, 0, 0);

describe("UTC", () => {
        test("timestamps and points", () => {
                expect(formatTimestamp(NOON, true)).toBe("2026-08-01T12:00:00Z");
                expect(formatPoint(NOON + 250, true)).toBe("2026-08-01 12:00:00.250");
                expect(formatPoint(NOON, true)).toBe("2026-08-01 12:00:00");
                expect(formatTimestamp(Number.NaN, true)).toBe("");
        });
        test.each(["2026-08-01 12:00:00", "2026-08-01T12:00:00", "2026-08-01T12:00", "2026-08-01T12:00:00Z"])("%s is read", (text) => {
                expect(parseTime(text, true)).toBe(NOON);
        });
        test.each(["", "now", "2026-08-01", "2026-13-01 12:00", "12:00:00"])("%j is not", (text) => {
                expect(parseTime(text, true)).toBeNull();
        });
        test("an input's value is read back", () => {
                expect(parseTime(toInput(NOON + 999, true), true)).toBe(NOON);
        });
});

test("local time carries the offset of the zone", () => {
        // The runner sets TZ=Asia/Kolkata: half hours show a wrong sign or a lost minute.
        expect(formatTimestamp(NOON, false)).toBe("2026-08-01T17:30:00+05:30");
        expect(parseTime("2026-08-01 17:30:00", false)).toBe(NOON);
});

test("ticks say what their step asks for, and the date where a day begins", () => {
        const at = (h: number, m = 0) => Date.UTC(2026, 7, 1, h, m) / 1000;
        expect(timeTicks([at(12), at(12, 5)], 300, true)).toEqual(["12:00", "12:05"]);
        expect(timeTicks([at(12)], 10, true)).toEqual(["12:00:00"]);
        expect(timeTicks([at(18), at(24), at(30)], 21_600, true)).toEqual(["18:00", "00:00\n08-02", "06:00"]);
        expect(timeTicks([at(0), at(24)], 86_400, true)).toEqual(["08-01", "08-02"]);
});

test("Go's zero time was never", () => {
        expect(ago("0001-01-01T00:00:00Z", NOON, String)).toBe("never");
        expect(ago("2026-08-01T11:59:58Z", NOON, String)).toBe("2000 ago");
});
