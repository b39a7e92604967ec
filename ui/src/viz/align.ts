// SPDX-License-Identifier: Apache-2.0
// align.ts — results of range queries as columns over one time axis, and stacks of them.
import { parseValue } from "../lib/series";
import type { RangeSeries } from "../lib/api";

/** Seconds. */
export interface Range {
        start: number;
        end: number;
        step: number;
}

export type Column = (number | null)[];

/** One column a series, null where a step has no sample. Values that are not finite make gaps: there is no place to draw them. */
export function alignColumns(result: RangeSeries[], r: Range): { times: number[]; columns: Column[] } {
        const n = Math.max(1, Math.floor((r.end - r.start) / r.step + 1e-6) + 1);
        const times = Array.from({ length: n }, (_, i) => r.start + i * r.step);
        const columns = result.map((s) => {
                const col = new Array<number | null>(n).fill(null);
                for (const [t, text] of s.values ?? []) {
                        const i = Math.round((t - r.start) / r.step);
                        const v = parseValue(text);
                        if (i >= 0 && i < n && Number.isFinite(v)) col[i] = v;
                }
                return col;
        });
        return { times, columns };
}

/** Every column plus those before it. A hidden one adds nothing and is null everywhere; where no shown column has a value, all are null. */
export function stackColumns(columns: Column[], hidden: (i: number) => boolean): Column[] {
        const n = columns[0]?.length ?? 0;
        const sum = new Array<number>(n).fill(0);
        const some = Array.from({ length: n }, (_, j) => columns.some((col, i) => !hidden(i) && col[j] != null));
        return columns.map((col, i) => {
                if (hidden(i)) return new Array<number | null>(n).fill(null);
                return col.map((v, j) => {
                        sum[j] = (sum[j] ?? 0) + (v ?? 0);
                        return some[j] ? (sum[j] ?? null) : null;
                });
        });
}
