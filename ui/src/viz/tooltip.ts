// SPDX-License-Identifier: Apache-2.0
// tooltip.ts — the box beside the crosshair of a chart. Plain DOM: it moves with the mouse and must not wait for React.
import type uPlot from "uplot";
import type { Column } from "./align";
import type { ChartSeries } from "./Chart";

interface View {
        series: ChartSeries[];
        columns: Column[];
        times: number[];
        drawn: uPlot.AlignedData;
        all: boolean;
        format: (v: number) => string;
        time: (seconds: number) => string;
        hidden: ReadonlySet<number>;
        color: (i: number) => string;
}

const MAX_ROWS = 20;

function el<K extends keyof HTMLElementTagNameMap>(tag: K, className = "", text = ""): HTMLElementTagNameMap[K] {
        const e = document.createElement(tag);
        if (className) e.className = className;
        if (text) e.textContent = text;
        return e;
}

export class Tooltip {
        private readonly box = el("div", "chart-tooltip");

        constructor(
                private readonly host: HTMLElement,
                private readonly view: () => View,
        ) {
                this.box.hidden = true;
                host.append(this.box);
        }

        remove() {
                this.box.remove();
        }

        move(u: uPlot) {
                const { left = -1, top = -1, idx } = u.cursor;
                // Charts that only follow another one's crosshair show no box of their own.
                this.box.hidden = left < 0 || idx === null || idx === undefined || !u.over.matches(":hover");
                if (this.box.hidden || idx === null || idx === undefined) return;
                const v = this.view();
                const near = this.nearest(u, v, idx, top);
                if (near < 0) {
                        this.box.hidden = true;
                        return;
                }
                this.box.replaceChildren(
                        el("time", "", v.time(v.times[idx] ?? 0)),
                        ...(v.all ? this.rows(v, idx, near) : this.single(v, idx, near)),
                );
                this.place(u, left, top);
        }

        private nearest(u: uPlot, v: View, idx: number, top: number): number {
                let best = -1;
                let distance = Infinity;
                v.columns.forEach((col, i) => {
                        const y = v.drawn[i + 1]?.[idx];
                        if (v.hidden.has(i) || col[idx] == null || y == null) return;
                        const d = Math.abs(u.valToPos(y, "y") - top);
                        if (d < distance) {
                                best = i;
                                distance = d;
                        }
                });
                return best;
        }

        private row(v: View, i: number, idx: number, name: string): HTMLElement {
                const row = el("div", "row");
                const swatch = el("span", "swatch");
                swatch.style.background = v.color(i);
                row.append(swatch, el("span", "", name), el("b", "", v.format(v.columns[i]?.[idx] ?? 0)));
                return row;
        }

        private rows(v: View, idx: number, near: number): HTMLElement[] {
                const shown = v.columns
                        .map((col, i) => ({ i, value: col[idx] ?? null }))
                        .filter((x) => x.value !== null && !v.hidden.has(x.i));
                shown.sort((a, b) => (b.value ?? 0) - (a.value ?? 0));
                const out = shown.slice(0, MAX_ROWS).map(({ i }) => {
                        const row = this.row(v, i, idx, v.series[i]?.name ?? "");
                        if (i === near) row.classList.add("near");
                        return row;
                });
                if (shown.length > MAX_ROWS) out.push(el("div", "", `and ${shown.length - MAX_ROWS} more`));
                return out;
        }

        private single(v: View, idx: number, near: number): HTMLElement[] {
                const s = v.series[near];
                if (!s?.labels) return [this.row(v, near, idx, s?.name ?? "")];
                const { __name__: name = "", ...rest } = s.labels;
                const out = [this.row(v, near, idx, name || "value")];
                for (const [k, value] of Object.entries(rest)) {
                        const line = el("div");
                        line.append(el("strong", "", `${k}: `), value);
                        out.push(line);
                }
                return out;
        }

        private place(u: uPlot, left: number, top: number) {
                const plotLeft = u.over.offsetLeft + left;
                const w = this.box.offsetWidth;
                const right = plotLeft + 16 + w < this.host.clientWidth;
                this.box.style.left = `${right ? plotLeft + 16 : Math.max(0, plotLeft - w - 16)}px`;
                this.box.style.top = `${Math.max(0, Math.min(u.over.offsetTop + top + 12, this.host.clientHeight - this.box.offsetHeight - 4))}px`;
        }
}
