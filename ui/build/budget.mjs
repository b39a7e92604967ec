// SPDX-License-Identifier: Apache-2.0
// budget.mjs — fails the build when the pages grow over their budget (kB after gzip -9, as they are sent).
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";

const DIST = new URL("../dist/", import.meta.url).pathname;
const TOTAL_KB = 600;
const FIRST_LOAD_KB = { plain: 280, board: 330, query: 450 };
const KIND = { "src/dash/HostPage.tsx": "board", "src/sections/QueryPage.tsx": "query" };

const manifestFile = join(DIST, ".vite/manifest.json");
const manifest = JSON.parse(readFileSync(manifestFile, "utf8"));
rmSync(join(DIST, ".vite"), { recursive: true });

const files = readdirSync(DIST, { recursive: true, withFileTypes: true })
        .filter((f) => f.isFile())
        .map((f) => relative(DIST, join(f.parentPath, f.name)));
const size = new Map(files.map((f) => [f, gzipSync(readFileSync(join(DIST, f)), { level: 9 }).length]));

/** All files that a chunk loads with it. */
function closure(key, into) {
        const chunk = manifest[key];
        if (!chunk || into.has(chunk.file)) return into;
        into.add(chunk.file);
        for (const css of chunk.css ?? []) into.add(css);
        for (const next of chunk.imports ?? []) closure(next, into);
        return into;
}

const kb = (n) => (n / 1000).toFixed(1).padStart(7);
const over = [];
const entry = Object.keys(manifest).find((k) => manifest[k].isEntry);
for (const key of manifest[entry].dynamicImports ?? []) {
        const kind = KIND[key] ?? "plain";
        const all = closure(key, closure(entry, new Set(["index.html"])));
        const sum = [...all].reduce((n, f) => n + (size.get(f) ?? 0), 0);
        console.log(`${kb(sum)} kB  first load of ${key} (${kind}, budget ${FIRST_LOAD_KB[kind]})`);
        if (sum > FIRST_LOAD_KB[kind] * 1000) over.push(key);
}
const total = [...size.values()].reduce((a, b) => a + b, 0);
console.log(
        `${kb(total)} kB  in all, ${files.length} files (budget ${TOTAL_KB}); ${kb(files.reduce((n, f) => n + statSync(join(DIST, f)).size, 0))} kB raw`,
);
if (total > TOTAL_KB * 1000) over.push("the total");
if (over.length) {
        console.error(`over budget: ${over.join(", ")}`);
        process.exit(1);
}
