// SPDX-License-Identifier: Apache-2.0
import { Accordion, Alert, Anchor, Button, Group, SegmentedControl, Select, Stack, Table, Text } from "@mantine/core";
import { memo, useMemo, useState } from "react";
import { boot, isQuerier } from "../boot";
import { useApi } from "../lib/api";
import { humanDuration } from "../lib/duration";
import { useSettings, useStored } from "../lib/settings";
import { ago, formatTimestamp } from "../lib/time";
import { useUrlParam } from "../lib/urlParam";
import { Icon } from "../ui/icons";
import { ErrorBox, FilterInput, LabelBadges, Loaded, Loading, Note, PageTitle, StateBadge } from "../ui/parts";
import { groupPools, poolState, type Target, type TargetsAnswer } from "./targets";
import { Yaml } from "./Yaml";

export default function TargetsPage() {
        const targets = useApi<TargetsAnswer>("targets", { state: "active" }, { refetchMs: 10_000 });
        const names = useApi<{ scrapePools: string[] }>("scrape_pools", {}, { enabled: !isQuerier(boot) });
        const [health, setHealth] = useUrlParam("health");
        const [filter, setFilter] = useUrlParam("search");
        const [pool, setPool] = useUrlParam("pool");
        const [collapsed, setCollapsed] = useStored<string[]>("targets.collapsed", []);
        const active = targets.data?.data.activeTargets;
        const poolNames = names.data?.data.scrapePools;
        const pools = useMemo(() => groupPools(poolNames ?? [], active ?? [], filter, health), [poolNames, active, filter, health]);
        const chosen = pools.filter((p) => pool === "" || p.name === pool);
        const shown = chosen.filter((p) => p.shown.length > 0 || (filter === "" && health === ""));
        const hiddenPools = chosen.length - shown.length;
        return (
                <>
                        <PageTitle>Targets</PageTitle>
                        <Group mb="md" gap="sm">
                                <Select
                                        w={230}
                                        aria-label="Scrape pool"
                                        placeholder="All scrape pools"
                                        data={pools.map((p) => p.name)}
                                        value={pool || null}
                                        onChange={(v) => setPool(v ?? "")}
                                        clearable
                                        searchable
                                />
                                <SegmentedControl
                                        aria-label="Health"
                                        value={health}
                                        onChange={setHealth}
                                        data={[
                                                { value: "", label: "All" },
                                                { value: "up", label: "Up" },
                                                { value: "down", label: "Down" },
                                                { value: "unknown", label: "Unknown" },
                                        ]}
                                />
                                <FilterInput flex={1} miw={200} label="Filter by endpoint or labels" value={filter} onChange={setFilter} />
                                <Button variant="default" onClick={() => setCollapsed(collapsed.length ? [] : pools.map((p) => p.name))}>
                                        {collapsed.length ? "Expand all" : "Collapse all"}
                                </Button>
                        </Group>
                        <Loaded query={targets}>
                                {() => (
                                        <Stack gap="sm">
                                                {pools.length === 0 && (
                                                        <Note title="No scrape pools found">
                                                                <Text size="sm">
                                                                        {isQuerier(boot)
                                                                                ? "No endpoint of this querier tells of targets."
                                                                                : "The configuration names nothing to scrape."}
                                                                </Text>
                                                        </Note>
                                                )}
                                                {hiddenPools > 0 && (
                                                        <Note title="Some pools are not shown">
                                                                <Text size="sm">
                                                                        {hiddenPools === 1 ? "1 pool has" : `${hiddenPools} pools have`} no
                                                                        target that passes the filters.
                                                                </Text>
                                                        </Note>
                                                )}
                                                <Accordion
                                                        multiple
                                                        variant="separated"
                                                        order={2}
                                                        value={shown.map((p) => p.name).filter((n) => !collapsed.includes(n))}
                                                        onChange={(open) =>
                                                                setCollapsed(pools.map((p) => p.name).filter((n) => !open.includes(n)))
                                                        }
                                                >
                                                        {shown.map((p) => (
                                                                <Accordion.Item
                                                                        key={p.name}
                                                                        value={p.name}
                                                                        className={`pool pool-${poolState(p)}`}
                                                                >
                                                                        <Accordion.Control>
                                                                                <Group gap="xs">
                                                                                        <Text fw={600} span>
                                                                                                {p.name}
                                                                                        </Text>
                                                                                        <Text span c="dimmed">
                                                                                                ({p.up}/{p.count} up)
                                                                                        </Text>
                                                                                </Group>
                                                                        </Accordion.Control>
                                                                        <Accordion.Panel>
                                                                                {!isQuerier(boot) && <PoolConfig name={p.name} />}
                                                                                {p.count === 0 ? (
                                                                                        <Text size="sm" c="dimmed">
                                                                                                No active targets in this scrape pool.
                                                                                        </Text>
                                                                                ) : (
                                                                                        <TargetTable targets={p.shown} name={p.name} />
                                                                                )}
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

function PoolConfig({ name }: { name: string }) {
        const [open, setOpen] = useState(false);
        const query = useApi<{ yaml: string }>("scrape_pools/config", { scrapePool: name }, { enabled: open });
        return (
                <>
                        <Button size="compact-xs" variant="subtle" aria-expanded={open} onClick={() => setOpen(!open)} mb="xs" ml={-8}>
                                {open ? "Hide config" : "Show config"}
                        </Button>
                        {open &&
                                (query.error ? (
                                        <ErrorBox error={query.error} />
                                ) : query.data ? (
                                        <Yaml text={query.data.data.yaml} label={`Configuration of ${name}`} />
                                ) : (
                                        <Loading rows={2} />
                                ))}
                </>
        );
}

const FIRST = 200;

const TargetTable = memo(function TargetTable({ targets, name }: { targets: Target[]; name: string }) {
        const [all, setAll] = useState(false);
        const rows = all ? targets : targets.slice(0, FIRST);
        return (
                <Table.ScrollContainer minWidth={700}>
                        <Table aria-label={`Targets of ${name}`}>
                                <Table.Thead>
                                        <Table.Tr>
                                                <Table.Th w="27%">Endpoint</Table.Th>
                                                <Table.Th w={90}>State</Table.Th>
                                                <Table.Th>Labels</Table.Th>
                                                <Table.Th w={230}>Last scrape</Table.Th>
                                        </Table.Tr>
                                </Table.Thead>
                                <Table.Tbody>
                                        {rows.map((t) => (
                                                <TargetRow key={`${t.scrapeUrl} ${JSON.stringify(t.labels)}`} target={t} />
                                        ))}
                                </Table.Tbody>
                        </Table>
                        {rows.length < targets.length && (
                                <Button variant="subtle" size="compact-sm" onClick={() => setAll(true)}>
                                        Show all {targets.length} targets
                                </Button>
                        )}
                </Table.ScrollContainer>
        );
});

function TargetRow({ target: t }: { target: Target }) {
        const { utc } = useSettings();
        const [open, setOpen] = useState(false);
        const top = { verticalAlign: "top" } as const;
        return (
                <>
                        <Table.Tr>
                                <Table.Td style={top}>
                                        <Anchor
                                                href={t.globalUrl || t.scrapeUrl}
                                                target="_blank"
                                                rel="noreferrer"
                                                size="sm"
                                                style={{ overflowWrap: "anywhere" }}
                                        >
                                                {t.scrapeUrl}
                                        </Anchor>
                                </Table.Td>
                                <Table.Td style={top}>
                                        <StateBadge state={t.health} />
                                </Table.Td>
                                <Table.Td style={top}>
                                        <LabelBadges labels={t.labels} />
                                        <Button
                                                size="compact-xs"
                                                variant="subtle"
                                                mt={4}
                                                aria-expanded={open}
                                                onClick={() => setOpen(!open)}
                                        >
                                                {open ? "Hide discovered labels" : "Show discovered labels"}
                                        </Button>
                                        {open && <LabelBadges labels={t.discoveredLabels} />}
                                </Table.Td>
                                <Table.Td style={top}>
                                        <Text size="sm" title={formatTimestamp(Date.parse(t.lastScrape), utc)}>
                                                {ago(t.lastScrape, Date.now(), (ms) => humanDuration(Math.round(ms)))}
                                        </Text>
                                        <Text size="xs" c="dimmed">
                                                took {humanDuration(t.lastScrapeDuration * 1000)}
                                        </Text>
                                        {t.scrapeInterval && (
                                                <Text size="xs" c="dimmed">
                                                        every {t.scrapeInterval}, timeout {t.scrapeTimeout}
                                                </Text>
                                        )}
                                </Table.Td>
                        </Table.Tr>
                        {t.lastError && (
                                <Table.Tr>
                                        <Table.Td colSpan={4}>
                                                <Alert color="red" variant="light" icon={<Icon name="warning" />} p="xs">
                                                        <Text size="sm" style={{ overflowWrap: "anywhere" }}>
                                                                <strong>Error scraping target:</strong> {t.lastError}
                                                        </Text>
                                                </Alert>
                                        </Table.Td>
                                </Table.Tr>
                        )}
                </>
        );
}
