// SPDX-License-Identifier: Apache-2.0
// Chart.tsx — lines or stacked areas over time, drawn by uPlot. Knows nothing of queries: columns in, picture out.
import { useComputedColorScheme } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./chart.css";
import { formatPoint, timeTicks } from "../lib/time";
import { type Column, type Range, stackColumns } from "./align";
import { formatTicks, formatUnit, isBinary } from "./format";
import { seriesColor } from "./palette";
import { Tooltip } from "./tooltip";

export interface ChartSeries {
        /** For the legend. */
        name: string;
        /** For the tooltip, instead of the name. */
        labels?: Record<string, string>;
        color?: string;
}

interface Props {
        series: ChartSeries[];
        times: number[];
        columns: Column[];
        range: Range;
        height: number;
        utc: boolean;
        unit?: string | undefined;
        stacked?: boolean;
        fillOpacity?: number;
        min?: number | undefined;
        max?: number | undefined;
        hidden?: ReadonlySet<number>;
        /** All series in the tooltip, or the nearest one with its labels. */
        tooltip?: "all" | "nearest";
        /** Charts of one key share the crosshair. */
        syncKey?: string;
        label: string;
        onSelect?: (startMs: number, endMs: number) => void;
}

const NONE: ReadonlySet<number> = new Set();
const BINARY_STEPS = Array.from({ length: 60 }, (_, i) => 2 ** i);
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

function alpha(color: string, a: number): string {
        if (color.startsWith("#"))
                return (
                        color +
                        Math.round(a * 255)
                                .toString(16)
                                .padStart(2, "0")
                );
        return color.replace(/\)$/, ` / ${a})`);
}

