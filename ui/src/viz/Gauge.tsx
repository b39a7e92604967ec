// SPDX-License-Identifier: Apache-2.0
// Gauge.tsx — an arc from min to max, a thin ring with the thresholds around it.
import type { Threshold } from "../dash/model";
import { formatUnit } from "./format";
import { namedColor } from "./palette";

interface Props {
        label: string;
        value: number | null;
        min: number;
        max: number;
        unit?: string | undefined;
        decimals?: number | undefined;
        steps: Threshold[];
        dark: boolean;
        height: number;
}

const SWEEP = 240;

function point(share: number, r: number): string {
        const a = ((-90 - SWEEP / 2 + share * SWEEP) * Math.PI) / 180;
        return `${(50 + r * Math.cos(a)).toFixed(2)} ${(50 + r * Math.sin(a)).toFixed(2)}`;
}

function arc(from: number, to: number, r: number): string {
        return `M${point(from, r)}A${r} ${r} 0 ${(to - from) * SWEEP > 180 ? 1 : 0} 1 ${point(to, r)}`;
}

export function Gauge({ label, value, min, max, unit, decimals, steps, dark, height }: Props) {
        const share = (v: number) => Math.max(0, Math.min(1, (v - min) / (max - min || 1)));
        const at = value === null || Number.isNaN(value) ? 0 : share(value);
        const color = namedColor(steps.findLast((s) => value !== null && (s.value === null || value >= s.value))?.color ?? "blue", dark);
        const text = formatUnit(value, unit, decimals);
        return (
                <svg
                        viewBox="0 0 100 82"
                        role="img"
                        aria-label={`${label}: ${text}`}
                        data-value={text}
                        style={{ width: "100%", height, display: "block" }}
                >
                        <path d={arc(0, 1, 40)} fill="none" stroke="var(--mantine-color-default-border)" strokeWidth={9} />
                        {at > 0 && <path d={arc(0, at, 40)} fill="none" stroke={color} strokeWidth={9} />}
                        {steps.map((s, i) => {
                                const from = s.value === null ? 0 : share(s.value);
                                const next = steps[i + 1]?.value;
                                const to = next === null || next === undefined ? 1 : share(next);
                                return (
                                        to > from && (
                                                <path
                                                        key={s.value}
                                                        d={arc(from, to, 47)}
                                                        fill="none"
                                                        stroke={namedColor(s.color, dark)}
                                                        strokeWidth={2}
                                                />
                                        )
                                );
                        })}
                        <text x="50" y="57" textAnchor="middle" fontSize="15.5" fontWeight="650" fill="currentColor">
                                {text}
                        </text>
                </svg>
        );
}
