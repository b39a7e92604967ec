// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { axisTicks, type Block, lanesOf, resolutionText, sizeBytes, timeLine } from "../../src/sections/blocks";
import { endText, kindsOf, type Store } from "../../src/sections/stores";

const HOUR = 3_600_000;
const block = (ulid: string, from: number, to: number, labels: Record<string, string> = {}, resolution = 0): Block => ({
        ulid,
        minTime: from * HOUR,
        maxTime: to * HOUR,
        stats: {},
        compaction: { level: 1 },
        thanos: { labels, downsample: { resolution }, source: "sidecar" },
});

test("blocks that overlap lie in different lanes, the others side by side", () => {
        const [a, b, c, d] = [block("a", 0, 2), block("b", 1, 4), block("c", 2, 3), block("d", 5, 6)] as [Block, Block, Block, Block];
        expect(lanesOf([a, b, c, d])).toEqual([[a, c, d], [b]]);
        expect(lanesOf([])).toEqual([]);
});

test("a stream is one set of labels at one resolution", () => {
        const line = timeLine([
                block("d", 2, 4, { replica: "b" }),
                block("c", 2, 4, { replica: "a" }),
                block("b", 0, 4, { replica: "a" }, 300_000),
                block("a", 0, 2, { replica: "a" }),
        ]);
        expect(line.streams.map((s) => [s.title, s.resolution, s.blocks.map((b) => b.ulid).join("")])).toEqual([
                ['{replica="a"}', 0, "ac"],
                ['{replica="a"}', 300_000, "b"],
                ['{replica="b"}', 0, "d"],
        ]);
        expect([line.minTime, line.maxTime]).toEqual([0, 4 * HOUR]);
});

test("ticks are round times, few of them", () => {
        expect(axisTicks(HOUR / 2, 5 * HOUR, 6)).toEqual({ step: 3600, ticks: [3600, 7200, 10_800, 14_400, 18_000] });
        expect(axisTicks(0, 0, 6).ticks).toEqual([0]);
        expect(axisTicks(0, 400 * 365 * 24 * HOUR, 6).ticks.length).toBeLessThan(8);
});

test("texts of resolutions and sizes", () => {
        expect([0, 300_000, 3_600_000].map(resolutionText)).toEqual(["raw", "5m", "1h"]);
        const b = block("a", 0, 1);
        expect(sizeBytes(b)).toBe(0);
        b.thanos.files = [{ rel_path: "index", size_bytes: 5 }, { rel_path: "meta.json" }, { rel_path: "chunks/000001", size_bytes: 7 }];
        expect(sizeBytes(b)).toBe(12);
});

const store = (name: string, replica: string, lastError: string | null = null): Store => ({
        name,
        lastCheck: "2026-08-01T12:00:00Z",
        lastError,
        labelSets: [{ replica }],
        minTime: 0,
        maxTime: 1,
});

test("stores are told by kind, and narrowed by words and by health", () => {
        const answer = {
                store: [store("gw:1", "a")],
                sidecar: [store("sc:1", "a"), store("sc:2", "b", "refused")],
                odd: [store("x:1", "c")],
        };
        const shown = (filter: string, down: boolean) =>
                kindsOf(answer, filter, down).map((k) => `${k.title} ${k.up}/${k.count}: ${k.shown.map((s) => s.name)}`);
        expect(shown("", false)).toEqual(["Sidecars 1/2: sc:1,sc:2", "Store gateways 1/1: gw:1", "odd 1/1: x:1"]);
        expect(shown("replica=b", false)).toEqual(["Sidecars 1/2: sc:2", "Store gateways 1/1: ", "odd 1/1: "]);
        expect(shown("", true)).toEqual(["Sidecars 1/2: sc:2", "Store gateways 1/1: ", "odd 1/1: "]);
});

test("the ends of time stand for none", () => {
        const text = (ms: number) => endText(ms, (t) => `${t}`);
        expect([-62_167_219_200_000, 5, 2 ** 63].map(text)).toEqual(["the beginning", "5", "now"]);
});
