// SPDX-License-Identifier: Apache-2.0
import { ActionIcon, Group, SegmentedControl, Select, Text, TextInput } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useId, useMemo, useState } from "react";
import { api, type RangeResult } from "../lib/api";
import { formatDuration, parseDuration, stepRange } from "../lib/duration";
import { fetchingParams, type PanelState, type Resolution, stepMs } from "../lib/queryState";
import { formatSeries } from "../lib/series";
import { useSettings } from "../lib/settings";
import { Icon } from "../ui/icons";
import { ErrorBox, Loading, Note } from "../ui/parts";
import { alignColumns } from "../viz/align";
import { Chart } from "../viz/Chart";
import { Legend } from "../viz/Legend";
import { Examples } from "./Examples";
import { SWITCHES } from "./FetchingInput";
import { Figures, Notices } from "./results";
import { TimeInput } from "./TimeInput";

interface Props {
        state: PanelState;
        runs: number;
        onChange: (change: Partial<PanelState>) => void;
}

export function GraphTab({ state, runs, onChange }: Props) {
        const id = useId();
        const { utc } = useSettings();
        const { expr, endMs, rangeMs } = state;
        const step = stepMs(state.resolution, rangeMs);
        const how = fetchingParams(state.fetching, SWITCHES);
        const query = useQuery({
                queryKey: ["range", id, expr, endMs, rangeMs, step, how, runs],
                queryFn: async ({ signal }) => {
                        const end = (endMs ?? Date.now()) / 1000;
                        const range = { start: end - rangeMs / 1000, end, step: step / 1000 };
                        const answer = await api<RangeResult>(
                                "query_range",
                                { query: expr, start: String(range.start), end: String(range.end), step: String(range.step), ...how },
                                { signal, post: true },
                        );
                        return { answer, range };
                },
                enabled: expr.trim() !== "",
                gcTime: 0,
                placeholderData: keepPreviousData, // the old picture stays until the new one is there
        });
        const found = query.data;
        const result = found?.answer.data.result;
        const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
        const names = useMemo(() => (result ?? []).map((s) => ({ name: formatSeries(s.metric), labels: s.metric })), [result]);
        const which = names.map((n) => n.name).join("\n");
        // biome-ignore lint/correctness/useExhaustiveDependencies: other series, nothing hidden
        useEffect(() => setHidden(new Set()), [which]);
        const aligned = useMemo(() => (found ? alignColumns(found.answer.data.result, found.range) : null), [found]);
        const histograms = result?.some((s) => s.histograms?.length) ?? false;

        return (
                <>
                        <Group mb="sm" gap="sm" justify="space-between">
                                <Group gap="sm">
                                        <RangeInput rangeMs={rangeMs} onChange={(ms) => onChange({ rangeMs: ms })} />
                                        <TimeInput
                                                label="End time"
                                                endMs={endMs}
                                                rangeMs={rangeMs}
                                                onChange={(t) => onChange({ endMs: t })}
                                        />
                                        <ResolutionInput
                                                resolution={state.resolution}
                                                rangeMs={rangeMs}
                                                onChange={(resolution) => onChange({ resolution })}
                                        />
                                        <SegmentedControl
                                                aria-label="Display mode"
                                                value={state.displayMode === "stacked" ? "stacked" : "lines"}
                                                onChange={(displayMode) => onChange({ displayMode })}
                                                data={[
                                                        { value: "lines", label: "Unstacked" },
                                                        { value: "stacked", label: "Stacked" },
                                                ]}
                                        />
                                </Group>
                                {found && (
                                        <Figures
                                                answer={found.answer}
                                                series={found.answer.data.result.length}
                                                stepMs={found.range.step * 1000}
                                        />
                                )}
                        </Group>
                        {expr.trim() === "" ? (
                                <Examples onRun={(text) => onChange({ expr: text })} />
                        ) : query.error ? (
                                <ErrorBox title="Error executing query" error={query.error} />
                        ) : !found || !aligned ? (
                                <Loading />
                        ) : (
                                <>
                                        <Notices answer={found.answer} />
                                        {histograms && (
                                                <Note title="Histograms are not drawn">
                                                        <Text size="sm">
                                                                The result holds native histograms. Take a quantile or a rate of their count
                                                                to see a line.
                                                        </Text>
                                                </Note>
                                        )}
                                        {names.length === 0 ? (
                                                <Note title="Empty query result">
                                                        <Text size="sm">This query returned no data.</Text>
                                                </Note>
                                        ) : (
                                                <div style={{ opacity: query.isPlaceholderData ? 0.55 : 1 }}>
                                                        <Chart
                                                                label={`Graph of ${expr}`}
                                                                series={names}
                                                                times={aligned.times}
                                                                columns={aligned.columns}
                                                                range={found.range}
                                                                height={420}
                                                                utc={utc}
                                                                stacked={state.displayMode === "stacked"}
                                                                min={state.yMin ?? undefined}
                                                                hidden={hidden}
                                                                tooltip="nearest"
                                                                onSelect={(a, b) => {
                                                                        const ms = Math.max(1000, Math.round((b - a) / 1000) * 1000);
                                                                        onChange({ endMs: Math.round(b / 1000) * 1000, rangeMs: ms });
                                                                }}
                                                        />
                                                        <Legend series={names} hidden={hidden} onChange={setHidden} code />
                                                        <Text size="xs" c="dimmed" mt={4}>
                                                                Click a series to see it alone, Ctrl+click to hide or show it. Drag over the
                                                                graph to zoom.
                                                        </Text>
                                                </div>
                                        )}
                                </>
                        )}
                </>
        );
}

