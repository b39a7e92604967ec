// SPDX-License-Identifier: Apache-2.0
import { Stack, Table, Text } from "@mantine/core";
import { useApi } from "../lib/api";
import { Loaded, PageTitle, Section } from "../ui/parts";

interface Answer {
        activeAlertmanagers: { url: string }[] | null;
        droppedAlertmanagers: { url: string }[] | null;
}

export default function AlertmanagersPage() {
        const query = useApi<Answer>("alertmanagers", {}, { refetchMs: 15_000 });
        return (
                <>
                        <PageTitle>Alertmanager discovery</PageTitle>
                        <Loaded query={query}>
                                {(a) => (
                                        <Stack maw={1000}>
                                                <List
                                                        title="Active Alertmanagers"
                                                        urls={a.activeAlertmanagers}
                                                        none="No active Alertmanagers were discovered."
                                                />
                                                <List
                                                        title="Dropped Alertmanagers"
                                                        urls={a.droppedAlertmanagers}
                                                        none="No Alertmanagers were dropped."
                                                />
                                        </Stack>
                                )}
                        </Loaded>
                </>
        );
}

function List({ title, urls, none }: { title: string; urls: { url: string }[] | null; none: string }) {
        return (
                <Section title={title} icon="bell">
                        {(urls ?? []).length === 0 ? (
                                <Text size="sm" c="dimmed">
                                        {none}
                                </Text>
                        ) : (
                                <Table aria-label={title}>
                                        <Table.Tbody>
                                                {(urls ?? []).map((u) => (
                                                        <Table.Tr key={u.url}>
                                                                <Table.Td className="mono">{u.url}</Table.Td>
                                                        </Table.Tr>
                                                ))}
                                        </Table.Tbody>
                                </Table>
                        )}
                </Section>
        );
}
