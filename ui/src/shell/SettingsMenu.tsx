// SPDX-License-Identifier: Apache-2.0
import { ActionIcon, Anchor, Popover, Stack, Switch, Text } from "@mantine/core";
import { boot } from "../boot";
import { type Settings, useSettings } from "../lib/settings";
import { Icon } from "../ui/icons";

type Key = keyof Settings;
const GROUPS: { title: string; items: [Key, string][] }[] = [
        { title: "Time", items: [["localTime", "Use local time"]] },
        {
                title: "Query",
                items: [
                        ["history", "Remember queries"],
                        ["autocomplete", "Complete while typing"],
                        ["highlight", "Highlight syntax"],
                        ["linter", "Check syntax"],
                        ["warnings", "Show query warnings"],
                        ["infos", "Show query notices"],
                ],
        },
];

export function SettingsMenu() {
        const settings = useSettings();
        return (
                <Popover position="bottom-end" shadow="md" withArrow trapFocus>
                        <Popover.Target>
                                <ActionIcon variant="transparent" c="white" size="lg" aria-label="Settings">
                                        <Icon name="gear" />
                                </ActionIcon>
                        </Popover.Target>
                        <Popover.Dropdown aria-label="Settings">
                                <Stack gap="xs">
                                        {GROUPS.map((g) => (
                                                <Stack gap={6} key={g.title}>
                                                        <Text size="xs" fw={650} c="dimmed">
                                                                {g.title}
                                                        </Text>
                                                        {g.items.map(([key, label]) => (
                                                                <Switch
                                                                        key={key}
                                                                        size="sm"
                                                                        label={label}
                                                                        checked={settings[key]}
                                                                        onChange={(e) => settings.set({ [key]: e.currentTarget.checked })}
                                                                />
                                                        ))}
                                                </Stack>
                                        ))}
                                        <Text size="xs" c="dimmed">
                                                coeus {boot.version} ·{" "}
                                                <Anchor size="xs" href={`${boot.prefix}/assets/licenses.txt`} underline="always">
                                                        licences
                                                </Anchor>
                                        </Text>
                                </Stack>
                        </Popover.Dropdown>
                </Popover>
        );
}
