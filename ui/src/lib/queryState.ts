// SPDX-License-Identifier: Apache-2.0
// queryState.ts — the panels of the query page, and how they stand in the URL. The names are upstream's, so that links work in both.
import { formatDuration, parseDuration } from "./duration";
import { formatPoint, parseTime } from "./time";

export type Resolution = { type: "auto"; density: "low" | "medium" | "high" } | { type: "fixed" | "custom"; stepMs: number };

/** How a querier, or a server with a bucket, shall answer. */
export interface Fetching {
        dedup: boolean;
        partialResponse: boolean;
        /** "auto", or the coarsest step that stored data may have: "0s", "5m", "1h". */
        maxSourceResolution: string;
        /** Selectors of stores, as JSON. Kept for others: we do not show them. */
        storeMatches: string;
}

/** What of it the backend understands. */
export interface Switches {
        partial: boolean;
        querier: boolean;
}
export const NO_SWITCHES: Switches = { partial: false, querier: false };

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
        fetching: Fetching;
}

export const newPanel = (partialResponse = true): PanelState => ({
        expr: "",
        tab: "table",
        endMs: null,
        rangeMs: 3_600_000,
        resolution: { type: "auto", density: "medium" },
        displayMode: "lines",
        yMin: null,
        showTree: false,
        showExemplars: false,
        fetching: { dedup: true, partialResponse, maxSourceResolution: "0s", storeMatches: "[]" },
});

/** The parameters of the API that say it. */
export function fetchingParams(f: Fetching, has: Switches): Record<string, string> {
        return {
                ...(has.querier ? { dedup: String(f.dedup), max_source_resolution: f.maxSourceResolution } : {}),
                ...(has.partial || has.querier ? { partial_response: String(f.partialResponse) } : {}),
        };
}

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

export function decodePanels(search: string, partialResponse = true): PanelState[] {
        const params = new URLSearchParams(search);
        const out: PanelState[] = [];
        for (let i = 0; params.has(`g${i}.expr`); i++) {
                const get = (name: string) => params.get(`g${i}.${name}`);
                const p = newPanel(partialResponse);
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
                const flag = (name: string, fallback: boolean) => (get(name) === null ? fallback : get(name) === "1");
                p.fetching = {
                        dedup: flag("deduplicate", p.fetching.dedup),
                        partialResponse: flag("partial_response", p.fetching.partialResponse),
                        maxSourceResolution: get("max_source_resolution") ?? p.fetching.maxSourceResolution,
                        storeMatches: get("store_matches") ?? p.fetching.storeMatches,
                };
                out.push(p);
        }
        return out;
}

export function encodePanels(panels: PanelState[], has: Switches = NO_SWITCHES): string {
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
                if (has.querier) {
                        add("deduplicate", p.fetching.dedup ? "1" : "0");
                        add("max_source_resolution", p.fetching.maxSourceResolution);
                        add("store_matches", p.fetching.storeMatches);
                }
                if (has.querier || has.partial) add("partial_response", p.fetching.partialResponse ? "1" : "0");
        });
        return params.toString();
}
