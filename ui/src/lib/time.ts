// SPDX-License-Identifier: Apache-2.0
// time.ts — points in time as text, in the browser's zone or in UTC. One place for axis, tooltip, tables and inputs.

const two = (n: number) => String(n).padStart(2, "0");

interface Fields {
        y: number;
        mo: number;
        d: number;
        h: number;
        mi: number;
        s: number;
        ms: number;
}

function fields(ms: number, utc: boolean): Fields {
        const t = new Date(ms);
        return utc
                ? {
                          y: t.getUTCFullYear(),
                          mo: t.getUTCMonth() + 1,
                          d: t.getUTCDate(),
                          h: t.getUTCHours(),
                          mi: t.getUTCMinutes(),
                          s: t.getUTCSeconds(),
                          ms: t.getUTCMilliseconds(),
                  }
                : {
                          y: t.getFullYear(),
                          mo: t.getMonth() + 1,
                          d: t.getDate(),
                          h: t.getHours(),
                          mi: t.getMinutes(),
                          s: t.getSeconds(),
                          ms: t.getMilliseconds(),
                  };
}

function zone(ms: number, utc: boolean): string {
        if (utc) return "Z";
        const minutes = -new Date(ms).getTimezoneOffset();
        const abs = Math.abs(minutes);
        return `${minutes < 0 ? "-" : "+"}${two(Math.floor(abs / 60))}:${two(abs % 60)}`;
}

/** "2026-08-01T12:00:00Z" or with the zone's offset; "" for what is no time. */
export function formatTimestamp(ms: number, utc: boolean): string {
        if (!Number.isFinite(ms)) return "";
        const f = fields(ms, utc);
        return `${f.y}-${two(f.mo)}-${two(f.d)}T${two(f.h)}:${two(f.mi)}:${two(f.s)}${zone(ms, utc)}`;
}

/** "2026-08-01 12:00:00.250", without milliseconds where there are none. */
export function formatPoint(ms: number, utc: boolean): string {
        if (!Number.isFinite(ms)) return "";
        const f = fields(ms, utc);
        const frac = f.ms ? `.${String(f.ms).padStart(3, "0")}` : "";
        return `${f.y}-${two(f.mo)}-${two(f.d)} ${two(f.h)}:${two(f.mi)}:${two(f.s)}${frac}`;
}

/** The value of an <input type="datetime-local">. */
export function toInput(ms: number, utc: boolean): string {
        return formatPoint(Math.floor(ms / 1000) * 1000, utc).replace(" ", "T");
}

const INPUT = /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?(Z)?$/;

/** Milliseconds of "2026-08-01 12:00[:00]", or null. */
export function parseTime(text: string, utc: boolean): number | null {
        const m = INPUT.exec(text.trim());
        if (!m) return null;
        const [y, mo, d, h, mi, s] = m.slice(1, 7).map((v) => Number(v ?? 0)) as [number, number, number, number, number, number];
        const ms = Number((m[7] ?? "0").padEnd(3, "0"));
        const t = utc || m[8] ? Date.UTC(y, mo - 1, d, h, mi, s, ms) : new Date(y, mo - 1, d, h, mi, s, ms).getTime();
        return Number.isFinite(t) && mo >= 1 && mo <= 12 && d >= 1 && d <= 31 ? t : null;
}

/** "3.2s ago" of a timestamp in RFC 3339; "never" of Go's zero time. */
export function ago(rfc3339: string, nowMs: number, human: (ms: number) => string): string {
        const t = Date.parse(rfc3339);
        return !Number.isFinite(t) || t < 0 ? "never" : `${human(Math.max(0, nowMs - t))} ago`;
}

/** Texts for the ticks of a time axis, seconds; a new day says its date below. */
export function timeTicks(ticks: number[], stepSeconds: number, utc: boolean): string[] {
        let day = "";
        return ticks.map((t) => {
                const point = formatPoint(t * 1000, utc);
                const date = point.slice(0, 10);
                const fresh = day !== "" && date !== day;
                day = date;
                if (stepSeconds >= 86_400) return date.slice(stepSeconds >= 86_400 * 28 ? 0 : 5, stepSeconds >= 86_400 * 28 ? 7 : 10);
                const time = stepSeconds < 1 ? point.slice(11) : point.slice(11, stepSeconds < 60 ? 19 : 16);
                return fresh ? `${time}\n${date.slice(5)}` : time;
        });
}
