// SPDX-License-Identifier: Apache-2.0
// QueryPage.tsx — expressions, each in a panel with a table and a graph. All of it stands in the URL.
import { Button, Stack } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { boot } from "../boot";
import { decodePanels, encodePanels, newPanel, type PanelState } from "../lib/queryState";
import { readStored, useSettings, writeStored } from "../lib/settings";
import { Icon } from "../ui/icons";
import { SWITCHES } from "./FetchingInput";
import { QueryPanel } from "./QueryPanel";

interface Keyed {
        key: number;
        state: PanelState;
}

let nextKey = 1;
const keyed = (state: PanelState): Keyed => ({ key: nextKey++, state });
const fromUrl = (): Keyed[] => {
        const found = decodePanels(window.location.search, boot.partialResponse);
        return (found.length ? found : [newPanel(boot.partialResponse)]).map(keyed);
};

const HISTORY = 50;

export default function QueryPage() {
        const { history } = useSettings();
        const [panels, setPanels] = useState<Keyed[]>(fromUrl);
        const fromHistory = useRef(true);

        useEffect(() => {
                if (fromHistory.current) {
                        fromHistory.current = false;
                        return;
                }
                const search = `?${encodePanels(
                        panels.map((p) => p.state),
                        SWITCHES,
                )}`;
                if (search !== window.location.search) window.history.pushState(null, "", window.location.pathname + search);
        }, [panels]);

        useEffect(() => {
                const back = () => {
                        fromHistory.current = true;
                        setPanels(fromUrl());
                };
                window.addEventListener("popstate", back);
                return () => window.removeEventListener("popstate", back);
        }, []);

        const queries = () => (history ? readStored<string[]>("queries", []) : []);
        const remember = (expr: string) => {
                if (history && expr.trim()) writeStored("queries", [expr, ...queries().filter((q) => q !== expr)].slice(0, HISTORY));
        };
        const change = (key: number, state: Partial<PanelState>) =>
                setPanels((all) => all.map((p) => (p.key === key ? { key, state: { ...p.state, ...state } } : p)));

        return (
                <Stack gap="md">
                        <h1 className="sr">Query</h1>
                        {panels.map(({ key, state }, i) => (
                                <QueryPanel
                                        key={key}
                                        number={i + 1}
                                        state={state}
                                        queries={queries}
                                        onChange={(c) => {
                                                if (c.expr !== undefined) remember(c.expr);
                                                change(key, c);
                                        }}
                                        onDuplicate={() =>
                                                setPanels((all) => all.flatMap((p) => (p.key === key ? [p, keyed({ ...p.state })] : [p])))
                                        }
                                        onRemove={() =>
                                                setPanels((all) =>
                                                        all.length > 1
                                                                ? all.filter((p) => p.key !== key)
                                                                : [keyed(newPanel(boot.partialResponse))],
                                                )
                                        }
                                />
                        ))}
                        <div>
                                <Button
                                        variant="default"
                                        leftSection={<Icon name="plus" size={16} />}
                                        onClick={() => setPanels((all) => [...all, keyed(newPanel(boot.partialResponse))])}
                                >
                                        Add query
                                </Button>
                        </div>
                </Stack>
        );
}
