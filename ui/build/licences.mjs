// SPDX-License-Identifier: Apache-2.0
// licences.mjs — a Vite plugin: writes assets/licenses.txt, the licence of every package whose code is in the bundle. The licences ask for that.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const ALLOWED = new Set(["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "ISC", "BlueOak-1.0.0", "Unlicense"]);

/** The folder of the package that a module belongs to, or undefined for our own modules. */
function packageDir(id) {
        let dir = dirname(id.replace(/^\0/, "").replace(/\?.*$/, ""));
        if (!dir.includes("node_modules")) return undefined;
        for (; dir.includes("node_modules/"); dir = dirname(dir)) {
                const file = join(dir, "package.json");
                if (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).version) return dir;
        }
        return undefined;
}

export function licences() {
        const found = new Map(); // also of style sheets, which leave the module graph before the bundle is written
        return {
                name: "licences",
                apply: "build",
                moduleParsed(info) {
                        const dir = packageDir(info.id);
                        if (dir) found.set(dir, undefined);
                },
                generateBundle() {
                        const packages = [...found.keys()].map((dir) => {
                                const { name, version, license } = JSON.parse(readFileSync(join(dir, "package.json"), "utf8"));
                                if (!ALLOWED.has(license))
                                        this.error(`licence of ${name}@${version} is ${license}: not one that may be shipped`);
                                const file = readdirSync(dir).find((f) => /^(licen[cs]e|copying)/i.test(f));
                                return { name, version, license, text: file ? readFileSync(join(dir, file), "utf8").trim() : "" };
                        });
                        packages.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version < b.version ? -1 : 1));
                        // A text that several packages share stands once.
                        const texts = new Map();
                        for (const p of packages) texts.set(p.text, [...(texts.get(p.text) ?? []), p]);
                        const parts = [...texts].map(([text, list]) => {
                                const head = list.map((p) => `${p.name} ${p.version}: ${p.license}`).join("\n");
                                return `${head}\n\n${text || "(the package holds no licence text of its own)"}\n`;
                        });
                        const rule = `\n${"-".repeat(78)}\n`;
                        this.emitFile({
                                type: "asset",
                                fileName: "assets/licenses.txt",
                                source: `The web pages contain ${packages.length} packages of others, under these licences.\n${rule}${parts.join(rule)}`,
                        });
                },
        };
}
