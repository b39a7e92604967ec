// SPDX-License-Identifier: Apache-2.0
// NotReady.tsx — stands in place of every page until the server has read its data.
import { Alert, Progress, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { boot } from "../boot";
import { useApi } from "../lib/api";
import { Icon } from "../ui/icons";

interface Replay {
        min: number;
        max: number;
        current: number;
}

type State = "ready" | "starting" | "stopping" | "away";

async function readiness(signal: AbortSignal): Promise<State> {
        try {
                const res = await fetch(`${boot.prefix}/-/ready`, { cache: "no-store", signal });
                if (res.ok) return "ready";
                return res.headers.get("X-Prometheus-Stopping") === "true" ? "stopping" : "starting";
        } catch {
                return "away";
        }
}

/** Percent of the segments read. */
export function replayPercent(r: Replay): number {
        return Math.max(0, Math.min(100, ((r.current - r.min + 1) / (r.max - r.min + 1)) * 100));
}

const TEXT: Record<State, string> = {
        ready: "is ready",
        starting: "is starting up…",
        stopping: "is shutting down…",
        away: "cannot be reached",
};

export function NotReady({ onReady }: { onReady: () => void }) {
        const { data: state = "starting" } = useQuery({
                queryKey: ["ready"],
                queryFn: ({ signal }) => readiness(signal),
                refetchInterval: 1000,
        });
        const replay = useApi<Replay>("status/walreplay", {}, { refetchMs: 1000, enabled: state === "starting" });
        useEffect(() => {
                if (state === "ready") onReady();
        }, [state, onReady]);
        const r = replay.data?.data;
        return (
                <Alert
                        color="yellow"
                        title={`The server ${TEXT[state]}`}
                        icon={<Icon name="clock" />}
                        maw={520}
                        mx="auto"
                        mt="xl"
                        role="status"
                >
                        {state === "starting" && r && (
                                <Stack gap="xs">
                                        <Text size="sm" fw={650}>
                                                Replaying WAL ({r.current}/{r.max})
                                        </Text>
                                        <Progress
                                                size="lg"
                                                animated
                                                color="yellow"
                                                value={replayPercent(r)}
                                                aria-label="WAL segments read"
                                        />
                                </Stack>
                        )}
                </Alert>
        );
}
