// SPDX-License-Identifier: Apache-2.0
// interpolate.ts — variables in queries, names of series, and the intervals that a query is made with.
import { formatDuration } from "../lib/duration";
import { formatSeries, type Labels } from "../lib/series";

export type Variables = Record<string, string | string[]>;

const escapeRegex = (s: string) => s.replace(/[\\^$*+?.()|[\]{}/]/g, (c) => `\\${c}`);

function asText(value: string | string[], format: string | undefined): string {
        const list = Array.isArray(value) ? value : [value];
        switch (format) {
                case "raw":
                        return list.join(",");
                case "pipe":
                        return list.join("|");
                case "csv":
                        return list.join(",");
                case "queryparam":
                        return list.map((v) => encodeURIComponent(v)).join("&");
                default: {
                        if (!Array.isArray(value) && format !== "regex") return value.replace(/\\/g, "\\\\").replace(/"/g, '\\"');
                        // Inside a PromQL string, so the regex's backslashes stand twice.
                        const each = list.map((v) => escapeRegex(v).replace(/\\/g, "\\\\"));
                        return each.length === 1 ? (each[0] ?? "") : `(${each.join("|")})`;
                }
        }
}

/** $name, ${name}, ${name:format} and [[name]]. An unknown name stays as it stands. */
export function interpolate(text: string, vars: Variables): string {
        return text.replace(
                /\$\{(\w+)(?::(\w+))?\}|\$(\w+)|\[\[(\w+)\]\]/g,
                (whole, braced?: string, format?: string, bare?: string, old?: string) => {
                        const value = vars[braced ?? bare ?? old ?? ""];
                        return value === undefined ? whole : asText(value, format);
                },
        );
}

/** "{{device}} read" with the labels of a series; a label that is missing is empty. */
export function legendName(format: string | undefined, labels: Labels): string {
        if (!format) return formatSeries(labels);
        return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, name: string) => labels[name] ?? "");
}

const LADDER = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800].map(
        (s) => s * 1000,
);

/** Milliseconds between two points: one a pixel or more, a round number, and never below what the data holds. */
export function intervalMs(rangeMs: number, widthPx: number, minMs: number): number {
        const raw = rangeMs / Math.max(1, widthPx);
        return Math.max(LADDER.find((l) => l >= raw) ?? LADDER.at(-1) ?? raw, minMs);
}

export function intervalVariables(interval: number, rangeMs: number, scrapeMs: number): Variables {
        return {
                __interval: formatDuration(interval),
                __interval_ms: String(interval),
                __rate_interval: formatDuration(Math.max(interval + scrapeMs, 4 * scrapeMs)),
                __range: formatDuration(rangeMs),
                __range_s: String(Math.round(rangeMs / 1000)),
        };
}

const PARTS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** "now", "now-6h" or milliseconds since 1970. null: neither. */
export function parseWhen(text: string, nowMs: number): number | null {
        if (/^\d+$/.test(text)) return Number(text);
        const m = /^now(?:([+-])(\d+)([smhdw]))?$/.exec(text);
        if (!m) return null;
        return nowMs + (m[1] === "-" ? -1 : 1) * Number(m[2] ?? 0) * PARTS[(m[3] ?? "s") as keyof typeof PARTS];
}

/** What a query variable asks for: label_values(selector, label). */
export function parseLabelValues(query: string): { selector: string; label: string } | null {
        const m = /^\s*label_values\(\s*(?:(.+?)\s*,\s*)?([a-zA-Z_]\w*)\s*\)\s*$/.exec(query);
        return m ? { selector: m[1] ?? "", label: m[2] ?? "" } : null;
}
