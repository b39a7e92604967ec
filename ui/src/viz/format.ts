// SPDX-License-Identifier: Apache-2.0
// format.ts — numbers with units, by the unit names of dashboards' JSON.

export interface Text {
        text: string;
        suffix: string;
}

/** Three significant digits unless told otherwise; whole numbers stay whole. */
export function autoDecimals(v: number): number {
        if (v === 0 || Number.isInteger(v)) return 0;
        return Math.min(20, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(v)))));
}

function fixed(v: number, decimals: number | undefined): string {
        const d = Math.min(20, Math.max(0, decimals ?? autoDecimals(v)));
        const factor = 10 ** d;
        const rounded = Math.abs(v * factor) < 1e15 ? Math.round(v * factor) / factor : v;
        const text = String(rounded);
        return text.includes("e") ? text : rounded.toFixed(d);
}

type Format = (v: number, decimals?: number) => Text;

const plain =
        (suffix: string, factor = 1): Format =>
        (v, d) => ({ text: fixed(v * factor, d), suffix });

/** Divides by base until it fits; up: the prefixes, first for no division. */
const scaled =
        (base: number, up: string[]): Format =>
        (v, d) => {
                let i = 0;
                let x = v;
                while (Math.abs(x) >= base && i < up.length - 1) {
                        x /= base;
                        i++;
                }
                return { text: fixed(x, d), suffix: up[i] ?? "" };
        };

const SI = ["", "k", "M", "G", "T", "P", "E"];
const si = (unit: string) =>
        scaled(
                1000,
                SI.map((p) => ` ${p}${unit}`),
        );
const IEC = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const iec = (unit: string) =>
        scaled(
                1024,
                IEC.map((p) => ` ${p}${unit}`),
        );
const count = (unit: string) =>
        scaled(
                1000,
                ["", " K", " Mil", " Bil", " Tri", " Quadr", " Quint"].map((p) => p + unit),
        );
const rate = (unit: string) =>
        scaled(
                1000,
                ["", "K", "M", "B", "T"].map((p) => `${p} ${unit}`),
        );

const TIMES: [number, string][] = [
        [1e-9, " ns"],
        [1e-6, " µs"],
        [1e-3, " ms"],
        [1, " s"],
        [60, " mins"],
        [3600, " hours"],
        [86_400, " days"],
        [604_800, " weeks"],
        [31_536_000, " years"],
];
const time =
        (inSeconds: number): Format =>
        (v, d) => {
                const s = v * inSeconds;
                const [size, suffix] =
                        s === 0
                                ? [inSeconds, TIMES.find(([n]) => n === inSeconds)?.[1] ?? " s"]
                                : (TIMES.findLast(([n]) => Math.abs(s) >= n) ?? TIMES[0] ?? [1, " s"]);
                return { text: fixed(s / size, d), suffix };
        };

const FORMATS: Record<string, Format> = {
        none: plain(""),
        short: count(""),
        percent: plain("%"),
        percentunit: plain("%", 100),
        bytes: iec("B"),
        decbytes: si("B"),
        bits: iec("b"),
        binBps: iec("B/s"),
        Bps: si("B/s"),
        bps: si("b/s"),
        pps: rate("p/s"),
        ops: rate("ops/s"),
        iops: rate("io/s"),
        reqps: rate("req/s"),
        hertz: si("Hz"),
        ns: time(1e-9),
        ms: time(1e-3),
        s: time(1),
        celsius: plain(" °C"),
};

export function formatParts(v: number, unit = "short", decimals?: number): Text {
        if (Number.isNaN(v)) return { text: "NaN", suffix: "" };
        if (!Number.isFinite(v)) return { text: v > 0 ? "+Inf" : "-Inf", suffix: "" };
        const f = FORMATS[unit];
        return f ? f(v, decimals) : { text: fixed(v, decimals), suffix: ` ${unit}` };
}

export function formatUnit(v: number | null | undefined, unit?: string, decimals?: number): string {
        if (v === null || v === undefined) return "–";
        const { text, suffix } = formatParts(v, unit, decimals);
        return text + suffix;
}

/** Do the steps of an axis go by powers of two? */
export const isBinary = (unit: string | undefined) => unit === "bytes" || unit === "binBps" || unit === "bits";

const trimZeros = (t: string) => t.replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");

/** Texts for the ticks of an axis: with the fewest decimals that say every one exactly. */
export function formatTicks(ticks: number[], unit: string | undefined): string[] {
        const exact = ticks.map((t) => trimZeros(formatUnit(t, unit, 9)));
        for (let d = 0; d < 9; d++) {
                const texts = ticks.map((t) => formatUnit(t, unit, d));
                if (texts.every((t, i) => trimZeros(t) === exact[i])) return texts.map(trimZeros);
        }
        return exact;
}
