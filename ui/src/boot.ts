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
}

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
        };
}

export const boot: Boot = parseBoot(typeof document === "undefined" ? "{}" : (document.getElementById("boot")?.textContent ?? "{}"));
