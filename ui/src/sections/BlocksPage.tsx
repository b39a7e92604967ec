// SPDX-License-Identifier: Apache-2.0
// BlocksPage.tsx — the blocks of the bucket on a time line, and what one of them holds.
import { Group, Stack, Table, Text } from "@mantine/core";
import { useMemo, useRef, useState } from "react";
import { useApi } from "../lib/api";
import { humanDuration } from "../lib/duration";
import { matchesFilter } from "../lib/series";
import { useSettings } from "../lib/settings";
import { ago, formatTimestamp, timeTicks } from "../lib/time";
import { useUrlParam } from "../lib/urlParam";
import { Copy, ErrorBox, FilterInput, LabelBadges, Loaded, Note, PageTitle, Section } from "../ui/parts";
import { axisTicks, type Block, type BlocksAnswer, resolutionText, type Stream, sizeBytes, timeLine } from "./blocks";
import "./blocks.css";

export default function BlocksPage() {
        const query = useApi<BlocksAnswer>("blocks", {}, { refetchMs: 30_000 });
        const [filter, setFilter] = useUrlParam("search");
        const [chosen, setChosen] = useUrlParam("block");
        return (
                <>
                        <PageTitle
                                right={
                                        query.data && (
                                                <Text size="sm" c="dimmed">
                                                        Bucket read{" "}
                                                        {ago(query.data.data.refreshedAt, Date.now(), (ms) =>
                                                                humanDuration(Math.round(ms / 1000) * 1000),
                                                        )}
                                                </Text>
                                        )
                                }
                        >
                                Blocks
                        </PageTitle>
                        <Group mb="md">
                                <FilterInput
                                        flex={1}
                                        miw={200}
                                        maw={500}
                                        label="Filter by labels, ULID or source"
                                        value={filter}
                                        onChange={setFilter}
                                />
                        </Group>
                        <Loaded query={query}>
                                {(answer) => <View answer={answer} filter={filter} chosen={chosen} onChoose={setChosen} />}
                        </Loaded>
                </>
        );
}

interface ViewProps {
        answer: BlocksAnswer;
        filter: string;
        chosen: string;
        onChoose: (ulid: string) => void;
}

function View({ answer, filter, chosen, onChoose }: ViewProps) {
        const all = answer.blocks ?? [];
        const blocks = useMemo(
                () => (answer.blocks ?? []).filter((b) => matchesFilter(filter, b.thanos.labels ?? {}, b.ulid, b.thanos.source)),
                [answer, filter],
        );
        const line = useMemo(() => timeLine(blocks), [blocks]);
        const block = blocks.find((b) => b.ulid === chosen);
        return (
                <Stack>
                        {answer.err && <ErrorBox title="The bucket could not be read" error={answer.err} />}
                        {blocks.length === 0 ? (
                                <Note title={all.length ? "No block matches" : "No blocks"}>
                                        <Text size="sm">
                                                {all.length
                                                        ? "Change the filter to see the others."
                                                        : "The bucket holds no block yet. The first comes one and a half block ranges after the start."}
                                        </Text>
                                </Note>
                        ) : (
                                <>
                                        <Text size="sm" role="status">
                                                {blocks.length === all.length ? blocks.length : `${blocks.length} of ${all.length}`} blocks
                                                in {line.streams.length} {line.streams.length === 1 ? "stream" : "streams"}. Choose one to
                                                see what it holds.
                                        </Text>
                                        {line.streams.map((s) => (
                                                <StreamSection
                                                        key={s.key}
                                                        stream={s}
                                                        minTime={line.minTime}
                                                        maxTime={line.maxTime}
                                                        chosen={chosen}
                                                        onChoose={onChoose}
                                                />
                                        ))}
                                </>
                        )}
                        {block && <Details block={block} />}
                </Stack>
        );
}

interface StreamProps {
        stream: Stream;
        minTime: number;
        maxTime: number;
        chosen: string;
        onChoose: (ulid: string) => void;
}

