// SPDX-License-Identifier: Apache-2.0
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";
import { licences } from "./build/licences.mjs";

// What the server fills into index.html; the development server does it here.
function placeholders(): Plugin {
        const boot = { role: "prometheus", prefix: "/", title: "coeus (development)", version: "dev", ready: true, lookbackDelta: "5m" };
        return {
                name: "placeholders",
                apply: "serve",
                transformIndexHtml: (html) =>
                        html
                                .replace("COEUS_BASE_HREF", "/")
                                .replace("COEUS_TITLE", boot.title)
                                .replace("COEUS_BOOT_JSON", JSON.stringify(boot)),
        };
}

const backend = process.env.BACKEND ?? "http://127.0.0.1:9090";

// Libraries in chunks of their own: they change less often than our code and stay in the browser's cache.
const groups: [string, RegExp][] = [
        ["react", /node_modules\/(react|react-dom|scheduler|@tanstack|wouter|regexparam|use-sync-external-store)\//],
        ["codemirror", /node_modules\/(@codemirror|@lezer|@prometheus-io|lru-cache|style-mod|crelt|w3c-keyname|@marijn)\//],
        ["uplot", /node_modules\/uplot\//],
        [
                "mantine",
                /node_modules\/(@mantine|@floating-ui|react-remove-scroll|clsx|aria-hidden|react-textarea-autosize|tslib|use-sidecar|use-callback-ref|get-nonce|detect-node-es|tabbable)/,
        ],
];

export default defineConfig({
        base: "./", // resolved against <base href>, so one build serves under every path prefix
        plugins: [react(), placeholders(), licences()],
        server: {
                host: "127.0.0.1",
                proxy: Object.fromEntries(["/api", "/-/", "/metrics", "/host/metrics"].map((p) => [p, backend])),
        },
        build: {
                target: "es2022",
                manifest: true,
                modulePreload: { polyfill: false },
                chunkSizeWarningLimit: 700,
                rolldownOptions: { output: { codeSplitting: { groups: groups.map(([name, test]) => ({ name, test })) } } },
        },
        test: { include: ["test/unit/**/*.test.ts"], environment: "node" },
} as Parameters<typeof defineConfig>[0]);
