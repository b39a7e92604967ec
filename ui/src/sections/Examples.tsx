// SPDX-License-Identifier: Apache-2.0
import { Button, Group, Text } from "@mantine/core";

const EXAMPLES: [string, string][] = [
        ["Which targets answer?", "up"],
        ["What is the CPU doing?", "sum by (mode) (rate(node_cpu_seconds_total[1m]))"],
        ["Which metrics have most series?", 'topk(10, count by (__name__) ({__name__!=""}))'],
];

/** Stands where a result will be: something to begin with. */
export function Examples({ onRun }: { onRun: (expr: string) => void }) {
        return (
                <>
                        <Text c="dimmed" size="sm" mb="xs">
                                No data queried yet. Type an expression above, or begin with one of these:
                        </Text>
                        <Group gap="xs">
                                {EXAMPLES.map(([question, expr]) => (
                                        <Button key={expr} variant="default" size="xs" title={expr} onClick={() => onRun(expr)}>
                                                {question}
                                        </Button>
                                ))}
                        </Group>
                </>
        );
}
