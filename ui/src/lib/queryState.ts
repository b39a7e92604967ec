// SPDX-License-Identifier: Apache-2.0
// queryState.ts — the panels of the query page, and how they stand in the URL. The names are upstream's, so that links work in both.
import { formatDuration, parseDuration } from "./duration";
import { formatPoint, parseTime } from "./time";

export type Resolution = { type: "auto"; density: "low" | "medium" | "high" } | { type: "fixed" | "custom"; stepMs: number };

export interface PanelState {
        expr: string;
        tab: "table" | "graph";
        /** End of the graph and time of the table; null is now. */
        endMs: number | null;
        rangeMs: number;
        resolution: Resolution;
        displayMode: string;
        yMin: number | null;
        /** Kept for others: we do not show trees or exemplars yet. */
        showTree: boolean;
        showExemplars: boolean;
}

export const newPanel = (): PanelState => ({
        expr: "",
        tab: "table",
        endMs: null,
        rangeMs: 3_600_000,
        resolution: { type: "auto", density: "medium" },
        displayMode: "lines",
        yMin: null,
        showTree: false,
        showExemplars: false,
});

const POINTS = { low: 100, medium: 250, high: 750 };

/** Milliseconds between the points of a graph. */
export function stepMs(r: Resolution, rangeMs: number): number {
        return r.type === "auto" ? Math.max(Math.floor(rangeMs / POINTS[r.density] / 1000) * 1000, 1000) : r.stepMs;
}

function decodeResolution(get: (name: string) => string | null): Resolution | undefined {
        const type = get("res_type");
        if (type === "auto") {
                const density = get("res_density");
                return density === "low" || density === "medium" || density === "high" ? { type, density } : undefined;
        }
        const seconds = Number(type === "fixed" || type === "custom" ? get("res_step") : get("step_input"));
        if (!(seconds > 0)) return undefined;
        return { type: type === "fixed" ? "fixed" : "custom", stepMs: Math.round(seconds * 1000) };
}

export function decodePanels(search: string): PanelState[] {
        const params = new URLSearchParams(search);
        const out: PanelState[] = [];
        for (let i = 0; params.has(`g${i}.expr`); i++) {
                const get = (name: string) => params.get(`g${i}.${name}`);
                const p = newPanel();
                p.expr = get("expr") ?? "";
                const tab = get("tab");
                if (tab === "graph" || tab === "0") p.tab = "graph"; // 0 and 1 are how the oldest pages numbered them
                const stacked = get("stacked");
                p.displayMode = get("display_mode") ?? (stacked === "1" ? "stacked" : "lines");
                const yMin = Number.parseFloat(get("y_axis_min") ?? "");
                p.yMin = Number.isFinite(yMin) ? yMin : null;
                p.rangeMs = parseDuration(get("range_input") ?? "") || p.rangeMs;
                p.endMs = parseTime(get("moment_input") ?? get("end_input") ?? "", true);
                p.resolution = decodeResolution(get) ?? p.resolution;
                p.showTree = get("show_tree") === "1";
                p.showExemplars = get("show_exemplars") === "1";
                out.push(p);
        }
        return out;
}

export function encodePanels(panels: PanelState[]): string {
        const params = new URLSearchParams();
        panels.forEach((p, i) => {
                const add = (name: string, value: string) => params.append(`g${i}.${name}`, value);
                add("expr", p.expr);
                add("show_tree", p.showTree ? "1" : "0");
                add("tab", p.tab);
                if (p.endMs !== null) {
                        const text = formatPoint(Math.floor(p.endMs / 1000) * 1000, true);
                        add("end_input", text);
                        add("moment_input", text);
                }
                add("range_input", formatDuration(p.rangeMs));
                add("res_type", p.resolution.type);
                if (p.resolution.type === "auto") add("res_density", p.resolution.density);
                else add("res_step", String(p.resolution.stepMs / 1000));
                add("display_mode", p.displayMode);
                if (p.yMin !== null) add("y_axis_min", String(p.yMin));
                add("show_exemplars", p.showExemplars ? "1" : "0");
        });
        return params.toString();
}
