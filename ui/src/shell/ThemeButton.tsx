// SPDX-License-Identifier: Apache-2.0
import { ActionIcon, Tooltip, useMantineColorScheme } from "@mantine/core";
import { Icon, type IconName } from "../ui/icons";

const NEXT = { auto: "light", light: "dark", dark: "auto" } as const;
const ICON: Record<keyof typeof NEXT, IconName> = { auto: "system", light: "sun", dark: "moon" };
const NAME = { auto: "as the system", light: "light", dark: "dark" };

export function ThemeButton() {
        const { colorScheme, setColorScheme } = useMantineColorScheme();
        const label = `Theme: ${NAME[colorScheme]}. Switch to ${NAME[NEXT[colorScheme]]}`;
        return (
                <Tooltip label={label}>
                        <ActionIcon
                                variant="transparent"
                                c="white"
                                size="lg"
                                aria-label={label}
                                onClick={() => setColorScheme(NEXT[colorScheme])}
                        >
                                <Icon name={ICON[colorScheme]} />
                        </ActionIcon>
                </Tooltip>
        );
}
