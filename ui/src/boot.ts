// SPDX-License-Identifier: Apache-2.0
// boot.ts — what the server says about itself in the JSON block of index.html.

export interface Boot {
        role: string;
        /** Path prefix without a final slash: "" or "/prom". */
        prefix: string;
        title: string;
        version: string;
        ready: boolean;
        lookbackDelta: string;
        /** The bucket's blocks are at /api/v1/blocks. */
        blocks: boolean;
        /** Queries take partial_response; a querier always does. */
        partialSwitch: boolean;
        /** What they do without that parameter. */
        partialResponse: boolean;
}

/** A Thanos querier: stores, deduplication, resolutions. */
export const isQuerier = (b: Boot) => b.role === "thanos-query";

export function parseBoot(text: string): Boot {
        let o: Partial<Boot> = {};
        try {
                o = JSON.parse(text) as Partial<Boot>;
        } catch {
                // A page that was not filled in still works at the root.
        }
        return {
                role: o.role ?? "prometheus",
                prefix: (o.prefix ?? "").replace(/\/+$/, ""),
                title: o.title ?? "coeus",
                version: o.version ?? "",
                ready: o.ready ?? true,
                lookbackDelta: o.lookbackDelta ?? "5m",
                blocks: o.blocks ?? false,
                partialSwitch: o.partialSwitch ?? false,
                partialResponse: o.partialResponse ?? true,
        };
}

export const boot: Boot = parseBoot(typeof document === "undefined" ? "{}" : (document.getElementById("boot")?.textContent ?? "{}"));