export function Chart(p: Props) {
        const { ref: sizeRef, width } = useElementSize();
        const host = useRef<HTMLDivElement>(null);
        const plot = useRef<uPlot | null>(null);
        const dark = useComputedColorScheme("light") === "dark";
        const hidden = p.hidden ?? NONE;
        const stacked = p.stacked ?? false;

        const drawn = useMemo(() => (stacked ? stackColumns(p.columns, (i) => hidden.has(i)) : p.columns), [p.columns, stacked, hidden]);
        const data = useMemo<uPlot.AlignedData>(() => [p.times, ...drawn], [p.times, drawn]);
        // What changes without a new chart is read through this.
        const now = useRef({ ...p, data });
        now.current = { ...p, data };

        const shape = JSON.stringify([
                p.series.map((s) => [s.name, s.color]),
                [...hidden],
                stacked,
                p.unit,
                p.utc,
                p.fillOpacity,
                p.min,
                p.max,
                p.tooltip,
                p.syncKey,
                dark,
        ]);

        // biome-ignore lint/correctness/useExhaustiveDependencies: shape stands for all options that need a new chart
        useEffect(() => {
                const target = host.current;
                if (!target || width === 0) return;
                const { series, unit, utc, height } = now.current;
                const ink = dark ? "#c1c2c5" : "#495057";
                const grid = dark ? "rgba(255,255,255,0.09)" : "rgba(0,0,0,0.08)";
                const tip = new Tooltip(target, () => {
                        const c = now.current;
                        return {
                                series: c.series,
                                columns: c.columns,
                                times: c.times,
                                drawn: c.data,
                                all: c.tooltip === "all",
                                format: (v) => formatUnit(v, c.unit ?? "none", c.unit ? undefined : 12),
                                time: (s) => formatPoint(s * 1000, c.utc),
                                hidden: c.hidden ?? NONE,
                                color: (i) => c.series[i]?.color ?? seriesColor(i, dark),
                        };
                });
                const colors = series.map((s, i) => s.color ?? seriesColor(i, dark));
                const fill = stacked ? Math.max(0.3, p.fillOpacity ?? 0) : (p.fillOpacity ?? 0);
                const below = (i: number) => {
                        for (let k = i - 1; k >= 0; k--) if (!hidden.has(k)) return k + 1;
                        return 0;
                };
                const opts: uPlot.Options = {
                        width,
                        height,
                        padding: [10, 12, 0, 0],
                        tzDate: (s) => (utc ? uPlot.tzDate(new Date(s * 1000), "Etc/UTC") : new Date(s * 1000)),
                        legend: { show: false },
                        cursor: {
                                drag: { x: true, y: false, setScale: false },
                                points: { size: 7, one: series.length > 100 },
                                focus: { prox: 1e6 },
                                ...(p.syncKey ? { sync: { key: p.syncKey, setSeries: false } } : {}),
                        },
                        // Dimming the others draws all anew at every move: fine for some, slow for hundreds.
                        focus: { alpha: series.length > 1 && series.length <= 100 && p.tooltip !== "all" ? 0.35 : 1 },
                        scales: {
                                x: { time: true, range: () => [now.current.range.start, now.current.range.end] },
                                y: {
                                        range: (_u, lo, hi) => {
                                                const { min, max } = now.current;
                                                if (lo === null || hi === null || !Number.isFinite(lo) || !Number.isFinite(hi))
                                                        return [min ?? 0, max ?? 1];
                                                const from = stacked || fill > 0 ? Math.min(0, lo) : lo;
                                                const [a, b] = uPlot.rangeNum(from, from === hi && from === 0 ? 1 : hi, 0.08, true);
                                                return [min ?? a ?? 0, max === undefined ? (b ?? 1) : Math.max(max, hi)];
                                        },
                                },
                        },
                        axes: [
                                {
                                        stroke: ink,
                                        font: FONT,
                                        grid: { stroke: grid, width: 1 },
                                        ticks: { stroke: grid, width: 1, size: 5 },
                                        space: 70,
                                        size: 40,
                                        values: (_u, ticks, _axis, _space, step) => timeTicks(ticks, step, utc),
                                },
                                {
                                        stroke: ink,
                                        font: FONT,
                                        grid: { stroke: grid, width: 1 },
                                        ticks: { show: false },
                                        space: 28,
                                        values: (_u, ticks) => formatTicks(ticks, unit),
                                        size: (u, values) => {
                                                u.ctx.font = FONT;
                                                const widest = Math.max(0, ...(values ?? []).map((v) => u.ctx.measureText(v).width));
                                                return Math.ceil(widest) + 16;
                                        },
                                        ...(isBinary(unit) ? { incrs: BINARY_STEPS } : {}),
                                },
                        ],
                        series: [
                                {},
                                ...series.map((s, i) => ({
                                        label: s.name,
                                        stroke: colors[i] ?? ink,
                                        width: 1.5,
                                        show: !hidden.has(i),
                                        points: { show: lonely },
                                        ...(fill > 0 ? { fill: alpha(colors[i] ?? ink, fill) } : {}),
                                })),
                        ],
                        bands: stacked
                                ? series.flatMap((_, i) =>
                                          below(i) > 0 && !hidden.has(i) ? [{ series: [i + 1, below(i)] as [number, number] }] : [],
                                  )
                                : [],
                        hooks: {
                                setCursor: [(u) => tip.move(u)],
                                setSelect: [
                                        (u) => {
                                                const { left, width: w } = u.select;
                                                if (w > 4)
                                                        now.current.onSelect?.(
                                                                u.posToVal(left, "x") * 1000,
                                                                u.posToVal(left + w, "x") * 1000,
                                                        );
                                                if (w > 0) u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
                                        },
                                ],
                        },
                };
                const u = new uPlot(opts, now.current.data, target);
                plot.current = u;
                return () => {
                        tip.remove();
                        u.destroy();
                        plot.current = null;
                };
        }, [shape, width === 0]);

        useEffect(() => {
                if (plot.current && plot.current.data !== data) plot.current.setData(data);
        }, [data]);
        useEffect(() => {
                if (width > 0) plot.current?.setSize({ width, height: p.height });
        }, [width, p.height]);

        const points = useMemo(
                () => p.columns.reduce((n, c) => n + c.reduce<number>((k, v) => k + (v === null ? 0 : 1), 0), 0),
                [p.columns],
        );
        return (
                <div ref={sizeRef} style={{ height: p.height }}>
                        <div
                                ref={host}
                                className="chart"
                                role="img"
                                aria-label={`${p.label}: ${p.series.length} series from ${formatPoint(p.range.start * 1000, p.utc)} to ${formatPoint(p.range.end * 1000, p.utc)}`}
                                data-chart-series={p.series.length}
                                data-chart-points={points}
                        />
                </div>
        );
}

/** Points are drawn only where a line would not show: samples without neighbours. */
const lonely: uPlot.Series.Points.Show = (u, i, from, to) => {
        const col = u.data[i];
        if (!col || to - from > 2000) return false;
        for (let k = from; k <= to; k++) if (col[k] != null && col[k - 1] == null && col[k + 1] == null) return true;
        return false;
};
