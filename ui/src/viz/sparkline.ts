// SPDX-License-Identifier: Apache-2.0
import type { Column } from "./align";

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
