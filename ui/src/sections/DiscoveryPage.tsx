// SPDX-License-Identifier: Apache-2.0
import { Accordion, Group, SegmentedControl, Stack, Table, Text } from "@mantine/core";
import { useMemo, useState } from "react";
import { useApi } from "../lib/api";
import { useUrlParam } from "../lib/urlParam";
import { FilterInput, LabelBadges, Loaded, Note, PageTitle, StateBadge } from "../ui/parts";
import { type DiscoveredPool, discoveredPools } from "./discovered";
import type { TargetsAnswer } from "./targets";

const FIRST = 500;
const NONE: TargetsAnswer = { activeTargets: [], droppedTargets: [] };

export default function DiscoveryPage() {
        const targets = useApi<TargetsAnswer>("targets", {}, { refetchMs: 15_000 });
        const names = useApi<{ scrapePools: string[] }>("scrape_pools");
        const [filter, setFilter] = useUrlParam("search");
        const [which, setWhich] = useUrlParam("state");
        const [collapsed, setCollapsed] = useState<string[]>([]);
        const pools = useMemo(
                () => discoveredPools(names.data?.data.scrapePools ?? [], targets.data?.data ?? NONE, filter, which),
                [names.data, targets.data, filter, which],
        );
        return (
                <>
                        <PageTitle>Service discovery</PageTitle>
                        <Group mb="md" gap="sm">
                                <SegmentedControl
                                        aria-label="State"
                                        value={which}
                                        onChange={setWhich}
                                        data={[
                                                { value: "", label: "All" },
                                                { value: "active", label: "Active" },
                                                { value: "dropped", label: "Dropped" },
                                        ]}
                                />
                                <FilterInput flex={1} miw={200} label="Filter by labels" value={filter} onChange={setFilter} />
                        </Group>
                        <Loaded query={targets}>
                                {() => (
                                        <Stack gap="sm">
                                                {pools.length === 0 && (
                                                        <Note title="No scrape pools found">
                                                                <Text size="sm">The configuration names nothing to scrape.</Text>
                                                        </Note>
                                                )}
                                                <Accordion
                                                        multiple
                                                        variant="separated"
                                                        order={2}
                                                        value={pools.map((p) => p.name).filter((n) => !collapsed.includes(n))}
                                                        onChange={(open) =>
                                                                setCollapsed(pools.map((p) => p.name).filter((n) => !open.includes(n)))
                                                        }
                                                >
                                                        {pools.map((p) => (
                                                                <Accordion.Item
                                                                        key={p.name}
                                                                        value={p.name}
                                                                        className={`pool pool-${p.active > 0 ? "ok" : "none"}`}
                                                                >
                                                                        <Accordion.Control>
                                                                                <Group gap="xs">
                                                                                        <Text fw={600} span>
                                                                                                {p.name}
                                                                                        </Text>
                                                                                        <Text span c="dimmed">
                                                                                                ({p.active} / {p.total} active targets)
                                                                                        </Text>
                                                                                </Group>
                                                                        </Accordion.Control>
                                                                        <Accordion.Panel>
                                                                                <PoolTable pool={p} />
                                                                        </Accordion.Panel>
                                                                </Accordion.Item>
                                                        ))}
                                                </Accordion>
                                        </Stack>
                                )}
                        </Loaded>
                </>
        );
}

function PoolTable({ pool: p }: { pool: DiscoveredPool }) {
        if (p.total === 0)
                return (
                        <Text size="sm" c="dimmed">
                                No targets were discovered for this pool.
                        </Text>
                );
        const top = { verticalAlign: "top" } as const;
        return (
                <>
                        {p.forgotten > 0 && (
                                <Note title="Not all dropped targets are known">
                                        <Text size="sm">
                                                {p.forgotten} more were dropped than the setting keep_dropped_targets lets the server
                                                remember.
                                        </Text>
                                </Note>
                        )}
                        <Table.ScrollContainer minWidth={600}>
                                <Table aria-label={`Discovered for ${p.name}`}>
                                        <Table.Thead>
                                                <Table.Tr>
                                                        <Table.Th w="50%">Discovered labels</Table.Th>
                                                        <Table.Th>Target labels</Table.Th>
                                                </Table.Tr>
                                        </Table.Thead>
                                        <Table.Tbody>
                                                {p.shown.slice(0, FIRST).map((f) => (
                                                        <Table.Tr key={JSON.stringify([f.discovered, f.labels])}>
                                                                <Table.Td style={top}>
                                                                        <LabelBadges labels={f.discovered} />
                                                                </Table.Td>
                                                                <Table.Td style={top}>
                                                                        {f.labels ? (
                                                                                <LabelBadges labels={f.labels} />
                                                                        ) : (
                                                                                <StateBadge state="dropped" />
                                                                        )}
                                                                </Table.Td>
                                                        </Table.Tr>
                                                ))}
                                        </Table.Tbody>
                                </Table>
                        </Table.ScrollContainer>
                        {p.shown.length > FIRST && (
                                <Text size="sm" c="dimmed">
                                        The first {FIRST} of {p.shown.length}: the filter finds the others.
                                </Text>
                        )}
                </>
        );
}
