// SPDX-License-Identifier: Apache-2.0
import { HighlightStyle } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

export const editorTheme = EditorView.theme({
        "&": { fontSize: "14px", backgroundColor: "transparent", width: "100%" },
        "&.cm-focused": { outline: "none" },
        ".cm-scroller": { fontFamily: "var(--mantine-font-family-monospace)", lineHeight: "1.6" },
        ".cm-content": { padding: "6px 0", caretColor: "var(--mantine-color-text)" },
        ".cm-cursor": { borderLeftColor: "var(--mantine-color-text)", borderLeftWidth: "2px" },
        ".cm-placeholder": { color: "var(--mantine-color-dimmed)" },
        "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
                backgroundColor: "color-mix(in srgb, var(--mantine-primary-color-filled) 28%, transparent) !important",
        },
        ".cm-matchingBracket": {
                backgroundColor: "color-mix(in srgb, var(--mantine-primary-color-filled) 22%, transparent) !important",
                borderRadius: "2px",
        },
        ".cm-tooltip": {
                color: "var(--mantine-color-text)",
                backgroundColor: "var(--mantine-color-body)",
                border: "1px solid var(--mantine-color-default-border)",
                borderRadius: "6px",
                boxShadow: "0 4px 16px rgba(0, 0, 0, 0.25)",
                overflow: "hidden",
        },
        ".cm-tooltip.cm-tooltip-autocomplete > ul": {
                fontFamily: "var(--mantine-font-family-monospace)",
                fontSize: "13px",
                maxHeight: "22em",
        },
        ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "2px 8px", display: "flex", gap: "6px", alignItems: "baseline" },
        ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--mantine-primary-color-filled)", color: "#fff" },
        ".cm-completionDetail": { marginLeft: "auto", paddingLeft: "18px", fontStyle: "normal", opacity: "0.75" },
        ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700" },
        ".cm-completionInfo": { padding: "8px 10px", maxWidth: "30em", fontFamily: "var(--mantine-font-family)", fontSize: "13px" },
        ".cm-completionIcon": { width: "1.3em", opacity: "0.8" },
        ".cm-diagnostic-error": { borderLeftColor: "var(--syntax-error)" },
});

export const highlighting = HighlightStyle.define([
        { tag: tags.number, color: "var(--syntax-number)" },
        { tag: tags.string, color: "var(--syntax-string)" },
        { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: "var(--syntax-keyword)" },
        { tag: tags.function(tags.variableName), color: "var(--syntax-function)" },
        { tag: tags.labelName, color: "var(--syntax-label)" },
        { tag: tags.comment, color: "var(--syntax-comment)", fontStyle: "italic" },
        { tag: tags.invalid, color: "var(--syntax-error)" },
]);