function StreamSection({ stream: s, minTime, maxTime, chosen, onChoose }: StreamProps) {
        const { utc } = useSettings();
        const span = Math.max(1, maxTime - minTime);
        const place = (ms: number) => ((ms - minTime) / span) * 100;
        const { step, ticks } = axisTicks(minTime, maxTime, 6);
        const texts = timeTicks(ticks, step, utc);
        const first = s.blocks[0];
        const index = useMemo(() => new Map(s.blocks.map((b, i) => [b.ulid, i])), [s]);
        // One stop of the Tab key for all blocks of a stream; arrows go on from there.
        const [at, setAt] = useState(0);
        const box = useRef<HTMLDivElement>(null);
        const move = (by: number) => {
                const next = Math.max(0, Math.min(s.blocks.length - 1, at + by));
                setAt(next);
                box.current?.querySelector<HTMLButtonElement>(`[data-ulid="${s.blocks[next]?.ulid}"]`)?.focus();
        };
        return (
                <Section
                        title={`${s.title} · ${resolutionText(s.resolution)}`}
                        icon="database"
                        right={
                                <Text size="sm" c="dimmed">
                                        {s.blocks.length} {s.blocks.length === 1 ? "block" : "blocks"}
                                        {first && `, from ${formatTimestamp(first.minTime, utc)}`}
                                </Text>
                        }
                >
                        <div
                                ref={box}
                                className="lanes"
                                role="toolbar"
                                aria-label={`Blocks of ${s.title}, ${resolutionText(s.resolution)}`}
                                onKeyDown={(e) => {
                                        const by = { ArrowRight: 1, ArrowLeft: -1, Home: -s.blocks.length, End: s.blocks.length }[e.key];
                                        if (by === undefined) return;
                                        e.preventDefault();
                                        move(by);
                                }}
                        >
                                {s.lanes.map((lane) => (
                                        <div className="lane" key={lane[0]?.ulid}>
                                                {lane.map((b) => {
                                                        const i = index.get(b.ulid) ?? 0;
                                                        return (
                                                                <button
                                                                        type="button"
                                                                        key={b.ulid}
                                                                        data-ulid={b.ulid}
                                                                        className={`block level-${Math.min(4, Math.max(1, b.compaction.level))}`}
                                                                        style={{
                                                                                left: `${place(b.minTime)}%`,
                                                                                width: `${((b.maxTime - b.minTime) / span) * 100}%`,
                                                                        }}
                                                                        aria-label={`Block ${b.ulid}, level ${b.compaction.level}, ${formatTimestamp(b.minTime, utc)} to ${formatTimestamp(b.maxTime, utc)}`}
                                                                        aria-pressed={chosen === b.ulid}
                                                                        title={`${formatTimestamp(b.minTime, utc)} to ${formatTimestamp(b.maxTime, utc)}, level ${b.compaction.level}`}
                                                                        tabIndex={i === at ? 0 : -1}
                                                                        onFocus={() => setAt(i)}
                                                                        onClick={() => onChoose(chosen === b.ulid ? "" : b.ulid)}
                                                                >
                                                                        <span aria-hidden="true">{b.compaction.level}</span>
                                                                </button>
                                                        );
                                                })}
                                        </div>
                                ))}
                        </div>
                        <div className="lane-axis" aria-hidden="true">
                                {ticks.map((t, i) => (
                                        <span key={t} style={{ left: `${place(t * 1000)}%` }}>
                                                {texts[i]}
                                        </span>
                                ))}
                        </div>
                </Section>
        );
}

const count = (n: number | undefined) => (n ?? 0).toLocaleString("en-US");

function Details({ block: b }: { block: Block }) {
        const { utc } = useSettings();
        const bytes = sizeBytes(b);
        const rows: [string, React.ReactNode][] = [
                ["From", formatTimestamp(b.minTime, utc)],
                ["To", formatTimestamp(b.maxTime, utc)],
                ["Duration", humanDuration(b.maxTime - b.minTime)],
                ["Series", count(b.stats.numSeries)],
                ["Samples", count(b.stats.numSamples)],
                ["Chunks", count(b.stats.numChunks)],
                ["Resolution", resolutionText(b.thanos.downsample.resolution)],
                ["Level", String(b.compaction.level)],
                ["Sources", count(b.compaction.sources?.length)],
                ["Source", b.thanos.source],
                ["Size", bytes ? `${(bytes / 1048576).toFixed(2)} MiB` : "not said"],
                ["External labels", <LabelBadges key="labels" labels={b.thanos.labels ?? {}} />],
        ];
        return (
                <Section title={`Block ${b.ulid}`} icon="info" right={<Copy text={b.ulid} label="Copy the ULID" />}>
                        <Table layout="fixed" aria-label={`Block ${b.ulid}`}>
                                <Table.Tbody>
                                        {rows.map(([k, v]) => (
                                                <Table.Tr key={k}>
                                                        <Table.Th w="35%" scope="row">
                                                                {k}
                                                        </Table.Th>
                                                        <Table.Td style={{ overflowWrap: "anywhere" }}>{v}</Table.Td>
                                                </Table.Tr>
                                        ))}
                                </Table.Tbody>
                        </Table>
                </Section>
        );
}
