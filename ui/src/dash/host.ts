// SPDX-License-Identifier: Apache-2.0
// host.ts — the board of a machine, over node_* metrics.
import type { Board, FieldDefaults, Override, Panel, Target } from "./model";

let id = 0;
const target = (refId: string, expr: string, legendFormat = "", instant = false): Target => ({ refId, expr, legendFormat, instant });
const targets = (...list: [string, string?][]) => list.map(([expr, legend], i) => target(String.fromCharCode(65 + i), expr, legend));

function lines(
        title: string,
        x: number,
        y: number,
        list: [string, string?][],
        defaults: FieldDefaults,
        colors: Record<string, string> = {},
        description?: string,
): Panel {
        const overrides: Override[] = Object.entries(colors).map(([options, fixedColor]) => ({
                matcher: { id: "byName", options },
                properties: [{ id: "color", value: { mode: "fixed", fixedColor } }],
        }));
        return {
                id: ++id,
                type: "timeseries",
                title,
                gridPos: { x, y, w: 12, h: 6 },
                targets: targets(...list),
                fieldConfig: { defaults, overrides },
                ...(description ? { description } : {}),
        };
}

function stat(title: string, x: number, w: number, expr: string, defaults: FieldDefaults, graph = false): Panel {
        return {
                id: ++id,
                type: "stat",
                title,
                gridPos: { x, y: 0, w, h: 4 },
                targets: [target("A", expr, "", !graph)],
                fieldConfig: { defaults, overrides: [] },
                options: { graphMode: graph ? "area" : "none", colorMode: defaults.thresholds ? "value" : "none" },
        };
}

function gauge(title: string, x: number, expr: string, warn: number, bad: number): Panel {
        const steps = [
                { color: "green", value: null },
                { color: "orange", value: warn },
                { color: "red", value: bad },
        ];
        return {
                id: ++id,
                type: "gauge",
                title,
                gridPos: { x, y: 0, w: 4, h: 4 },
                targets: [target("A", expr, "", true)],
                fieldConfig: {
                        defaults: { unit: "percentunit", min: 0, max: 1, decimals: 1, thresholds: { mode: "absolute", steps } },
                        overrides: [],
                },
        };
}

const I = 'instance="$instance"';
const DISK = `${I}, device!~"(loop|ram|zram|dm-|sr|fd)[0-9]*"`;
const NET = `${I}, device!~"lo|ifb.*|veth.*|br-.*|docker.*|cni.*|cali.*"`;
const FS = `${I}, fstype!~"tmpfs|ramfs|overlay|squashfs|fuse.*|nsfs|devtmpfs|iso9660|rootfs", mountpoint!~"/(proc|sys|dev|run)($|/.*)"`;
const stacked = { fillOpacity: 35, stacking: { mode: "normal" } } as const;
const filled = { fillOpacity: 12 };

