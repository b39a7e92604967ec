// SPDX-License-Identifier: Apache-2.0
// PanelView.tsx — a frame with a title, and in it what the panel's type draws.
import { Card, Loader, Text, Tooltip, useComputedColorScheme } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { useMemo, useState } from "react";
import { useSettings } from "../lib/settings";
import { Icon } from "../ui/icons";
import { Chart } from "../viz/Chart";
import { Gauge } from "../viz/Gauge";
import { Legend } from "../viz/Legend";
import { namedColor, seriesColor } from "../viz/palette";
import { Stat } from "../viz/Stat";
import { type Panel, thresholdColor } from "./model";
import { type Frame, lastValue, type PanelData, usePanel } from "./runner";

const ROW = 38;
export const panelHeight = (h: number) => h * ROW + (h - 1) * 8;

interface Props {
        panel: Panel;
        frame: Frame;
        syncKey: string;
        onSelect: (fromMs: number, toMs: number) => void;
}

export function PanelView(props: Props) {
        const { panel, frame } = props;
        const { ref, width } = useElementSize();
        const query = usePanel(panel, frame, width);
        const { data } = query;
        const height = panelHeight(panel.gridPos.h) - 44;
        return (
                <Card
                        ref={ref}
                        withBorder
                        radius="md"
                        padding="xs"
                        component="section"
                        aria-label={panel.title}
                        data-panel={panel.type}
                        data-panel-ready={data || query.error ? "true" : "false"}
                        style={{ height: panelHeight(panel.gridPos.h), overflow: "visible" }}
                >
                        <div className="panel-head">
                                <h2>{panel.title}</h2>
                                {panel.description && (
                                        <Tooltip
                                                label={panel.description}
                                                multiline
                                                maw={320}
                                                events={{ hover: true, focus: true, touch: true }}
                                        >
                                                {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the text behind it must be reachable by keyboard */}
                                                <span tabIndex={0} role="note" aria-label={panel.description}>
                                                        <Icon name="info" size={14} />
                                                </span>
                                        </Tooltip>
                                )}
                                {query.error && (
                                        <Tooltip label={query.error.message} multiline maw={420}>
                                                <span role="alert" className="panel-error">
                                                        <Icon name="warning" size={15} />
                                                        <span className="sr">{query.error.message}</span>
                                                </span>
                                        </Tooltip>
                                )}
                        </div>
                        {data ? (
                                data.names.length === 0 ? (
                                        <Empty height={height} />
                                ) : (
                                        <Drawing {...props} data={data} width={width} height={height} />
                                )
                        ) : (
                                <div className="panel-empty" style={{ height }}>
                                        {query.error ? <Text size="sm">Failed</Text> : <Loader size="sm" type="dots" />}
                                </div>
                        )}
                </Card>
        );
}

function Empty({ height }: { height: number }) {
        return (
                <div className="panel-empty" style={{ height }}>
                        <Text size="sm" c="dimmed">
                                No data
                        </Text>
                </div>
        );
}

function Drawing({ panel, data, width, height, syncKey, onSelect }: Props & { data: PanelData; width: number; height: number }) {
        const { defaults, overrides } = panel.fieldConfig;
        const dark = useComputedColorScheme("light") === "dark";
        const { utc } = useSettings();
        const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
        const series = useMemo(
                () =>
                        data.names.map((name, i) => {
                                const fixed = overrides.find((o) => o.matcher.options === name)?.properties.find((p) => p.id === "color");
                                return { name, color: fixed ? namedColor(fixed.value.fixedColor, dark) : seriesColor(i, dark) };
                        }),
                [data.names, overrides, dark],
        );
        const value = lastValue(data.columns[0]);
        const steps = defaults.thresholds?.steps;
        const color = thresholdColor(value, steps);
        if (panel.type === "gauge")
                return (
                        <Gauge
                                label={panel.title}
                                value={value}
                                min={defaults.min ?? 0}
                                max={defaults.max ?? 100}
                                unit={defaults.unit}
                                decimals={defaults.decimals}
                                steps={steps ?? []}
                                dark={dark}
                                height={height}
                        />
                );
        if (panel.type === "stat")
                return (
                        <Stat
                                label={panel.title}
                                value={value}
                                name={data.names.length > 1 ? data.names[0] : undefined}
                                unit={defaults.unit}
                                decimals={defaults.decimals}
                                color={panel.options?.colorMode === "value" && color ? namedColor(color, dark) : undefined}
                                line={panel.options?.graphMode === "area" ? data.columns[0] : undefined}
                                height={height}
                        />
                );
        const named = series.length > 1 || panel.targets.some((t) => t.legendFormat);
        const needed = series.reduce((px, x) => px + x.name.length * 6.6 + 36, 0); // a guess at how wide the legend is
        const legend = named ? 24 * Math.min(2, Math.ceil(needed / Math.max(1, width - 20))) : 0;
        return (
                <>
                        <Chart
                                label={panel.title}
                                series={series}
                                times={data.times}
                                columns={data.columns}
                                range={data.range}
                                height={height - legend}
                                utc={utc}
                                unit={defaults.unit ?? "short"}
                                stacked={defaults.custom?.stacking?.mode === "normal"}
                                fillOpacity={(defaults.custom?.fillOpacity ?? 0) / 100}
                                min={defaults.min}
                                max={defaults.max}
                                hidden={hidden}
                                tooltip="all"
                                syncKey={syncKey}
                                onSelect={onSelect}
                        />
                        {legend > 0 && <Legend series={series} hidden={hidden} onChange={setHidden} maxHeight={legend} />}
                </>
        );
}
