// SPDX-License-Identifier: Apache-2.0
import { Alert, Button, Group, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { memo, useId, useState } from "react";
import { api, type Histogram, type InstantResult } from "../lib/api";
import { fetchingParams, type PanelState } from "../lib/queryState";
import { formatSeries } from "../lib/series";
import { useSettings } from "../lib/settings";
import { formatPoint } from "../lib/time";
import { Copy, ErrorBox, Loading, Note } from "../ui/parts";
import { Examples } from "./Examples";
import { SWITCHES } from "./FetchingInput";
import { Figures, Notices } from "./results";
import { TimeInput } from "./TimeInput";

/** Rows beyond these wait for a click; coloured labels beyond these cost too much. */
const FIRST_ROWS = 10_000;
const COLOURED_ROWS = 1000;

interface Props {
        state: PanelState;
        runs: number;
        onChange: (change: Partial<PanelState>) => void;
}

export function TableTab({ state, runs, onChange }: Props) {
        const id = useId();
        const { expr, endMs } = state;
        const how = fetchingParams(state.fetching, SWITCHES);
        const query = useQuery({
                queryKey: ["instant", id, expr, endMs, how, runs],
                queryFn: ({ signal }) =>
                        api<InstantResult>(
                                "query",
                                { query: expr, time: String((endMs ?? Date.now()) / 1000), ...how },
                                { signal, post: true },
                        ),
                enabled: expr.trim() !== "",
                gcTime: 0,
        });
        const { data: answer } = query;
        return (
                <>
                        <Group justify="space-between" mb="sm">
                                <TimeInput
                                        label="Evaluation time"
                                        endMs={endMs}
                                        rangeMs={state.rangeMs}
                                        onChange={(t) => onChange({ endMs: t })}
                                />
                                {answer && <Figures answer={answer} series={isList(answer.data) ? answer.data.result.length : 1} />}
                        </Group>
                        {expr.trim() === "" ? (
                                <Examples onRun={(text) => onChange({ expr: text })} />
                        ) : query.error ? (
                                <ErrorBox title="Error executing query" error={query.error} />
                        ) : !answer ? (
                                <Loading />
                        ) : (
                                <>
                                        <Notices answer={answer} />
                                        <Result result={answer.data} />
                                </>
                        )}
                </>
        );
}

const isList = (r: InstantResult): r is Extract<InstantResult, { result: unknown[] }> & { resultType: "vector" | "matrix" } =>
        r.resultType === "vector" || r.resultType === "matrix";

function Result({ result }: { result: InstantResult }) {
        const [all, setAll] = useState(false);
        if (!isList(result))
                return (
                        <Table>
                                <Table.Tbody>
                                        <Table.Tr>
                                                <Table.Td>{result.resultType}</Table.Td>
                                                <Table.Td className="num mono">{result.result[1]}</Table.Td>
                                        </Table.Tr>
                                </Table.Tbody>
                        </Table>
                );
        const n = result.result.length;
        if (n === 0)
                return (
                        <Note title="Empty query result">
                                <Text size="sm">This query returned no data.</Text>
                        </Note>
                );
        const rows = all ? result.result : result.result.slice(0, FIRST_ROWS);
        return (
                <>
                        {n > COLOURED_ROWS && (
                                <Text size="xs" c="dimmed" mb={4}>
                                        More than {COLOURED_ROWS} series: labels are shown without colours.
                                </Text>
                        )}
                        <Table highlightOnHover verticalSpacing={3} aria-label="Query result">
                                <Table.Tbody>
                                        {rows.map((s) => (
                                                <Row key={formatSeries(s.metric)} series={s} coloured={n <= COLOURED_ROWS} />
                                        ))}
                                </Table.Tbody>
                        </Table>
                        {rows.length < n && (
                                <Alert color="blue" mt="sm">
                                        {n} series were found, the first {FIRST_ROWS} are shown.{" "}
                                        <Button size="compact-xs" variant="light" onClick={() => setAll(true)}>
                                                Show all
                                        </Button>
                                </Alert>
                        )}
                </>
        );
}

type AnySeries = Extract<InstantResult, { resultType: "vector" | "matrix" }>["result"][number];

const Row = memo(function Row({ series: s, coloured }: { series: AnySeries; coloured: boolean }) {
        const { utc } = useSettings();
        return (
                <Table.Tr>
                        <Table.Td className="mono series-cell">
                                {coloured ? <SeriesName labels={s.metric} /> : formatSeries(s.metric)}
                                <Copy text={formatSeries(s.metric)} label="Copy the series" />
                        </Table.Td>
                        <Table.Td className="num mono" style={{ verticalAlign: "top" }}>
                                {"value" in s && s.value?.[1]}
                                {"histogram" in s && s.histogram && <HistogramText h={s.histogram[1]} />}
                                {"values" in s &&
                                        s.values?.map(([t, v]) => (
                                                <div key={t} title={formatPoint(t * 1000, utc)}>
                                                        {v} @{t}
                                                </div>
                                        ))}
                                {"histograms" in s &&
                                        s.histograms?.map(([t, h]) => (
                                                <div key={t}>
                                                        <HistogramText h={h} /> @{t}
                                                </div>
                                        ))}
                        </Table.Td>
                </Table.Tr>
        );
});

function SeriesName({ labels }: { labels: Record<string, string> }) {
        const { __name__: name, ...rest } = labels;
        const pairs = Object.entries(rest);
        return (
                <>
                        {name && <span className="series-metric">{name}</span>}
                        {(pairs.length > 0 || !name) && (
                                <>
                                        {"{"}
                                        {pairs.map(([k, v], i) => (
                                                <span key={k}>
                                                        {i > 0 && ", "}
                                                        <span className="series-label">{k}</span>=
                                                        <span className="series-value">&quot;{v}&quot;</span>
                                                </span>
                                        ))}
                                        {"}"}
                                </>
                        )}
                </>
        );
}

/** By the API's number: which ends of a bucket belong to it. */
const BOUNDS: [string, string][] = [
        ["(", "]"],
        ["[", ")"],
        ["(", ")"],
        ["[", "]"],
];

function HistogramText({ h }: { h: Histogram }) {
        return (
                <details style={{ textAlign: "left" }}>
                        <summary>
                                count {h.count}, sum {h.sum}
                        </summary>
                        {(h.buckets ?? []).map(([kind, lo, hi, n]) => {
                                const [open, close] = BOUNDS[kind] ?? ["[", "]"];
                                return (
                                        <div key={lo}>
                                                {open}
                                                {lo}, {hi}
                                                {close}: {n}
                                        </div>
                                );
                        })}
                </details>
        );
}
