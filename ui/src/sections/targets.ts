// SPDX-License-Identifier: Apache-2.0
// targets.ts — what /api/v1/targets answers, grouped by scrape pool.
import { type Labels, matchesFilter } from "../lib/series";

export interface Target {
        discoveredLabels: Labels;
        labels: Labels;
        scrapePool: string;
        scrapeUrl: string;
        globalUrl: string;
        lastError: string;
        lastScrape: string;
        lastScrapeDuration: number;
        health: string;
        scrapeInterval: string;
        scrapeTimeout: string;
}

export interface DroppedTarget {
        discoveredLabels: Labels;
        scrapePool: string;
}

export interface TargetsAnswer {
        activeTargets: Target[];
        droppedTargets: DroppedTarget[];
        droppedTargetCounts?: Record<string, number> | null;
}

export interface Pool {
        name: string;
        count: number;
        up: number;
        down: number;
        /** Those that pass the filters. */
        shown: Target[];
}

/** The pools by name; poolNames also names those without a target. */
export function groupPools(poolNames: string[], targets: Target[], filter: string, health: string): Pool[] {
        const pools = new Map<string, Pool>();
        const pool = (name: string) => {
                let p = pools.get(name);
                if (!p) {
                        p = { name, count: 0, up: 0, down: 0, shown: [] };
                        pools.set(name, p);
                }
                return p;
        };
        poolNames.forEach(pool);
        for (const t of targets) {
                const p = pool(t.scrapePool);
                p.count++;
                if (t.health === "up") p.up++;
                if (t.health === "down") p.down++;
                if ((health === "" || t.health === health) && matchesFilter(filter, t.labels, t.scrapePool, t.scrapeUrl)) p.shown.push(t);
        }
        return [...pools.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function poolState(p: Pool): "ok" | "bad" | "warn" | "none" {
        if (p.count === 0) return "none";
        if (p.down === p.count) return "bad";
        if (p.down > 0) return "warn";
        return p.up > 0 ? "ok" : "none";
}
