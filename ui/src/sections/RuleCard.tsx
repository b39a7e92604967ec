// SPDX-License-Identifier: Apache-2.0
import { Alert, Anchor, Group, Stack, Table, Text } from "@mantine/core";
import { Link } from "wouter";
import { humanDuration } from "../lib/duration";
import { encodePanels, newPanel } from "../lib/queryState";
import { useSettings } from "../lib/settings";
import { ago, formatTimestamp } from "../lib/time";
import { Icon } from "../ui/icons";
import { LabelBadges, StateBadge } from "../ui/parts";
import type { ActiveAlert, Rule } from "./rules";

const queryLink = (expr: string) => `/query?${encodePanels([{ ...newPanel(), expr }])}`;

/** One rule: its expression as a link to the query page, what it adds, and how it went. Without a state the name stands elsewhere. */
export function RuleCard({ rule: r, state }: { rule: Rule; state?: string }) {
        const since = ago(r.lastEvaluation, Date.now(), (ms) => humanDuration(Math.round(ms / 1000) * 1000));
        return (
                <Stack gap={6} py="xs">
                        <Group gap="xs">
                                {state && (
                                        <>
                                                <StateBadge state={state} />
                                                <Text fw={600} style={{ overflowWrap: "anywhere" }}>
                                                        {r.name}
                                                </Text>
                                        </>
                                )}
                                <Text size="xs" c="dimmed">
                                        evaluated {since}, took {humanDuration(r.evaluationTime * 1000)}
                                        {r.duration ? ` · for ${humanDuration(r.duration * 1000)}` : ""}
                                        {r.keepFiringFor ? ` · keeps firing for ${humanDuration(r.keepFiringFor * 1000)}` : ""}
                                </Text>
                        </Group>
                        <Anchor component={Link} href={queryLink(r.query)} className="mono" underline="hover">
                                {r.query}
                        </Anchor>
                        {r.labels && Object.keys(r.labels).length > 0 && <LabelBadges labels={r.labels} />}
                        {Object.entries(r.annotations ?? {}).map(([k, v]) => (
                                <Text size="sm" key={k}>
                                        <strong>{k}:</strong> {v}
                                </Text>
                        ))}
                        {r.lastError && (
                                <Alert color="red" variant="light" p="xs" icon={<Icon name="warning" />}>
                                        <strong>Error evaluating rule:</strong> {r.lastError}
                                </Alert>
                        )}
                </Stack>
        );
}

export function AlertTable({ alerts, label }: { alerts: ActiveAlert[]; label: string }) {
        const { utc } = useSettings();
        return (
                <Table.ScrollContainer minWidth={600}>
                        <Table aria-label={label}>
                                <Table.Thead>
                                        <Table.Tr>
                                                <Table.Th>Labels</Table.Th>
                                                <Table.Th w={110}>State</Table.Th>
                                                <Table.Th w={230}>Active since</Table.Th>
                                                <Table.Th w={140} className="num">
                                                        Value
                                                </Table.Th>
                                        </Table.Tr>
                                </Table.Thead>
                                <Table.Tbody>
                                        {alerts.map((a) => (
                                                <Table.Tr key={JSON.stringify(a.labels)}>
                                                        <Table.Td>
                                                                <LabelBadges labels={a.labels} />
                                                                {Object.entries(a.annotations ?? {}).map(([k, v]) => (
                                                                        <Text size="sm" mt={4} key={k}>
                                                                                <strong>{k}:</strong> {v}
                                                                        </Text>
                                                                ))}
                                                        </Table.Td>
                                                        <Table.Td>
                                                                <StateBadge state={a.state} />
                                                        </Table.Td>
                                                        <Table.Td>{formatTimestamp(Date.parse(a.activeAt), utc)}</Table.Td>
                                                        <Table.Td className="num mono">{a.value}</Table.Td>
                                                </Table.Tr>
                                        ))}
                                </Table.Tbody>
                        </Table>
                </Table.ScrollContainer>
        );
}
