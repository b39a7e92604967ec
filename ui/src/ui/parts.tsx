// SPDX-License-Identifier: Apache-2.0
// parts.tsx — small pieces that several pages share.
import { Alert, Badge, Box, Card, Group, Skeleton, Stack, Text, TextInput, type TextInputProps, Title } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { copyText } from "./copy";
import { Icon, type IconName } from "./icons";

export function ErrorBox({ title = "This could not be loaded", error }: { title?: string; error: unknown }) {
        return (
                <Alert color="red" variant="light" title={title} icon={<Icon name="warning" />} role="alert">
                        <Text size="sm" style={{ whiteSpace: "pre-wrap", overflowWrap: "anywhere" }}>
                                {error instanceof Error ? error.message : String(error)}
                        </Text>
                </Alert>
        );
}

export function Note({ title, children }: { title: string; children: ReactNode }) {
        return (
                <Alert color="blue" variant="light" title={title} icon={<Icon name="info" />}>
                        {children}
                </Alert>
        );
}

export function Loading({ rows = 5 }: { rows?: number }) {
        return (
                <Stack gap="sm" aria-busy="true" aria-label="Loading" role="status">
                        {Array.from({ length: rows }, (_, i) => (
                                // biome-ignore lint/suspicious/noArrayIndexKey: all alike
                                <Skeleton key={i} height={28} />
                        ))}
                </Stack>
        );
}

/** What the rows of a page are narrowed with; the rest of the props is where it stands. */
export function FilterInput({
        label,
        value,
        onChange,
        ...place
}: { label: string; value: string; onChange: (text: string) => void } & Pick<TextInputProps, "flex" | "miw" | "maw" | "mb">) {
        return (
                <TextInput
                        {...place}
                        aria-label={label}
                        placeholder={label}
                        leftSection={<Icon name="search" size={16} />}
                        value={value}
                        onChange={(e) => onChange(e.currentTarget.value)}
                />
        );
}

/** What a query of ours answered: its rows, or why there are none yet. */
export function Loaded<T>({
        query,
        rows,
        children,
}: {
        query: { data: { data: T } | undefined; error: unknown };
        rows?: number;
        children: (data: T) => ReactNode;
}) {
        if (query.error) return <ErrorBox error={query.error} />;
        if (!query.data) return <Loading rows={rows ?? 5} />;
        return <>{children(query.data.data)}</>;
}

export function PageTitle({ children, right }: { children: ReactNode; right?: ReactNode }) {
        return (
                <Group justify="space-between" mb="md" gap="sm">
                        <Title order={1} size="h3">
                                {children}
                        </Title>
                        {right}
                </Group>
        );
}

export function Section({ title, icon, right, children }: { title: string; icon?: IconName; right?: ReactNode; children: ReactNode }) {
        return (
                <Card withBorder radius="md" padding="md" component="section" aria-label={title}>
                        <Group justify="space-between" mb="xs">
                                <Group gap="xs">
                                        {icon && <Icon name={icon} />}
                                        <Title order={2} size="h5">
                                                {title}
                                        </Title>
                                </Group>
                                {right}
                        </Group>
                        {children}
                </Card>
        );
}

export function LabelBadges({ labels }: { labels: Record<string, string> }) {
        return (
                <Box className="labels">
                        {Object.entries(labels).map(([k, v]) => (
                                <span className="label" key={k}>
                                        {k}=&quot;{v}&quot;
                                </span>
                        ))}
                </Box>
        );
}

const STATES: Record<string, string> = {
        up: "ok",
        ok: "ok",
        inactive: "ok",
        down: "bad",
        err: "bad",
        firing: "bad",
        pending: "warn",
        unknown: "none",
        dropped: "none",
};

export function StateBadge({ state }: { state: string }) {
        return (
                <Badge className={`state state-${STATES[state.toLowerCase()] ?? "none"}`} radius="sm">
                        {state}
                </Badge>
        );
}

/** A plain button: tables have thousands of them. */
export function Copy({ text, label }: { text: string; label: string }) {
        const [copied, setCopied] = useState(false);
        const copy = async () => {
                setCopied(await copyText(text));
                setTimeout(() => setCopied(false), 1500);
        };
        return (
                <button type="button" className="copy" onClick={copy} title={label} aria-label={copied ? "Copied" : label}>
                        <Icon name={copied ? "check" : "copy"} size={16} />
                </button>
        );
}
