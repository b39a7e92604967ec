// SPDX-License-Identifier: Apache-2.0
// icons.tsx — our icons: strokes on a 24 by 24 grid. Decoration only; what they do stands in the label of the button around them.

const PATHS = {
        sun: "M12 7.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M4.9 4.9l1.8 1.8M17.3 17.3l1.8 1.8M4.9 19.1l1.8-1.8M17.3 6.7l1.8-1.8",
        moon: "M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5z",
        system: "M3 5h18v11H3zM9 20h6M12 16v4",
        gear: "M4 7h9M19 7h1M16 4.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM4 17h1M11 17h9M8 14.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
        search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L21 21",
        play: "M7 4.5l12 7.5-12 7.5z",
        plus: "M12 5v14M5 12h14",
        minus: "M5 12h14",
        x: "M6 6l12 12M18 6L6 18",
        dots: "M12 5h.01M12 12h.01M12 19h.01",
        table: "M4 5h16v14H4zM4 10h16M10 10v9",
        chart: "M4 4v16h16M7 15l4-5 3 3 5-7",
        area: "M4 4v16h16M6 17l4-6 4 3 5-8v11z",
        left: "M15 5l-7 7 7 7",
        right: "M9 5l7 7-7 7",
        down: "M5 9l7 7 7-7",
        copy: "M9 9h11v11H9zM5 15H4V4h11v1",
        check: "M5 12l5 5L20 7",
        trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
        wand: "M4 20L15 9M15 4v3M20 9h-3M19 5l-2 2",
        refresh: "M20 11a8 8 0 0 0-14.5-4L4 9M4 4v5h5M4 13a8 8 0 0 0 14.5 4L20 15M20 20v-5h-5",
        warning: "M12 4l9 16H3zM12 10v4M12 17h.01",
        info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v6M12 7.5h.01",
        bell: "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4",
        host: "M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01",
        heart: "M3 12h4l3-7 4 14 3-7h4",
        list: "M9 6h11M9 12h11M9 18h11M4 6h.01M4 12h.01M4 18h.01",
        compass: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM15.5 8.5l-2 5-5 2 2-5z",
        database: "M4 6c0-1.7 3.6-3 8-3s8 1.3 8 3-3.6 3-8 3-8-1.3-8-3zM4 6v12c0 1.7 3.6 3 8 3s8-1.3 8-3V6M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3",
        flag: "M5 21V4h13l-3 4.5L18 13H5",
        file: "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6",
        server: "M12 3v6M12 9H6v4M12 9h6v4M3 13h6v6H3zM15 13h6v6h-6z",
        clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3.5 2",
        link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
        rows: "M4 6h16M4 12h16M4 18h16",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
        return (
                <svg
                        width={size}
                        height={size}
                        viewBox="0 0 24 24"
                        fill="none"
                        stroke="currentColor"
                        strokeWidth={1.9}
                        strokeLinecap="round"
                        strokeLinejoin="round"
                        aria-hidden="true"
                        style={{ flex: "none", display: "block" }}
                >
                        <path d={PATHS[name]} />
                </svg>
        );
}

export function Logo({ size = 28 }: { size?: number }) {
        return (
                <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" style={{ display: "block" }}>
                        <path d="M5 22a11 11 0 0 1 22 0z" fill="#f6a821" />
                        <path d="M16 4v3M5.5 9.5l2 2M26.5 9.5l-2 2" stroke="#f6a821" strokeWidth="2.4" strokeLinecap="round" />
                        <path d="M4 26h24" stroke="#8fb8ff" strokeWidth="2.4" strokeLinecap="round" />
                </svg>
        );
}
