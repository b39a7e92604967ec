// SPDX-License-Identifier: Apache-2.0
// rules.ts — what /api/v1/rules answers.

export interface ActiveAlert {
        labels: Record<string, string>;
        annotations: Record<string, string>;
        state: string;
        activeAt: string;
        value: string;
}
export interface Rule {
        type: "alerting" | "recording";
        name: string;
        query: string;
        health: string;
        lastError?: string;
        lastEvaluation: string;
        evaluationTime: number;
        labels?: Record<string, string> | null;
        annotations?: Record<string, string> | null;
        duration?: number;
        keepFiringFor?: number;
        state?: string;
        alerts?: ActiveAlert[] | null;
}
export interface RuleGroup {
        name: string;
        file: string;
        interval: number;
        rules: Rule[];
        evaluationTime: number;
        lastEvaluation: string;
}
export interface RulesAnswer {
        groups: RuleGroup[];
}

export const matchesRule = (filter: string, r: Rule) => {
        const text = `${r.name} ${Object.entries(r.labels ?? {})
                .map(([k, v]) => `${k}=${v}`)
                .join(" ")}`.toLowerCase();
        return filter
                .toLowerCase()
                .split(/\s+/)
                .filter(Boolean)
                .every((w) => text.includes(w));
};
