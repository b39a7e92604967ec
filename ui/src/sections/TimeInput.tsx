// SPDX-License-Identifier: Apache-2.0
import { ActionIcon, CloseButton, Group, TextInput } from "@mantine/core";
import { useEffect, useState } from "react";
import { useSettings } from "../lib/settings";
import { parseTime, toInput } from "../lib/time";
import { Icon } from "../ui/icons";

interface Props {
        label: string;
        endMs: number | null;
        /** The arrows move by half of this. */
        rangeMs: number;
        onChange: (endMs: number | null) => void;
}

/** A point in time with arrows for back and forward; empty is now. */
export function TimeInput({ label, endMs, rangeMs, onChange }: Props) {
        const { utc } = useSettings();
        const shown = endMs === null ? "" : toInput(endMs, utc);
        const [text, setText] = useState(shown);
        useEffect(() => setText(shown), [shown]);
        const commit = () => {
                const t = parseTime(text, utc);
                if (t === null) {
                        setText(text === "" ? "" : shown);
                        if (text === "" && endMs !== null) onChange(null);
                } else if (text !== shown) onChange(t);
        };
        const move = (dir: number) => onChange((endMs ?? Date.now()) + (dir * rangeMs) / 2);
        return (
                <Group gap={4} wrap="nowrap">
                        <ActionIcon variant="default" size={36} aria-label={`${label}: back`} onClick={() => move(-1)}>
                                <Icon name="left" size={16} />
                        </ActionIcon>
                        {endMs === null && text === "" ? (
                                <TextInput
                                        w={150}
                                        value={label}
                                        readOnly
                                        aria-label={label}
                                        onFocus={() => setText(toInput(Date.now(), utc))}
                                        styles={{ input: { color: "var(--mantine-color-dimmed)", cursor: "pointer" } }}
                                />
                        ) : (
                                <TextInput
                                        w={250}
                                        type="datetime-local"
                                        step={1}
                                        value={text}
                                        aria-label={`${label} (${utc ? "UTC" : "local time"})`}
                                        onChange={(e) => setText(e.currentTarget.value)}
                                        onBlur={commit}
                                        onKeyDown={(e) => e.key === "Enter" && commit()}
                                        rightSection={
                                                <CloseButton
                                                        size="sm"
                                                        aria-label={`${label}: now`}
                                                        onClick={() => {
                                                                setText("");
                                                                onChange(null);
                                                        }}
                                                />
                                        }
                                />
                        )}
                        <ActionIcon variant="default" size={36} aria-label={`${label}: forward`} onClick={() => move(1)}>
                                <Icon name="right" size={16} />
                        </ActionIcon>
                </Group>
        );
}