function RangeInput({ rangeMs, onChange }: { rangeMs: number; onChange: (ms: number) => void }) {
        const shown = formatDuration(rangeMs);
        const [text, setText] = useState(shown);
        useEffect(() => setText(shown), [shown]);
        const commit = () => {
                const ms = parseDuration(text);
                if (ms) onChange(ms);
                else setText(shown);
        };
        return (
                <Group gap={4} wrap="nowrap">
                        <ActionIcon variant="default" size={36} aria-label="Shorter range" onClick={() => onChange(stepRange(rangeMs, -1))}>
                                <Icon name="minus" size={16} />
                        </ActionIcon>
                        <TextInput
                                w={90}
                                aria-label="Range"
                                value={text}
                                onChange={(e) => setText(e.currentTarget.value)}
                                onBlur={commit}
                                onKeyDown={(e) => e.key === "Enter" && commit()}
                                styles={{ input: { textAlign: "center" } }}
                        />
                        <ActionIcon variant="default" size={36} aria-label="Longer range" onClick={() => onChange(stepRange(rangeMs, 1))}>
                                <Icon name="plus" size={16} />
                        </ActionIcon>
                </Group>
        );
}

const FIXED = ["10s", "30s", "1m", "5m", "15m", "1h"];
const CHOICES = [
        {
                group: "Automatic resolution",
                items: [
                        { value: "low", label: "Low resolution" },
                        { value: "medium", label: "Medium resolution" },
                        { value: "high", label: "High resolution" },
                ],
        },
        { group: "Fixed resolution", items: FIXED.map((d) => ({ value: d, label: d })) },
        { group: "Custom resolution", items: [{ value: "custom", label: "Custom" }] },
];

function ResolutionInput({
        resolution: r,
        rangeMs,
        onChange,
}: {
        resolution: Resolution;
        rangeMs: number;
        onChange: (r: Resolution) => void;
}) {
        const current = formatDuration(stepMs(r, rangeMs));
        const [text, setText] = useState(current);
        useEffect(() => setText(current), [current]);
        const value = r.type === "auto" ? r.density : r.type === "fixed" && FIXED.includes(current) ? current : "custom";
        const choose = (v: string | null) => {
                if (v === "low" || v === "medium" || v === "high") onChange({ type: "auto", density: v });
                else if (v === "custom") onChange({ type: "custom", stepMs: stepMs(r, rangeMs) });
                else if (v) onChange({ type: "fixed", stepMs: parseDuration(v) ?? 60_000 });
        };
        const commit = () => {
                const ms = parseDuration(text);
                if (ms) onChange({ type: "custom", stepMs: ms });
                else setText(current);
        };
        return (
                <Group gap={4} wrap="nowrap">
                        <Select
                                w={195}
                                aria-label="Resolution"
                                data={CHOICES}
                                value={value}
                                onChange={choose}
                                allowDeselect={false}
                                maxDropdownHeight={420}
                                checkIconPosition="right"
                        />
                        {value === "custom" && (
                                <TextInput
                                        w={80}
                                        aria-label="Custom resolution"
                                        value={text}
                                        onChange={(e) => setText(e.currentTarget.value)}
                                        onBlur={commit}
                                        onKeyDown={(e) => e.key === "Enter" && commit()}
                                />
                        )}
                </Group>
        );
}
