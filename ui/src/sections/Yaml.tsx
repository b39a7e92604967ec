// SPDX-License-Identifier: Apache-2.0
// Yaml.tsx — YAML with colours, by line: enough for what the server prints, which is always in block style.
import { memo } from "react";
import { Copy } from "../ui/parts";

const LINE = /^(\s*(?:- )*)("[^"]*"|'[^']*'|[^\s:#"'][^:#]*)?(:)(?=\s|$)(.*)$/;

function value(text: string) {
        const v = text.trim();
        if (v === "") return text;
        if (v.startsWith("#")) return <span className="yaml-comment">{text}</span>;
        if (/^(true|false|null|-?\d[\w.]*)$/.test(v)) return <span className="yaml-number">{text}</span>;
        return <span className="yaml-string">{text}</span>;
}

function line(text: string) {
        const m = LINE.exec(text);
        if (!m?.[2]) {
                const indent = /^\s*(- )*/.exec(text)?.[0] ?? "";
                return (
                        <>
                                {indent}
                                {value(text.slice(indent.length))}
                        </>
                );
        }
        return (
                <>
                        {m[1]}
                        <span className="yaml-key">{m[2]}</span>:{value(m[4] ?? "")}
                </>
        );
}

export const Yaml = memo(function Yaml({ text, label }: { text: string; label: string }) {
        return (
                <div style={{ position: "relative", marginBottom: 8 }}>
                        <div style={{ position: "absolute", right: 8, top: 8 }}>
                                <Copy text={text} label="Copy" />
                        </div>
                        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it */}
                        <section className="code-block" aria-label={label} tabIndex={0}>
                                {text.split("\n").map((l, i) => (
                                        // biome-ignore lint/suspicious/noArrayIndexKey: a line is its number
                                        <span key={i}>
                                                {line(l)}
                                                {"\n"}
                                        </span>
                                ))}
                        </section>
                </div>
        );
});
