// SPDX-License-Identifier: Apache-2.0
// Stat.tsx — one value in large letters, and how it went behind it.
import type { Column } from "./align";
import { formatParts } from "./format";
import { sparkline } from "./sparkline";

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
                                                stroke={color ?? "var(--mantine-color-blue-5)"}
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
