// SPDX-License-Identifier: Apache-2.0
import { SimpleGrid, Stack, Table, Text } from "@mantine/core";
import { useApi } from "../lib/api";
import { useSettings } from "../lib/settings";
import { formatTimestamp } from "../lib/time";
import { Loaded, PageTitle, Section } from "../ui/parts";

interface Row {
        name: string;
        value: number;
}
interface TsdbStatus {
        headStats: { numSeries: number; numLabelPairs: number; chunkCount: number; minTime: number; maxTime: number };
        seriesCountByMetricName: Row[] | null;
        labelValueCountByLabelName: Row[] | null;
        memoryInBytesByLabelName: Row[] | null;
        seriesCountByLabelValuePair: Row[] | null;
}

const whole = (n: number) => n.toLocaleString("en-US");

export default function TsdbPage() {
        const { utc } = useSettings();
        const query = useApi<TsdbStatus>("status/tsdb");
        return (
                <>
                        <PageTitle>TSDB status</PageTitle>
                        <Loaded query={query} rows={10}>
                                {(s) => {
                                        const head = s.headStats;
                                        // An empty head has its borders the wrong way round.
                                        const time = (t: number) =>
                                                head.minTime > head.maxTime ? "No datapoints yet" : formatTimestamp(t, utc);
                                        return (
                                                <Stack>
                                                        <Section title="TSDB head status" icon="database">
                                                                <Table layout="fixed" aria-label="TSDB head status">
                                                                        <Table.Tbody>
                                                                                {(
                                                                                        [
                                                                                                ["Number of series", whole(head.numSeries)],
                                                                                                [
                                                                                                        "Number of chunks",
                                                                                                        whole(head.chunkCount),
                                                                                                ],
                                                                                                [
                                                                                                        "Number of label pairs",
                                                                                                        whole(head.numLabelPairs),
                                                                                                ],
                                                                                                ["Current min time", time(head.minTime)],
                                                                                                ["Current max time", time(head.maxTime)],
                                                                                        ] as const
                                                                                ).map(([name, text]) => (
                                                                                        <Table.Tr key={name}>
                                                                                                <Table.Th scope="row">{name}</Table.Th>
                                                                                                <Table.Td>{text}</Table.Td>
                                                                                        </Table.Tr>
                                                                                ))}
                                                                        </Table.Tbody>
                                                                </Table>
                                                        </Section>
                                                        <SimpleGrid cols={{ base: 1, md: 2 }}>
                                                                <TopTen
                                                                        title="Top 10 label names with value count"
                                                                        rows={s.labelValueCountByLabelName}
                                                                />
                                                                <TopTen
                                                                        title="Top 10 series count by metric names"
                                                                        rows={s.seriesCountByMetricName}
                                                                />
                                                                <TopTen
                                                                        title="Top 10 label names with high memory usage"
                                                                        unit="Bytes"
                                                                        rows={s.memoryInBytesByLabelName}
                                                                />
                                                                <TopTen
                                                                        title="Top 10 series count by label value pairs"
                                                                        rows={s.seriesCountByLabelValuePair}
                                                                />
                                                        </SimpleGrid>
                                                </Stack>
                                        );
                                }}
                        </Loaded>
                </>
        );
}

function TopTen({ title, unit = "Count", rows }: { title: string; unit?: string; rows: Row[] | null }) {
        return (
                <Section title={title}>
                        <Table aria-label={title} verticalSpacing={4}>
                                <Table.Thead>
                                        <Table.Tr>
                                                <Table.Th>Name</Table.Th>
                                                <Table.Th className="num">{unit}</Table.Th>
                                        </Table.Tr>
                                </Table.Thead>
                                <Table.Tbody>
                                        {(rows ?? []).map((r) => (
                                                <Table.Tr key={r.name}>
                                                        <Table.Td className="mono">{r.name}</Table.Td>
                                                        <Table.Td className="num">{whole(r.value)}</Table.Td>
                                                </Table.Tr>
                                        ))}
                                </Table.Tbody>
                        </Table>
                        {(rows ?? []).length === 0 && (
                                <Text size="sm" c="dimmed">
                                        Nothing yet
                                </Text>
                        )}
                </Section>
        );
}
