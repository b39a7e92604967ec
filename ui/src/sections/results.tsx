// SPDX-License-Identifier: Apache-2.0
// results.tsx — what both tabs of a query show around its result.
import { Alert, Text } from "@mantine/core";
import type { Answer } from "../lib/api";
import { humanDuration } from "../lib/duration";
import { useSettings } from "../lib/settings";
import { Icon } from "../ui/icons";

export function Notices({ answer }: { answer: Answer<unknown> }) {
        const { warnings, infos } = useSettings();
        return (
                <>
                        {warnings &&
                                answer.warnings.map((w) => (
                                        <Alert
                                                key={w}
                                                color="orange"
                                                variant="light"
                                                title="Query warning"
                                                icon={<Icon name="warning" />}
                                                mb="xs"
                                                classNames={{ title: "notice-title" }}
                                        >
                                                {w}
                                        </Alert>
                                ))}
                        {infos &&
                                answer.infos.map((w) => (
                                        <Alert
                                                key={w}
                                                color="yellow"
                                                variant="light"
                                                title="Query notice"
                                                icon={<Icon name="info" />}
                                                mb="xs"
                                                classNames={{ title: "notice-title" }}
                                        >
                                                {w}
                                        </Alert>
                                ))}
                </>
        );
}

export function Figures({ answer, series, stepMs }: { answer: Answer<unknown>; series: number; stepMs?: number }) {
        return (
                <Text size="xs" c="dimmed" ta="right" role="status">
                        Load time: {humanDuration(Math.round(answer.tookMs))}
                        {stepMs ? ` · Resolution: ${humanDuration(stepMs)}` : ""} · Result series: {series}
                </Text>
        );
}
