// SPDX-License-Identifier: Apache-2.0
// FetchingInput.tsx — how the stores behind the server shall be asked; shown where the server understands it.
import { Group, Select, Switch } from "@mantine/core";
import { boot, isQuerier } from "../boot";
import type { Fetching, Switches } from "../lib/queryState";

export const SWITCHES: Switches = { partial: boot.partialSwitch, querier: isQuerier(boot) };

const RESOLUTIONS = [
        { value: "0s", label: "Raw data only" },
        { value: "5m", label: "Down to 5 minutes" },
        { value: "1h", label: "Down to 1 hour" },
        { value: "auto", label: "By the step of the graph" },
];

export function FetchingInput({ number, fetching, onChange }: { number: number; fetching: Fetching; onChange: (f: Fetching) => void }) {
        const known = RESOLUTIONS.some((r) => r.value === fetching.maxSourceResolution);
        return (
                <Group gap="lg" mt="sm" role="group" aria-label={`How query ${number} is answered`}>
                        {SWITCHES.querier && (
                                <Switch
                                        size="sm"
                                        label="Deduplication"
                                        description="Replicas are one series"
                                        checked={fetching.dedup}
                                        onChange={(e) => onChange({ ...fetching, dedup: e.currentTarget.checked })}
                                />
                        )}
                        <Switch
                                size="sm"
                                label="Partial response"
                                description="What fails is left out, with a warning"
                                checked={fetching.partialResponse}
                                onChange={(e) => onChange({ ...fetching, partialResponse: e.currentTarget.checked })}
                        />
                        {SWITCHES.querier && (
                                <Select
                                        w={230}
                                        aria-label="Source resolution"
                                        data={
                                                known
                                                        ? RESOLUTIONS
                                                        : [
                                                                  ...RESOLUTIONS,
                                                                  {
                                                                          value: fetching.maxSourceResolution,
                                                                          label: `Down to ${fetching.maxSourceResolution}`,
                                                                  },
                                                          ]
                                        }
                                        value={fetching.maxSourceResolution}
                                        onChange={(v) => v && onChange({ ...fetching, maxSourceResolution: v })}
                                        allowDeselect={false}
                                        checkIconPosition="right"
                                />
                        )}
                </Group>
        );
}
