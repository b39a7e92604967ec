// SPDX-License-Identifier: Apache-2.0
import { Stack, Table } from "@mantine/core";
import { useApi } from "../lib/api";
import { useSettings } from "../lib/settings";
import { formatTimestamp } from "../lib/time";
import { Loaded, PageTitle, Section } from "../ui/parts";

type Values = Record<string, string | number | boolean>;

const TITLES: Record<string, string> = {
        buildUser: "Build user",
        buildDate: "Build date",
        goVersion: "Go version",
        startTime: "Start time",
        CWD: "Working directory",
        hostname: "Hostname",
        serverTime: "Server time",
        reloadConfigSuccess: "Configuration reload",
        lastConfigTime: "Last successful configuration reload",
        corruptionCount: "WAL corruptions",
        goroutineCount: "Goroutines",
        storageRetention: "Storage retention",
};
const TIMES = new Set(["startTime", "serverTime", "lastConfigTime"]);

function Rows({ values, label }: { values: Values; label: string }) {
        const { utc } = useSettings();
        const text = (k: string, v: Values[string]) => {
                if (TIMES.has(k)) return formatTimestamp(Date.parse(String(v)), utc);
                if (k === "GOMEMLIMIT" && Number(v) >= 2 ** 63) return "no limit";
                if (k === "reloadConfigSuccess") return v ? "Successful" : "Unsuccessful";
                return String(v);
        };
        return (
                <Table layout="fixed" aria-label={label}>
                        <Table.Tbody>
                                {Object.entries(values)
                                        .filter(([, v]) => v !== "")
                                        .map(([k, v]) => (
                                                <Table.Tr key={k}>
                                                        <Table.Th w="35%" scope="row">
                                                                {TITLES[k] ?? k.replace(/^[a-z]/, (c) => c.toUpperCase())}
                                                        </Table.Th>
                                                        <Table.Td style={{ overflowWrap: "anywhere" }}>{text(k, v)}</Table.Td>
                                                </Table.Tr>
                                        ))}
                        </Table.Tbody>
                </Table>
        );
}

export default function StatusPage() {
        const build = useApi<Values>("status/buildinfo");
        const runtime = useApi<Values>("status/runtimeinfo", {}, { refetchMs: 15_000 });
        return (
                <>
                        <PageTitle>Runtime & build information</PageTitle>
                        <Stack maw={1000}>
                                <Section title="Build information" icon="info">
                                        <Loaded query={build}>{(v) => <Rows values={v} label="Build information" />}</Loaded>
                                </Section>
                                <Section title="Runtime information" icon="heart">
                                        <Loaded query={runtime}>{(v) => <Rows values={v} label="Runtime information" />}</Loaded>
                                </Section>
                        </Stack>
                </>
        );
}
