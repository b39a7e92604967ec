// SPDX-License-Identifier: Apache-2.0
import { Card, Table, Text } from "@mantine/core";
import { useApi } from "../lib/api";
import { useUrlParam } from "../lib/urlParam";
import { FilterInput, Loaded, PageTitle } from "../ui/parts";

export default function FlagsPage() {
        const query = useApi<Record<string, string>>("status/flags");
        const [filter, setFilter] = useUrlParam("search");
        const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
        return (
                <>
                        <PageTitle>Command-line flags</PageTitle>
                        <FilterInput mb="md" maw={480} label="Filter by flag name or value" value={filter} onChange={setFilter} />
                        <Loaded query={query} rows={12}>
                                {(flags) => {
                                        const rows = Object.entries(flags)
                                                .filter(([k, v]) => words.every((w) => `--${k}=${v}`.toLowerCase().includes(w)))
                                                .sort(([a], [b]) => (a < b ? -1 : 1));
                                        return (
                                                <Card withBorder radius="md" padding="sm">
                                                        <Table striped highlightOnHover aria-label="Flags">
                                                                <Table.Thead>
                                                                        <Table.Tr>
                                                                                <Table.Th>Flag</Table.Th>
                                                                                <Table.Th>Value</Table.Th>
                                                                        </Table.Tr>
                                                                </Table.Thead>
                                                                <Table.Tbody>
                                                                        {rows.map(([k, v]) => (
                                                                                <Table.Tr key={k}>
                                                                                        <Table.Td className="mono">--{k}</Table.Td>
                                                                                        <Table.Td className="mono">{v}</Table.Td>
                                                                                </Table.Tr>
                                                                        ))}
                                                                </Table.Tbody>
                                                        </Table>
                                                        {rows.length === 0 && (
                                                                <Text size="sm" c="dimmed" mt="xs">
                                                                        No flag passes the filter.
                                                                </Text>
                                                        )}
                                                </Card>
                                        );
                                }}
                        </Loaded>
                </>
        );
}
