// SPDX-License-Identifier: Apache-2.0
// model.ts — a board as JSON. A part of the form that dashboards are commonly kept in, so that boards written for it need no change.

export interface Target {
        refId: string;
        expr: string;
        /** "{{device}} read"; empty: the whole series. */
        legendFormat?: string;
        instant?: boolean;
}

export interface Threshold {
        color: string;
        /** null: from minus infinity. */
        value: number | null;
}

export interface FieldDefaults {
        unit?: string;
        decimals?: number;
        min?: number;
        max?: number;
        thresholds?: { mode: "absolute"; steps: Threshold[] };
        custom?: { fillOpacity?: number; stacking?: { mode: "none" | "normal" } };
}

export interface Override {
        matcher: { id: "byName"; options: string };
        properties: { id: "color"; value: { mode: "fixed"; fixedColor: string } }[];
}

export interface Panel {
        id: number;
        type: "timeseries" | "stat" | "gauge";
        title: string;
        description?: string;
        gridPos: { x: number; y: number; w: number; h: number };
        targets: Target[];
        fieldConfig: { defaults: FieldDefaults; overrides: Override[] };
        options?: { graphMode?: "none" | "area"; colorMode?: "none" | "value"; tooltip?: { mode: "multi" | "single" } };
}

export interface Variable {
        name: string;
        label: string;
        type: "query";
        /** label_values(selector, label) */
        query: string;
}

export interface Board {
        uid: string;
        title: string;
        refresh: string;
        time: { from: string; to: string };
        templating: { list: Variable[] };
        panels: Panel[];
}

/** The colour that a value has by the steps: of the last step that it reaches. */
export function thresholdColor(v: number | null, steps: Threshold[] | undefined): string | undefined {
        if (v === null || !steps) return undefined;
        return steps.findLast((s) => s.value === null || v >= s.value)?.color;
}
