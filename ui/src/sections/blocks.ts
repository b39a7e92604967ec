// SPDX-License-Identifier: Apache-2.0
// blocks.ts — the blocks of a bucket, as /api/v1/blocks answers, laid out on a time line: a stream for each set of external labels and
// resolution, in it as many lanes as blocks overlap.
import { formatSeries, type Labels } from "../lib/series";

export interface Block {
        ulid: string;
        /** Milliseconds; maxTime is exclusive. */
        minTime: number;
        maxTime: number;
        stats: { numSeries?: number; numSamples?: number; numChunks?: number };
        compaction: { level: number; sources?: string[] | null };
        thanos: {
                labels: Labels | null;
                downsample: { resolution: number };
                source: string;
                files?: { rel_path: string; size_bytes?: number }[] | null;
        };
}
export interface BlocksAnswer {
        label: string;
        blocks: Block[] | null;
        refreshedAt: string;
        err: string | null;
}

export interface Stream {
        key: string;
        title: string;
        resolution: number;
        blocks: Block[];
        lanes: Block[][];
}
export interface TimeLine {
        minTime: number;
        maxTime: number;
        streams: Stream[];
}

export const resolutionText = (ms: number) => (ms === 0 ? "raw" : ms % 3_600_000 === 0 ? `${ms / 3_600_000}h` : `${ms / 60_000}m`);
export const sizeBytes = (b: Block) => (b.thanos.files ?? []).reduce((sum, f) => sum + (f.size_bytes ?? 0), 0);

/** Each block goes to the first lane that is free where it begins. */
export function lanesOf(blocks: Block[]): Block[][] {
        const lanes: Block[][] = [];
        for (const b of blocks) {
                const lane = lanes.find((l) => (l.at(-1)?.maxTime ?? 0) <= b.minTime);
                if (lane) lane.push(b);
                else lanes.push([b]);
        }
        return lanes;
}

export function timeLine(blocks: Block[]): TimeLine {
        const streams = new Map<string, Stream>();
        for (const b of [...blocks].sort((x, y) => x.minTime - y.minTime || (x.ulid < y.ulid ? -1 : 1))) {
                const labels = formatSeries(b.thanos.labels ?? {});
                const resolution = b.thanos.downsample.resolution;
                const key = `${labels} ${resolution}`;
                let s = streams.get(key);
                if (!s) {
                        s = { key, title: labels, resolution, blocks: [], lanes: [] };
                        streams.set(key, s);
                }
                s.blocks.push(b);
        }
        for (const s of streams.values()) s.lanes = lanesOf(s.blocks);
        return {
                minTime: blocks.reduce((t, b) => Math.min(t, b.minTime), Number.POSITIVE_INFINITY),
                maxTime: blocks.reduce((t, b) => Math.max(t, b.maxTime), Number.NEGATIVE_INFINITY),
                streams: [...streams.values()].sort((a, b) =>
                        a.title < b.title ? -1 : a.title > b.title ? 1 : a.resolution - b.resolution,
                ),
        };
}

const STEPS = [
        1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600, 2_419_200, 7_257_600,
        31_536_000,
];

/** Times of the axis, seconds, about n of them. */
export function axisTicks(minMs: number, maxMs: number, n: number): { step: number; ticks: number[] } {
        const span = Math.max(1, (maxMs - minMs) / 1000);
        const step = STEPS.find((s) => span / s <= n) ?? Math.ceil(span / n);
        const ticks: number[] = [];
        for (let t = Math.ceil(minMs / 1000 / step) * step; t <= maxMs / 1000; t += step) ticks.push(t);
        return { step, ticks };
}
