// SPDX-License-Identifier: Apache-2.0
// Stat.tsx — one value in large letters, and how it went behind it.
import type { Column } from "./align";
import { formatParts } from "./format";

interface Props {
        label: string;
        value: number | null;
        name?: string | undefined;
        unit?: string | undefined;
        decimals?: number | undefined;
        color?: string | undefined;
        line?: Column | undefined;
        height: number;
}

/** An SVG path of the values over 0…100 by 0…30, or "" where there are fewer than two. */
export function sparkline(line: Column): string {
        const points = line
                .map((v, i) => [i, v] as const)
                .filter((p): p is readonly [number, number] => p[1] !== null && Number.isFinite(p[1]));
        if (points.length < 2) return "";
        const lo = Math.min(...points.map((p) => p[1]));
        const hi = Math.max(...points.map((p) => p[1]));
        const n = Math.max(1, line.length - 1);
        return points
                .map(
                        ([i, v], k) =>
                                `${k ? "L" : "M"}${((i / n) * 100).toFixed(2)} ${(28 - (hi > lo ? (v - lo) / (hi - lo) : 0.5) * 24).toFixed(2)}`,
                )
                .join("");
}

export function Stat({ label, value, name, unit, decimals, color, line, height }: Props) {
        const { text, suffix } = value === null ? { text: "–", suffix: "" } : formatParts(value, unit, decimals);
        const path = line ? sparkline(line) : "";
        const ink = color ?? "currentColor";
        return (
                <div className="stat" role="img" aria-label={`${label}: ${text}${suffix}`} data-value={text + suffix} style={{ height }}>
                        {path && (
                                <svg viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">
                                        <path
                                                d={path}
                                                fill="none"
                                                stroke={color ?? "var(--mantine-primary-color-filled)"}
                                                strokeWidth={1.6}
                                                vectorEffect="non-scaling-stroke"
                                        />
                                </svg>
                        )}
                        {name && <div className="stat-name">{name}</div>}
                        <div className="stat-value" style={{ color: ink }}>
                                {text}
                                <small>{suffix}</small>
                        </div>
                </div>
        );
}
