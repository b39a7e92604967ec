// SPDX-License-Identifier: Apache-2.0
// server.mjs — a coeus of our own on a free port of the loopback, with a folder that goes away again.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BIN = process.env.COEUS_BIN ?? new URL("../../../build/coeus", import.meta.url).pathname;

const freePort = () =>
        new Promise((resolve, reject) => {
                const s = createServer().listen(0, "127.0.0.1", () => {
                        const { port } = s.address();
                        s.close(() => resolve(port));
                });
                s.on("error", reject);
        });

export async function until(what, check, seconds = 20) {
        const end = Date.now() + seconds * 1000;
        for (let last; ; await new Promise((r) => setTimeout(r, 100))) {
                try {
                        if (await check()) return;
                } catch (e) {
                        last = e;
                }
                if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}${last ? `: ${last.message}` : ""}`);
        }
}

/** args(port, folder) are the arguments; path: of the readiness probe. */
async function start(args, path) {
        const dir = mkdtempSync(join(tmpdir(), "coeus-ui-"));
        const port = await freePort();
        const child = spawn(BIN, args(port, dir), { stdio: ["ignore", "pipe", "pipe"] });
        let log = "";
        let dead = false;
        for (const s of [child.stdout, child.stderr]) s.on("data", (d) => (log += d));
        const ended = new Promise((resolve) => {
                child.on("exit", resolve);
                child.on("error", (e) => {
                        log += e.message;
                        dead = true;
                        resolve(-1);
                });
        });
        const stop = async () => {
                child.kill("SIGTERM");
                const killer = setTimeout(() => child.kill("SIGKILL"), 10_000);
                await ended;
                clearTimeout(killer);
                rmSync(dir, { recursive: true, force: true });
        };
        const url = `http://127.0.0.1:${port}`;
        try {
                await until(`${BIN} to be ready`, async () => dead || child.exitCode !== null || (await fetch(`${url}${path}`)).ok);
                if (dead || child.exitCode !== null) throw new Error(`${BIN} ended at once`);
        } catch (e) {
                await stop();
                throw new Error(`${e.message}\n${log}`);
        }
        return { url, dir, stop, log: () => log };
}

const up = (...flags) =>
        start(
                (port, dir) => ["up", `--data=${dir}`, `--web.listen-address=127.0.0.1:${port}`, "--scrape-interval=1s", ...flags],
                "/-/ready",
        );

export const coeusUp = () => up();

/** A server whose blocks are short, a store gateway over its bucket, and a querier over that and over one that is away. */
export async function coeusThanos() {
        const parts = [];
        const stop = async () => {
                for (const p of parts.reverse()) await p.stop();
        };
        const one = async (start) => {
                parts.push(await start());
                return parts.at(-1);
        };
        const thanos = (role, ...flags) => start((port) => ["thanos", role, `--http-address=127.0.0.1:${port}`, ...flags], "/-/ready");
        try {
                const grpc = await freePort();
                const local = await one(() =>
                        up("--storage.tsdb.min-block-duration=3s", "--storage.tsdb.max-block-duration=3s", "--bucket.sync-interval=300ms"),
                );
                await until("two blocks in the bucket", async () => (await apiGet(local.url, "blocks")).blocks.length >= 2, 60);
                const objstore = `--objstore.config={type: FILESYSTEM, config: {directory: ${join(local.dir, "bucket")}}}`;
                const store = await one(() =>
                        thanos("store", `--grpc-address=127.0.0.1:${grpc}`, `--data-dir=${join(local.dir, "store")}`, objstore),
                );
                const live = await freePort();
                await one(() =>
                        thanos("sidecar", `--grpc-address=127.0.0.1:${live}`, `--prometheus.url=${local.url}`, `--tsdb.path=${local.dir}`),
                );
                const away = `127.0.0.1:${await freePort()}`;
                const query = await one(() =>
                        thanos(
                                "query",
                                "--grpc-address=127.0.0.1:0",
                                `--endpoint=127.0.0.1:${grpc}`,
                                `--endpoint=127.0.0.1:${live}`,
                                `--endpoint-strict=${away}`,
                                "--query.replica-label=coeus",
                        ),
                );
                const known = (stores) => stores.store?.length > 0 && stores.sidecar?.length > 0;
                await until("store gateway and sidecar to be known", async () => known(await apiGet(query.url, "stores")), 60);
                return { local, store, query, away, gateway: `127.0.0.1:${grpc}`, stop };
        } catch (e) {
                await stop();
                throw e;
        }
}

/** The role prometheus below a path prefix, with a target that does not answer and one that relabelling drops. */
export const coeusPrefixed = () =>
        start((port, dir) => {
                const config = join(dir, "prometheus.yml");
                writeFileSync(
                        config,
                        [
                                "global: {scrape_interval: 1s, external_labels: {site: test}}",
                                "scrape_configs:",
                                `- {job_name: here, metrics_path: /prom/metrics, static_configs: [{targets: ['127.0.0.1:${port}']}]}`,
                                "- {job_name: away, static_configs: [{targets: ['127.0.0.1:1']}]}",
                                "- {job_name: gone, static_configs: [{targets: ['127.0.0.1:2']}], relabel_configs: [{action: drop, source_labels: [__address__]}]}",
                                "",
                        ].join("\n"),
                );
                return [
                        "prometheus",
                        `--config.file=${config}`,
                        `--storage.tsdb.path=${join(dir, "data")}`,
                        `--web.listen-address=127.0.0.1:${port}`,
                        `--web.external-url=http://127.0.0.1:${port}/prom`,
                ];
        }, "/prom/-/ready");

/** With rules: an alert that fires at once, one that waits, one that never comes, a recording rule, and one that fails; an Alertmanager that is away. */
export const coeusRules = () =>
        start((port, dir) => {
                const config = join(dir, "prometheus.yml");
                writeFileSync(
                        join(dir, "rules.yml"),
                        [
                                "groups:",
                                "- name: weather",
                                "  interval: 200ms",
                                "  rules:",
                                "  - {alert: Storm, expr: vector(7), labels: {severity: page}, annotations: {summary: 'wind of {{ $value }}'}}",
                                "  - {alert: Rain, expr: vector(1), for: 1h}",
                                "  - {alert: Snow, expr: vector(1) > 2}",
                                "- name: sums",
                                "  interval: 200ms",
                                "  rules:",
                                "  - {record: 'job:wind:sum', expr: vector(3), labels: {unit: knots}}",
                                '  - {record: broken, expr: \'label_replace(vector(1), "a", "b", "", "") or vector(2)\', labels: {a: c}}',
                                "",
                        ].join("\n"),
                );
                writeFileSync(
                        config,
                        "rule_files: [rules.yml]\nalerting: {alertmanagers: [{static_configs: [{targets: ['127.0.0.1:1']}]}]}\n",
                );
                return [
                        "prometheus",
                        `--config.file=${config}`,
                        `--storage.tsdb.path=${join(dir, "data")}`,
                        `--web.listen-address=127.0.0.1:${port}`,
                ];
        }, "/-/ready");

export async function apiGet(url, path) {
        const body = await (await fetch(`${url}/api/v1/${path}`)).json();
        if (body.status !== "success") throw new Error(body.error);
        return body.data;
}
