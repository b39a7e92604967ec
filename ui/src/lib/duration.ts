// SPDX-License-Identifier: Apache-2.0
// duration.ts — durations as PromQL writes them ("1h30m"), in milliseconds.

const UNITS: readonly (readonly [string, number])[] = [
        ["y", 31_536_000_000],
        ["w", 604_800_000],
        ["d", 86_400_000],
        ["h", 3_600_000],
        ["m", 60_000],
        ["s", 1000],
        ["ms", 1],
];
const PATTERN = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

/** Milliseconds of "1d2h3m", or null where it is no duration. "0" needs no unit. */
export function parseDuration(text: string): number | null {
        if (text === "0") return 0;
        const m = PATTERN.exec(text);
        if (!m || text === "") return null;
        return UNITS.reduce((sum, [, ms], i) => sum + Number(m[i + 1] ?? 0) * ms, 0);
}

function parts(ms: number): [number, string][] {
        const out: [number, string][] = [];
        let rest = ms;
        for (const [unit, size] of UNITS) {
                // Years and weeks only where they fit exactly: 90d says more than 12w6d.
                if ((unit === "y" || unit === "w") && rest % size !== 0) continue;
                const n = Math.floor(rest / size);
                if (n > 0) {
                        out.push([n, unit]);
                        rest -= n * size;
                }
        }
        return out;
}

/** "1h30m", as PromQL reads it back. */
export function formatDuration(ms: number): string {
        if (ms < 0) return `-${formatDuration(-ms)}`;
        const p = parts(Math.round(ms));
        return p.length ? p.map(([n, u]) => `${n}${u}`).join("") : "0s";
}

/** For reading: "1d 3h 5m", "2.345s", "12.4ms". */
export function humanDuration(ms: number): string {
        if (ms < 0) return `-${humanDuration(-ms)}`;
        if (ms === 0) return "0s";
        if (ms < 1000) return `${Number(ms.toPrecision(4))}ms`;
        if (ms < 60_000) return `${Number((ms / 1000).toFixed(3))}s`;
        return parts(Math.round(ms / 1000) * 1000)
                .map(([n, u]) => `${n}${u}`)
                .join(" ");
}

/** Steps of the range buttons. */
const RANGES = [
        "1s",
        "10s",
        "1m",
        "5m",
        "15m",
        "30m",
        "1h",
        "2h",
        "6h",
        "12h",
        "1d",
        "2d",
        "1w",
        "2w",
        "4w",
        "8w",
        "16w",
        "26w",
        "1y",
        "2y",
].map((s) => parseDuration(s) ?? 0);

/** The next longer (dir 1) or shorter (dir -1) range than ms. */
export function stepRange(ms: number, dir: 1 | -1): number {
        const next = dir === 1 ? RANGES.find((r) => r > ms) : RANGES.findLast((r) => r < ms);
        return next ?? ms;
}
