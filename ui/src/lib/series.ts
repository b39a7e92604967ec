// SPDX-License-Identifier: Apache-2.0
// series.ts — label sets and sample values as text.

export type Labels = Record<string, string>;

export const escapeValue = (s: string) => s.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
const quoteName = (s: string) => (/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(s) ? s : `"${escapeValue(s)}"`);

/** up{job="node"}, as PromQL reads it back. */
export function formatSeries(labels: Labels): string {
        const { __name__: name = "", ...rest } = labels;
        const pairs = Object.entries(rest).map(([k, v]) => `${quoteName(k)}="${escapeValue(v)}"`);
        if (name === "" || /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) return `${name}{${pairs.join(", ")}}`;
        return `{${[`"${escapeValue(name)}"`, ...pairs].join(", ")}}`;
}

/** The API's text of a sample as a number. */
export function parseValue(text: string): number {
        return text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number.parseFloat(text);
}

/** Does every word of the filter occur in the text or in a label? job=node and job:node ask for one label. */
export function matchesFilter(filter: string, labels: Labels, ...texts: string[]): boolean {
        const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
        return words.every((w) => {
                const at = w.search(/[=:]/);
                if (at > 0) {
                        const value =
                                labels[w.slice(0, at)] ?? labels[Object.keys(labels).find((k) => k.toLowerCase() === w.slice(0, at)) ?? ""];
                        if (value?.toLowerCase().includes(w.slice(at + 1).replace(/"/g, ""))) return true;
                }
                return (
                        texts.some((t) => t.toLowerCase().includes(w)) ||
                        Object.entries(labels).some(([k, v]) => k.toLowerCase().includes(w) || v.toLowerCase().includes(w))
                );
        });
}
