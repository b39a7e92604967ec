// SPDX-License-Identifier: Apache-2.0
import { Alert, Group, Stack, Switch, Table, Text } from "@mantine/core";
import { useApi } from "../lib/api";
import { humanDuration } from "../lib/duration";
import { useSettings } from "../lib/settings";
import { ago, formatTimestamp } from "../lib/time";
import { useUrlParam } from "../lib/urlParam";
import { Icon } from "../ui/icons";
import { FilterInput, LabelBadges, Loaded, Note, PageTitle, Section, StateBadge } from "../ui/parts";
import { endText, isUp, type Kind, kindsOf, type Store, type StoresAnswer } from "./stores";

export default function StoresPage() {
        const query = useApi<StoresAnswer>("stores", {}, { refetchMs: 10_000 });
        const [filter, setFilter] = useUrlParam("search");
        const [down, setDown] = useUrlParam("down");
        return (
                <>
                        <PageTitle>Stores</PageTitle>
                        <Group mb="md" gap="md">
                                <FilterInput
                                        flex={1}
                                        miw={200}
                                        maw={500}
                                        label="Filter by address or labels"
                                        value={filter}
                                        onChange={setFilter}
                                />
                                <Switch
                                        size="sm"
                                        label="Only those that fail"
                                        checked={down === "1"}
                                        onChange={(e) => setDown(e.currentTarget.checked ? "1" : "")}
                                />
                        </Group>
                        <Loaded query={query}>
                                {(answer) => {
                                        const kinds = kindsOf(answer, filter, down === "1");
                                        const shown = kinds.filter((k) => k.shown.length > 0);
                                        return (
                                                <Stack>
                                                        {kinds.length === 0 && (
                                                                <Note title="No stores">
                                                                        <Text size="sm">
                                                                                No endpoint has answered yet. Endpoints are given to the
                                                                                querier by --endpoint.
                                                                        </Text>
                                                                </Note>
                                                        )}
                                                        {kinds.length > 0 && shown.length === 0 && (
                                                                <Note title="No store matches">
                                                                        <Text size="sm">Change the filter to see the others.</Text>
                                                                </Note>
                                                        )}
                                                        {shown.map((k) => (
                                                                <KindSection key={k.name} kind={k} />
                                                        ))}
                                                </Stack>
                                        );
                                }}
                        </Loaded>
                </>
        );
}

function KindSection({ kind: k }: { kind: Kind }) {
        return (
                <Section
                        title={k.title}
                        icon="server"
                        right={
                                <Text size="sm" c="dimmed">
                                        {k.up}/{k.count} up
                                </Text>
                        }
                >
                        <Table.ScrollContainer minWidth={760}>
                                <Table aria-label={k.title}>
                                        <Table.Thead>
                                                <Table.Tr>
                                                        <Table.Th w="22%">Endpoint</Table.Th>
                                                        <Table.Th w={90}>State</Table.Th>
                                                        <Table.Th>External labels</Table.Th>
                                                        <Table.Th w={190}>From</Table.Th>
                                                        <Table.Th w={190}>To</Table.Th>
                                                        <Table.Th w={120}>Last check</Table.Th>
                                                </Table.Tr>
                                        </Table.Thead>
                                        <Table.Tbody>
                                                {k.shown.map((s) => (
                                                        <StoreRow key={s.name} store={s} />
                                                ))}
                                        </Table.Tbody>
                                </Table>
                        </Table.ScrollContainer>
                </Section>
        );
}

const SETS = 3;
const top = { verticalAlign: "top" } as const;

function StoreRow({ store: s }: { store: Store }) {
        const { utc } = useSettings();
        const at = (ms: number) => (s.maxTime < s.minTime ? "no data" : endText(ms, (t) => formatTimestamp(t, utc)));
        return (
                <>
                        <Table.Tr>
                                <Table.Td className="mono" style={top}>
                                        {s.name}
                                </Table.Td>
                                <Table.Td style={top}>
                                        <StateBadge state={isUp(s) ? "up" : "down"} />
                                </Table.Td>
                                <Table.Td style={top}>
                                        <Stack gap={4}>
                                                {s.labelSets.slice(0, SETS).map((ls) => (
                                                        <LabelBadges key={JSON.stringify(ls)} labels={ls} />
                                                ))}
                                                {s.labelSets.length > SETS && (
                                                        <details>
                                                                <summary>{s.labelSets.length - SETS} more label sets</summary>
                                                                <Stack gap={4} mt={4}>
                                                                        {s.labelSets.slice(SETS).map((ls) => (
                                                                                <LabelBadges key={JSON.stringify(ls)} labels={ls} />
                                                                        ))}
                                                                </Stack>
                                                        </details>
                                                )}
                                        </Stack>
                                </Table.Td>
                                <Table.Td style={top}>{at(s.minTime)}</Table.Td>
                                <Table.Td style={top}>{at(s.maxTime)}</Table.Td>
                                <Table.Td style={top} title={formatTimestamp(Date.parse(s.lastCheck), utc)}>
                                        {ago(s.lastCheck, Date.now(), (ms) => humanDuration(Math.round(ms)))}
                                </Table.Td>
                        </Table.Tr>
                        {s.lastError && (
                                <Table.Tr>
                                        <Table.Td colSpan={6}>
                                                <Alert color="red" variant="light" icon={<Icon name="warning" />} p="xs">
                                                        <Text size="sm" style={{ overflowWrap: "anywhere" }}>
                                                                <strong>Last error:</strong> {s.lastError}
                                                        </Text>
                                                </Alert>
                                        </Table.Td>
                                </Table.Tr>
                        )}
                </>
        );
}
