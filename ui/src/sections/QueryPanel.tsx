// SPDX-License-Identifier: Apache-2.0
import { ActionIcon, Button, Card, Menu, Tabs, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../lib/api";
import type { PanelState } from "../lib/queryState";
import { Editor } from "../promql/Editor";
import { Icon } from "../ui/icons";
import { FetchingInput, SWITCHES } from "./FetchingInput";
import { GraphTab } from "./GraphTab";
import { TableTab } from "./TableTab";

interface Props {
        number: number;
        state: PanelState;
        queries: () => string[];
        onChange: (change: Partial<PanelState>) => void;
        onDuplicate: () => void;
        onRemove: () => void;
}

export function QueryPanel({ number, state, queries, onChange, onDuplicate, onRemove }: Props) {
        // What is typed is not yet what is run; when another text comes from outside (back button), it replaces what was typed.
        const [text, setText] = useState(state.expr);
        const [seen, setSeen] = useState(state.expr);
        if (seen !== state.expr) {
                setSeen(state.expr);
                setText(state.expr);
        }
        const [runs, setRuns] = useState(0);
        const [formatError, setFormatError] = useState("");
        const client = useQueryClient();

        const run = () => {
                setFormatError("");
                onChange({ expr: text });
                setRuns((n) => n + 1);
        };
        const format = async () => {
                try {
                        const res = await client.fetchQuery({
                                queryKey: ["format", text],
                                queryFn: () => api<string>("format_query", { query: text }, { post: true }),
                        });
                        setText(res.data);
                        setFormatError("");
                } catch (e) {
                        setFormatError(e instanceof Error ? e.message : String(e));
                }
        };

        return (
                <Card
                        withBorder
                        radius="md"
                        padding="sm"
                        component="section"
                        aria-label={`Query ${number}`}
                        style={{ overflow: "visible" }}
                >
                        <div className="query-row">
                                <Editor
                                        value={text}
                                        onChange={setText}
                                        onRun={run}
                                        queries={queries}
                                        label={`Expression of query ${number}`}
                                />
                                <Button onClick={run} leftSection={<Icon name="play" size={14} />}>
                                        Execute
                                </Button>
                                <Menu shadow="md" position="bottom-end">
                                        <Menu.Target>
                                                <ActionIcon variant="default" size={36} aria-label={`More about query ${number}`}>
                                                        <Icon name="dots" />
                                                </ActionIcon>
                                        </Menu.Target>
                                        <Menu.Dropdown>
                                                <Menu.Item
                                                        leftSection={<Icon name="wand" size={16} />}
                                                        onClick={format}
                                                        disabled={!text.trim()}
                                                >
                                                        Format query
                                                </Menu.Item>
                                                <Menu.Item leftSection={<Icon name="copy" size={16} />} onClick={onDuplicate}>
                                                        Duplicate query
                                                </Menu.Item>
                                                <Menu.Item leftSection={<Icon name="trash" size={16} />} color="red" onClick={onRemove}>
                                                        Remove query
                                                </Menu.Item>
                                        </Menu.Dropdown>
                                </Menu>
                        </div>
                        {formatError && (
                                <Text size="sm" c="red" mt={6} role="alert">
                                        Cannot be formatted: {formatError}
                                </Text>
                        )}
                        {(SWITCHES.partial || SWITCHES.querier) && (
                                <FetchingInput number={number} fetching={state.fetching} onChange={(fetching) => onChange({ fetching })} />
                        )}
                        <Tabs
                                value={state.tab}
                                onChange={(tab) => onChange({ tab: tab === "graph" ? "graph" : "table" })}
                                mt="sm"
                                keepMounted={false}
                        >
                                <Tabs.List>
                                        <Tabs.Tab value="table" leftSection={<Icon name="table" size={16} />}>
                                                Table
                                        </Tabs.Tab>
                                        <Tabs.Tab value="graph" leftSection={<Icon name="chart" size={16} />}>
                                                Graph
                                        </Tabs.Tab>
                                </Tabs.List>
                                <Tabs.Panel value="table" pt="sm">
                                        <TableTab state={state} runs={runs} onChange={onChange} />
                                </Tabs.Panel>
                                <Tabs.Panel value="graph" pt="sm">
                                        <GraphTab state={state} runs={runs} onChange={onChange} />
                                </Tabs.Panel>
                        </Tabs>
                </Card>
        );
}
