// SPDX-License-Identifier: Apache-2.0
// stores.ts — what /api/v1/stores of a querier answers: by kind, in the order of its addresses.
import { type Labels, matchesFilter } from "../lib/series";

export interface Store {
        name: string;
        lastCheck: string;
        lastError: string | null;
        labelSets: Labels[];
        minTime: number;
        maxTime: number;
}
export type StoresAnswer = Record<string, Store[]>;

export interface Kind {
        name: string;
        title: string;
        count: number;
        up: number;
        /** Those that pass the filters. */
        shown: Store[];
}

const TITLES: Record<string, string> = {
        sidecar: "Sidecars",
        store: "Store gateways",
        receive: "Receivers",
        rule: "Rulers",
        query: "Queriers",
        debug: "Debug",
};

export const isUp = (s: Store) => !s.lastError;

export function kindsOf(answer: StoresAnswer, filter: string, onlyDown: boolean): Kind[] {
        return Object.entries(answer)
                .map(([name, stores]) => ({
                        name,
                        title: TITLES[name] ?? name,
                        count: stores.length,
                        up: stores.filter(isUp).length,
                        shown: stores.filter(
                                (s) =>
                                        !(onlyDown && isUp(s)) &&
                                        matchesFilter(filter, Object.assign({}, ...s.labelSets), s.name, s.lastError ?? ""),
                        ),
                }))
                .sort((a, b) => (a.title < b.title ? -1 : 1));
}

/** Beyond these a time only says that there is no end: the years 1 and 9999. */
const FIRST_MS = -62_135_596_800_000;
const LAST_MS = 253_402_300_799_000;

/** An end of what a store has: a time, or what stands for none. */
export function endText(ms: number, format: (ms: number) => string): string {
        if (ms <= FIRST_MS) return "the beginning";
        if (ms >= LAST_MS) return "now";
        return format(ms);
}
