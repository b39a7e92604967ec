// SPDX-License-Identifier: Apache-2.0

/** What is hidden after a click on series i of n: single toggles that one, else it is shown alone or, if it was, all are. */
export function toggleHidden(hidden: ReadonlySet<number>, i: number, n: number, single: boolean): Set<number> {
        if (single) {
                const next = new Set(hidden);
                if (!next.delete(i)) next.add(i);
                return next.size === n ? new Set() : next;
        }
        const alone = hidden.size === n - 1 && !hidden.has(i);
        return alone ? new Set() : new Set(Array.from({ length: n }, (_, k) => k).filter((k) => k !== i));
}
