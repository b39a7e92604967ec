// SPDX-License-Identifier: Apache-2.0
// Legend.tsx — the names below a chart. A click shows one series alone, another click all again; with Ctrl a click hides or shows one.
import { Button, useComputedColorScheme } from "@mantine/core";
import { type MouseEvent, useState } from "react";
import type { ChartSeries } from "./Chart";
import { seriesColor } from "./palette";
import { toggleHidden } from "./toggle";

const FIRST = 200;

interface Props {
        series: ChartSeries[];
        hidden: ReadonlySet<number>;
        onChange: (hidden: Set<number>) => void;
        code?: boolean;
        maxHeight?: number;
}

export function Legend({ series, hidden, onChange, code, maxHeight }: Props) {
        const dark = useComputedColorScheme("light") === "dark";
        const [all, setAll] = useState(false);
        const shown = all ? series : series.slice(0, FIRST);
        const click = (i: number) => (e: MouseEvent) => onChange(toggleHidden(hidden, i, series.length, e.ctrlKey || e.metaKey));
        return (
                <>
                        <ul
                                className={`legend${code ? " code rows" : ""}`}
                                style={maxHeight ? { maxHeight } : undefined}
                                aria-label="Legend"
                        >
                                {shown.map((s, i) => (
                                        // biome-ignore lint/suspicious/noArrayIndexKey: the index is what the chart knows a series by
                                        <li key={i}>
                                                <button type="button" aria-pressed={!hidden.has(i)} onClick={click(i)}>
                                                        <span className="swatch" style={{ background: s.color ?? seriesColor(i, dark) }} />
                                                        {s.name}
                                                </button>
                                        </li>
                                ))}
                        </ul>
                        {shown.length < series.length && (
                                <Button variant="subtle" size="compact-xs" onClick={() => setAll(true)}>
                                        Show all {series.length} series
                                </Button>
                        )}
                </>
        );
}
