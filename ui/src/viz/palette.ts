// SPDX-License-Identifier: Apache-2.0
// palette.ts — colours of series and of thresholds, readable on the light and on the dark ground.

const LIGHT = [
        "#1c6fd1",
        "#d9480f",
        "#2b8a3e",
        "#9c36b5",
        "#c2255c",
        "#0b7285",
        "#946200",
        "#5f3dc4",
        "#5c7f0d",
        "#c92a2a",
        "#087f8c",
        "#6b5344",
];
const DARK = [
        "#5aa9ff",
        "#ff8c5a",
        "#69db7c",
        "#da91ef",
        "#faa2c1",
        "#3bc9db",
        "#ffc94d",
        "#a98eff",
        "#b5e05f",
        "#ff8787",
        "#63e6be",
        "#d8b48a",
];

export function seriesColor(i: number, dark: boolean): string {
        const list = dark ? DARK : LIGHT;
        if (i < list.length) return list[i] ?? "";
        return `hsl(${Math.round((i * 137.508) % 360)} 62% ${dark ? 68 : 40}%)`; // the golden angle: neighbours differ
}

/** Colour names of dashboards' JSON; anything else is taken as CSS. */
const NAMED: Record<string, [string, string]> = {
        green: ["#2b8a3e", "#69db7c"],
        yellow: ["#b08500", "#ffd43b"],
        orange: ["#d9480f", "#ff922b"],
        red: ["#c92a2a", "#ff6b6b"],
        blue: ["#1c6fd1", "#5aa9ff"],
        purple: ["#7a35b5", "#cc8ff0"],
        text: ["#1a1b1e", "#e9ecef"],
};

export function namedColor(name: string, dark: boolean): string {
        const pair = NAMED[name.replace(/^(super-light|light|semi-dark|dark)-/, "")];
        return pair ? pair[dark ? 1 : 0] : name;
}