export const host: Board = {
        uid: "host",
        title: "Host",
        refresh: "10s",
        time: { from: "now-15m", to: "now" },
        templating: {
                list: [{ name: "instance", label: "Instance", type: "query", query: "label_values(node_boot_time_seconds, instance)" }],
        },
        panels: [
                gauge("CPU busy", 0, `1 - avg(rate(node_cpu_seconds_total{${I}, mode="idle"}[$__rate_interval]))`, 0.8, 0.95),
                gauge("Memory used", 4, `1 - node_memory_MemAvailable_bytes{${I}} / node_memory_MemTotal_bytes{${I}}`, 0.8, 0.92),
                gauge(
                        "Fullest filesystem",
                        8,
                        `max(1 - node_filesystem_avail_bytes{${FS}} / (node_filesystem_size_bytes{${FS}} > 0))`,
                        0.8,
                        0.92,
                ),
                stat("Load (1 min)", 12, 3, `node_load1{${I}}`, { unit: "short", decimals: 2 }, true),
                stat("CPUs", 15, 3, `count(count by (cpu) (node_cpu_seconds_total{${I}}))`, { unit: "none" }),
                stat("Memory total", 18, 3, `node_memory_MemTotal_bytes{${I}}`, { unit: "bytes" }),
                stat("Uptime", 21, 3, `node_time_seconds{${I}} - node_boot_time_seconds{${I}}`, { unit: "s" }),

                lines(
                        "CPU by mode",
                        0,
                        4,
                        [
                                [
                                        `sum by (mode) (rate(node_cpu_seconds_total{${I}, mode!="idle"}[$__rate_interval])) / scalar(count(count by (cpu) (node_cpu_seconds_total{${I}})))`,
                                        "{{mode}}",
                                ],
                        ],
                        { unit: "percentunit", min: 0, custom: stacked },
                        {},
                        "Share of all CPUs' time that is not idle, by what it was used for.",
                ),
                lines(
                        "Memory",
                        12,
                        4,
                        [
                                [
                                        `node_memory_MemTotal_bytes{${I}} - node_memory_MemFree_bytes{${I}} - node_memory_Buffers_bytes{${I}} - node_memory_Cached_bytes{${I}} - node_memory_SReclaimable_bytes{${I}}`,
                                        "used",
                                ],
                                [
                                        `node_memory_Buffers_bytes{${I}} + node_memory_Cached_bytes{${I}} + node_memory_SReclaimable_bytes{${I}}`,
                                        "buffers and cache",
                                ],
                                [`node_memory_MemFree_bytes{${I}}`, "free"],
                        ],
                        { unit: "bytes", min: 0, custom: stacked },
                        { used: "orange", "buffers and cache": "blue", free: "green" },
                ),
                lines(
                        "Load",
                        0,
                        10,
                        [
                                [`node_load1{${I}}`, "1 min"],
                                [`node_load5{${I}}`, "5 min"],
                                [`node_load15{${I}}`, "15 min"],
                                [`count(count by (cpu) (node_cpu_seconds_total{${I}}))`, "CPUs"],
                        ],
                        { unit: "short", min: 0 },
                        { CPUs: "red" },
                ),
                lines(
                        "Pressure",
                        12,
                        10,
                        [
                                [`rate(node_pressure_cpu_waiting_seconds_total{${I}}[$__rate_interval])`, "CPU, some wait"],
                                [`rate(node_pressure_memory_waiting_seconds_total{${I}}[$__rate_interval])`, "memory, some wait"],
                                [`rate(node_pressure_memory_stalled_seconds_total{${I}}[$__rate_interval])`, "memory, all stall"],
                                [`rate(node_pressure_io_waiting_seconds_total{${I}}[$__rate_interval])`, "I/O, some wait"],
                                [`rate(node_pressure_io_stalled_seconds_total{${I}}[$__rate_interval])`, "I/O, all stall"],
                        ],
                        { unit: "percentunit", min: 0, custom: filled },
                        {},
                        "Share of time in which some or all tasks waited for a resource (pressure stall information of the kernel).",
                ),
                lines(
                        "Disk throughput",
                        0,
                        16,
                        [
                                [`rate(node_disk_read_bytes_total{${DISK}}[$__rate_interval])`, "{{device}} read"],
                                [`rate(node_disk_written_bytes_total{${DISK}}[$__rate_interval])`, "{{device}} write"],
                        ],
                        { unit: "binBps", min: 0, custom: filled },
                ),
                lines("Disk busy", 12, 16, [[`rate(node_disk_io_time_seconds_total{${DISK}}[$__rate_interval])`, "{{device}}"]], {
                        unit: "percentunit",
                        min: 0,
                        custom: filled,
                }),
                lines(
                        "Network",
                        0,
                        22,
                        [
                                [`rate(node_network_receive_bytes_total{${NET}}[$__rate_interval]) * 8`, "{{device}} receive"],
                                [`rate(node_network_transmit_bytes_total{${NET}}[$__rate_interval]) * 8`, "{{device}} transmit"],
                        ],
                        { unit: "bps", min: 0, custom: filled },
                ),
                lines(
                        "Network errors and drops",
                        12,
                        22,
                        [
                                [`sum(rate(node_network_receive_errs_total{${NET}}[$__rate_interval]))`, "receive errors"],
                                [`sum(rate(node_network_transmit_errs_total{${NET}}[$__rate_interval]))`, "transmit errors"],
                                [`sum(rate(node_network_receive_drop_total{${NET}}[$__rate_interval]))`, "receive drops"],
                                [`sum(rate(node_network_transmit_drop_total{${NET}}[$__rate_interval]))`, "transmit drops"],
                        ],
                        { unit: "pps", min: 0 },
                ),
                lines(
                        "Filesystem used",
                        0,
                        28,
                        [[`1 - node_filesystem_avail_bytes{${FS}} / (node_filesystem_size_bytes{${FS}} > 0)`, "{{mountpoint}}"]],
                        { unit: "percentunit", min: 0, max: 1 },
                ),
                lines(
                        "Context switches and interrupts",
                        12,
                        28,
                        [
                                [`rate(node_context_switches_total{${I}}[$__rate_interval])`, "context switches"],
                                [`rate(node_intr_total{${I}}[$__rate_interval])`, "interrupts"],
                        ],
                        { unit: "ops", min: 0 },
                ),
        ],
};
