// SPDX-License-Identifier: Apache-2.0
import { Divider, Group, SegmentedControl, Stack, Text } from "@mantine/core";
import { useApi } from "../lib/api";
import { humanDuration } from "../lib/duration";
import { useUrlParam } from "../lib/urlParam";
import { FilterInput, Loaded, Note, PageTitle, Section } from "../ui/parts";
import { RuleCard } from "./RuleCard";
import { matchesRule, type RulesAnswer } from "./rules";

export default function RulesPage() {
        const query = useApi<RulesAnswer>("rules", {}, { refetchMs: 15_000 });
        const [health, setHealth] = useUrlParam("health");
        const [filter, setFilter] = useUrlParam("search");
        return (
                <>
                        <PageTitle>Rules</PageTitle>
                        <Loaded query={query}>
                                {({ groups }) => {
                                        if (groups.length === 0)
                                                return (
                                                        <Note title="No rules">
                                                                <Text size="sm">
                                                                        There are none yet: the configuration names no rule files.
                                                                </Text>
                                                        </Note>
                                                );
                                        const shown = groups
                                                .map((g) => ({
                                                        ...g,
                                                        rules: g.rules.filter(
                                                                (r) => (health === "" || r.health === health) && matchesRule(filter, r),
                                                        ),
                                                }))
                                                .filter((g) => g.rules.length > 0 || (health === "" && filter === ""));
                                        return (
                                                <Stack>
                                                        <Group gap="sm">
                                                                <SegmentedControl
                                                                        aria-label="Health"
                                                                        value={health}
                                                                        onChange={setHealth}
                                                                        data={[
                                                                                { value: "", label: "All" },
                                                                                { value: "ok", label: "Ok" },
                                                                                { value: "err", label: "Error" },
                                                                                { value: "unknown", label: "Unknown" },
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
                                                        {shown.length === 0 && <Text c="dimmed">No rule passes the filters.</Text>}
                                                        {shown.map((g) => (
                                                                <Section
                                                                        key={`${g.file};${g.name}`}
                                                                        title={g.name}
                                                                        icon="list"
                                                                        right={
                                                                                <Text size="xs" c="dimmed">
                                                                                        {g.file} · every {humanDuration(g.interval * 1000)}{" "}
                                                                                        · took {humanDuration(g.evaluationTime * 1000)}
                                                                                </Text>
                                                                        }
                                                                >
                                                                        {g.rules.map((r, i) => (
                                                                                // biome-ignore lint/suspicious/noArrayIndexKey: rules of one name may stand twice in a group
                                                                                <div key={i}>
                                                                                        {i > 0 && <Divider />}
                                                                                        <RuleCard rule={r} state={r.health} />
                                                                                </div>
                                                                        ))}
                                                                </Section>
                                                        ))}
                                                </Stack>
                                        );
                                }}
                        </Loaded>
                </>
        );
}
