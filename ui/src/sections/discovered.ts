// SPDX-License-Identifier: Apache-2.0
// discovered.ts — what discovery found, by pool: active targets and those that relabelling dropped.
import { type Labels, matchesFilter } from "../lib/series";
import type { TargetsAnswer } from "./targets";

export interface Found {
        discovered: Labels;
        /** null: relabelling dropped it. */
        labels: Labels | null;
}
export interface DiscoveredPool {
        name: string;
        active: number;
        total: number;
        shown: Found[];
        /** More were dropped than keep_dropped_targets lets the server remember. */
        forgotten: number;
}

export function discoveredPools(names: string[], a: TargetsAnswer, filter: string, which: string): DiscoveredPool[] {
        const pools = new Map<string, DiscoveredPool>(names.map((name) => [name, { name, active: 0, total: 0, shown: [], forgotten: 0 }]));
        const add = (name: string, f: Found) => {
                const p = pools.get(name) ?? { name, active: 0, total: 0, shown: [], forgotten: 0 };
                pools.set(name, p);
                p.total++;
                if (f.labels) p.active++;
                if (
                        (which === "" || (which === "active") === (f.labels !== null)) &&
                        matchesFilter(filter, { ...f.discovered, ...f.labels }, name)
                )
                        p.shown.push(f);
        };
        for (const t of a.activeTargets) add(t.scrapePool, { discovered: t.discoveredLabels, labels: t.labels });
        for (const t of a.droppedTargets) add(t.scrapePool, { discovered: t.discoveredLabels, labels: null });
        for (const [name, n] of Object.entries(a.droppedTargetCounts ?? {})) {
                const p = pools.get(name);
                if (p && n > p.total - p.active) {
                        p.forgotten = n - (p.total - p.active);
                        p.total += p.forgotten;
                }
        }
        return [...pools.values()].sort((x, y) => (x.name < y.name ? -1 : 1));
}
