// SPDX-License-Identifier: Apache-2.0
// runner.ts — the queries of a panel, and its series over one time axis.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { api, type InstantResult, type RangeResult } from "../lib/api";
import { parseValue } from "../lib/series";
import { alignColumns, type Column, type Range } from "../viz/align";
import { interpolate, intervalMs, intervalVariables, legendName, type Variables } from "./interpolate";
import type { Panel, Target } from "./model";

/** What all panels of a board share. */
export interface Frame {
        fromMs: number;
        toMs: number;
        scrapeMs: number;
        variables: Variables;
}

export interface PanelData {
        names: string[];
        times: number[];
        columns: Column[];
        range: Range;
        warnings: string[];
}

interface Part {
        names: string[];
        columns: Column[];
        warnings: string[];
}

async function runTarget(t: Target, range: Range, vars: Variables, signal: AbortSignal): Promise<Part> {
        const query = interpolate(t.expr, vars);
        if (t.instant) {
                const a = await api<InstantResult>("query", { query, time: String(range.end) }, { signal, post: true });
                const list = a.data.resultType === "vector" ? a.data.result : [];
                const n = Math.floor((range.end - range.start) / range.step + 1e-6) + 1;
                return {
                        names: list.map((s) => legendName(t.legendFormat, s.metric)),
                        columns: list.map((s) => [
                                ...new Array<null>(Math.max(0, n - 1)).fill(null),
                                s.value ? parseValue(s.value[1]) : null,
                        ]),
                        warnings: a.warnings,
                };
        }
        const a = await api<RangeResult>(
                "query_range",
                { query, start: String(range.start), end: String(range.end), step: String(range.step) },
                { signal, post: true },
        );
        return {
                names: a.data.result.map((s) => legendName(t.legendFormat, s.metric)),
                columns: alignColumns(a.data.result, range).columns,
                warnings: a.warnings,
        };
}

export async function runPanel(p: Panel, f: Frame, widthPx: number, signal: AbortSignal): Promise<PanelData> {
        const rangeMs = f.toMs - f.fromMs;
        const step = intervalMs(rangeMs, widthPx, f.scrapeMs);
        // On the grid of the step: the same points come again when the board refreshes, so lines do not wobble.
        const range = {
                start: (Math.floor(f.fromMs / step) * step) / 1000,
                end: (Math.floor(f.toMs / step) * step) / 1000,
                step: step / 1000,
        };
        const vars = { ...f.variables, ...intervalVariables(step, rangeMs, f.scrapeMs) };
        const parts = await Promise.all(
                p.targets.map((t) => runTarget(t, t.instant ? { ...range, end: f.toMs / 1000 } : range, vars, signal)),
        );
        const { times } = alignColumns([], range);
        return {
                names: parts.flatMap((x) => x.names),
                columns: parts.flatMap((x) => x.columns),
                times,
                range,
                warnings: [...new Set(parts.flatMap((x) => x.warnings))],
        };
}

/** Panels narrower than a step of this change nothing: no new query while a window is dragged. */
const WIDTH_STEP = 200;

export function usePanel(p: Panel, f: Frame, widthPx: number) {
        const width = Math.max(WIDTH_STEP, Math.ceil(widthPx / WIDTH_STEP) * WIDTH_STEP);
        return useQuery({
                queryKey: ["panel", p.id, p.targets, f, width],
                queryFn: ({ signal }) => runPanel(p, f, width, signal),
                enabled: widthPx > 0,
                gcTime: 0,
                placeholderData: keepPreviousData,
        });
}

export const lastValue = (c: Column | undefined): number | null => c?.findLast((v) => v !== null) ?? null;
