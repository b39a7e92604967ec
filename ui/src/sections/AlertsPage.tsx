// SPDX-License-Identifier: Apache-2.0
import { Accordion, Badge, Group, SegmentedControl, Stack, Text } from "@mantine/core";
import { useApi } from "../lib/api";
import { useUrlParam } from "../lib/urlParam";
import { FilterInput, Loaded, Note, PageTitle, Section, StateBadge } from "../ui/parts";
import { AlertTable, RuleCard } from "./RuleCard";
import { matchesRule, type Rule, type RulesAnswer } from "./rules";

const ORDER = ["firing", "pending", "inactive", "unknown"];

export default function AlertsPage() {
        const query = useApi<RulesAnswer>("rules", { type: "alert" }, { refetchMs: 15_000 });
        const [state, setState] = useUrlParam("state");
        const [filter, setFilter] = useUrlParam("search");
        return (
                <>
                        <PageTitle>Alerts</PageTitle>
                        <Loaded query={query}>
                                {({ groups }) => {
                                        const rules = groups.flatMap((g) => g.rules);
                                        if (rules.length === 0)
                                                return (
                                                        <Note title="No alerting rules">
                                                                <Text size="sm">
                                                                        There are none yet: the configuration names no rule files with
                                                                        alerting rules.
                                                                </Text>
                                                        </Note>
                                                );
                                        const count = (s: string) => rules.filter((r) => r.state === s).length;
                                        const shown = groups
                                                .map((g) => ({
                                                        ...g,
                                                        rules: g.rules.filter(
                                                                (r) => (state === "" || r.state === state) && matchesRule(filter, r),
                                                        ),
                                                }))
                                                .filter((g) => g.rules.length > 0);
                                        return (
                                                <Stack>
                                                        <Group gap="sm">
                                                                <SegmentedControl
                                                                        aria-label="State"
                                                                        value={state}
                                                                        onChange={setState}
                                                                        data={[
                                                                                { value: "", label: `All (${rules.length})` },
                                                                                ...ORDER.slice(0, 3).map((s) => ({
                                                                                        value: s,
                                                                                        label: `${s[0]?.toUpperCase()}${s.slice(1)} (${count(s)})`,
                                                                                })),
                                                                        ]}
                                                                />
                                                                <FilterInput
                                                                        flex={1}
                                                                        miw={200}
                                                                        label="Filter by rule name or labels"
                                                                        value={filter}
                                                                        onChange={setFilter}
                                                                />
                                                        </Group>
                                                        {shown.length === 0 && <Text c="dimmed">No alert passes the filters.</Text>}
                                                        {shown.map((g) => (
                                                                <Section
                                                                        key={`${g.file};${g.name}`}
                                                                        title={g.name}
                                                                        icon="bell"
                                                                        right={
                                                                                <Text size="xs" c="dimmed">
                                                                                        {g.file}
                                                                                </Text>
                                                                        }
                                                                >
                                                                        <Accordion multiple variant="default" order={3}>
                                                                                {g.rules.map((r, i) => (
                                                                                        // biome-ignore lint/suspicious/noArrayIndexKey: rules of one name may stand twice in a group
                                                                                        <AlertRule key={i} rule={r} value={String(i)} />
                                                                                ))}
                                                                        </Accordion>
                                                                </Section>
                                                        ))}
                                                </Stack>
                                        );
                                }}
                        </Loaded>
                </>
        );
}

function AlertRule({ rule: r, value }: { rule: Rule; value: string }) {
        const alerts = r.alerts ?? [];
        return (
                <Accordion.Item value={value}>
                        <Accordion.Control>
                                <Group gap="xs">
                                        <StateBadge state={r.state ?? "unknown"} />
                                        <Text span fw={600}>
                                                {r.name}
                                        </Text>
                                        {alerts.length > 0 && (
                                                <Badge variant="default" radius="sm">
                                                        {alerts.length} active
                                                </Badge>
                                        )}
                                </Group>
                        </Accordion.Control>
                        <Accordion.Panel>
                                <RuleCard rule={r} />
                                {alerts.length > 0 && <AlertTable alerts={alerts} label={`Active alerts of ${r.name}`} />}
                        </Accordion.Panel>
                </Accordion.Item>
        );
}
