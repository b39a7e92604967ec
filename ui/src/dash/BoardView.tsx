// SPDX-License-Identifier: Apache-2.0
// BoardView.tsx — a board: its variables, its time range, its panels on a grid of 24 columns. What is chosen stands in the URL.
import { ActionIcon, Group, Select, Tooltip } from "@mantine/core";
import { useEffect, useMemo, useState } from "react";
import { useApi } from "../lib/api";
import { parseDuration } from "../lib/duration";
import { useSettings } from "../lib/settings";
import { formatPoint } from "../lib/time";
import { useUrlParam } from "../lib/urlParam";
import { Icon } from "../ui/icons";
import { Loading, Note, PageTitle } from "../ui/parts";
import "./board.css";
import { interpolate, parseLabelValues, parseWhen, type Variables } from "./interpolate";
import type { Board, Variable } from "./model";
import { PanelView } from "./PanelView";

const RANGES = ["5m", "15m", "30m", "1h", "3h", "6h", "12h", "1d", "2d", "7d", "30d"];
const REFRESH = ["5s", "10s", "30s", "1m", "5m"];

/** How often the server scrapes, by its configuration: rates look over four of these. */
function useScrapeInterval(): number | null {
        const config = useApi<{ yaml: string }>("status/config");
        if (!config.data) return config.error ? 15_000 : null;
        return parseDuration(/^\s+scrape_interval: (\S+)$/m.exec(config.data.data.yaml)?.[1] ?? "") || 15_000;
}

function useNow(refreshMs: number): [number, () => void] {
        const [now, setNow] = useState(() => Date.now());
        useEffect(() => {
                if (!refreshMs) return;
                const timer = setInterval(() => {
                        if (!document.hidden) setNow(Date.now());
                }, refreshMs);
                return () => clearInterval(timer);
        }, [refreshMs]);
        return [now, () => setNow(Date.now())];
}

export function BoardView({ board }: { board: Board }) {
        const { utc } = useSettings();
        const [from, setFrom] = useUrlParam("from", board.time.from);
        const [to, setTo] = useUrlParam("to", board.time.to);
        const [refresh, setRefresh] = useUrlParam("refresh", board.refresh);
        const relative = to === "now";
        const [now, reload] = useNow(relative ? (parseDuration(refresh) ?? 0) : 0);
        const scrapeMs = useScrapeInterval();
        const variable = board.templating.list[0];
        const [vars, setVars] = useState<Variables | null>(variable ? null : {});
        const frame = useMemo(() => {
                const toMs = parseWhen(to, now) ?? now;
                const fromMs = parseWhen(from, now) ?? toMs - 3_600_000;
                return vars && scrapeMs ? { fromMs: Math.min(fromMs, toMs - 1000), toMs, scrapeMs, variables: vars } : null;
        }, [from, to, now, vars, scrapeMs]);
        const select = (a: number, b: number) => {
                setFrom(String(Math.floor(a)));
                setTo(String(Math.ceil(b)));
        };
        const choose = (range: string | null) => {
                if (!range) return;
                setFrom(`now-${range}`);
                setTo("now");
        };
        const range = relative ? (/^now-(\w+)$/.exec(from)?.[1] ?? "") : "";
        const ranges = RANGES.map((r) => ({ value: r, label: `Last ${r}` }));
        if (frame && !RANGES.includes(range))
                ranges.unshift({
                        value: range || "fixed",
                        label: range
                                ? `Last ${range}`
                                : `${formatPoint(Math.floor(frame.fromMs / 1000) * 1000, utc).slice(5)} to ${formatPoint(Math.floor(frame.toMs / 1000) * 1000, utc).slice(5)}`,
                });
        const zoomOut = () => {
                if (!frame) return;
                const half = (frame.toMs - frame.fromMs) / 2;
                select(frame.fromMs - half, Math.min(Date.now(), frame.toMs + half));
        };
        return (
                <>
                        <PageTitle
                                right={
                                        <Group gap="xs">
                                                {variable && (
                                                        <VariableSelect
                                                                variable={variable}
                                                                onChange={(v) => setVars({ [variable.name]: v })}
                                                        />
                                                )}
                                                <Select
                                                        w={range === "" ? 270 : 150}
                                                        aria-label="Time range"
                                                        data={ranges}
                                                        value={range || "fixed"}
                                                        onChange={(v) => choose(v === "fixed" ? null : v)}
                                                        allowDeselect={false}
                                                        leftSection={<Icon name="clock" size={16} />}
                                                />
                                                <Tooltip label="Zoom out">
                                                        <ActionIcon variant="default" size={36} aria-label="Zoom out" onClick={zoomOut}>
                                                                <Icon name="minus" size={16} />
                                                        </ActionIcon>
                                                </Tooltip>
                                                <Select
                                                        w={120}
                                                        aria-label="Refresh"
                                                        data={[
                                                                { value: "off", label: "No refresh" },
                                                                ...REFRESH.map((r) => ({ value: r, label: `Every ${r}` })),
                                                        ]}
                                                        value={refresh}
                                                        onChange={(v) => setRefresh(v ?? "off")}
                                                        allowDeselect={false}
                                                        disabled={!relative}
                                                />
                                                <Tooltip label="Refresh now">
                                                        <ActionIcon variant="default" size={36} aria-label="Refresh now" onClick={reload}>
                                                                <Icon name="refresh" size={16} />
                                                        </ActionIcon>
                                                </Tooltip>
                                        </Group>
                                }
                        >
                                {board.title}
                        </PageTitle>
                        {frame ? (
                                <div className="board">
                                        {board.panels.map((p) => (
                                                <div
                                                        key={p.id}
                                                        className="board-cell"
                                                        style={{
                                                                gridColumn: `${p.gridPos.x + 1} / span ${p.gridPos.w}`,
                                                                gridRow: `${p.gridPos.y + 1} / span ${p.gridPos.h}`,
                                                        }}
                                                        data-size={p.gridPos.w > 8 ? "wide" : "small"}
                                                >
                                                        <PanelView panel={p} frame={frame} syncKey={board.uid} onSelect={select} />
                                                </div>
                                        ))}
                                </div>
                        ) : (
                                <Loading />
                        )}
                </>
        );
}

function VariableSelect({ variable, onChange }: { variable: Variable; onChange: (v: string) => void }) {
        const q = parseLabelValues(interpolate(variable.query, {})) ?? { selector: "", label: "" };
        const values = useApi<string[]>(`label/${q.label}/values`, q.selector ? { "match[]": q.selector } : {}, { refetchMs: 60_000 });
        const [chosen, setChosen] = useUrlParam(`var-${variable.name}`);
        const list = values.data?.data ?? [];
        const value = chosen || list[0] || "";
        // biome-ignore lint/correctness/useExhaustiveDependencies: onChange is made anew each time
        useEffect(() => {
                if (values.data || values.error) onChange(value);
        }, [value, values.data === undefined, values.error]);
        if (values.data && list.length === 0 && !chosen)
                return (
                        <Note title="No host yet">
                                No series of <code>{q.selector}</code> was found in the last hours.
                        </Note>
                );
        return (
                <Select
                        w={230}
                        aria-label={variable.label}
                        data={list.includes(value) || !value ? list : [value, ...list]}
                        value={value || null}
                        onChange={(v) => v && setChosen(v)}
                        allowDeselect={false}
                        searchable
                        leftSection={<Icon name="host" size={16} />}
                />
        );
}
