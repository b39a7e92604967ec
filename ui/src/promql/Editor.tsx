// SPDX-License-Identifier: Apache-2.0
// Editor.tsx — the PromQL input: CodeMirror with Prometheus' own language, completion against the server and checks while typing.
import {
        autocompletion,
        closeBrackets,
        closeBracketsKeymap,
        completionKeymap,
        type CompletionContext,
        type CompletionResult,
        startCompletion,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { Compartment, EditorState, type Extension, Prec } from "@codemirror/state";
import { drawSelection, EditorView, keymap, placeholder } from "@codemirror/view";
import { type CompleteStrategy, newCompleteStrategy, PromQLExtension } from "@prometheus-io/codemirror-promql";
import { useEffect, useRef } from "react";
import { boot } from "../boot";
import { parseDuration } from "../lib/duration";
import { useSettings } from "../lib/settings";
import { editorTheme, highlighting } from "./editorTheme";
import "./editor.css";

/** Offers earlier queries beside what the language knows, as long as only one thing has been typed. */
class WithHistory implements CompleteStrategy {
        constructor(
                private readonly inner: CompleteStrategy,
                private readonly queries: () => string[],
        ) {}

        async promQL(context: CompletionContext): Promise<CompletionResult | null> {
                const result = await this.inner.promQL(context);
                const text = context.state.doc.toString();
                if (context.pos !== text.length || /[\n{]/.test(text)) return result;
                const options = this.queries()
                        .filter((q) => q !== text)
                        .map((q) => ({
                                label: q.length > 80 ? `${q.slice(0, 79)}…` : q,
                                apply: q,
                                detail: "past query",
                                type: "history",
                                boost: text === "" ? 99 : -50,
                        }));
                if (result === null) return options.length && text === "" ? { from: 0, options } : null;
                return result.from === 0 ? { ...result, options: [...result.options, ...options] } : result;
        }

        destroy() {
                this.inner.destroy?.();
        }
}

interface Props {
        value: string;
        onChange: (text: string) => void;
        onRun: () => void;
        queries: () => string[];
        label: string;
}

export function Editor(props: Props) {
        const host = useRef<HTMLDivElement>(null);
        const view = useRef<EditorView | null>(null);
        const language = useRef(new Compartment());
        const now = useRef(props);
        now.current = props;
        const { autocomplete, linter, highlight } = useSettings();

        useEffect(() => {
                if (!host.current) return;
                const run = () => {
                        now.current.onRun();
                        return true;
                };
                const v = new EditorView({
                        parent: host.current,
                        state: EditorState.create({
                                doc: now.current.value,
                                extensions: [
                                        editorTheme,
                                        history(),
                                        drawSelection(),
                                        indentOnInput(),
                                        bracketMatching(),
                                        closeBrackets(),
                                        autocompletion({ icons: true, maxRenderedOptions: 200 }),
                                        EditorView.lineWrapping,
                                        EditorView.contentAttributes.of(() => ({ "aria-label": now.current.label })),
                                        placeholder("Enter expression (press Shift+Enter for newlines)"),
                                        language.current.of([]),
                                        keymap.of([
                                                ...closeBracketsKeymap,
                                                ...defaultKeymap,
                                                ...historyKeymap,
                                                ...completionKeymap,
                                                ...lintKeymap,
                                        ]),
                                        // Below the keys of the completion list, where Enter takes the chosen entry.
                                        Prec.high(
                                                keymap.of([
                                                        { key: "Enter", run },
                                                        { key: "Shift-Enter", run: insertNewlineAndIndent },
                                                        { key: "Mod-Enter", run },
                                                        {
                                                                key: "Escape",
                                                                run: (e) => {
                                                                        e.contentDOM.blur();
                                                                        return false;
                                                                },
                                                        },
                                                ]),
                                        ),
                                        EditorView.updateListener.of((u) => {
                                                if (u.docChanged) now.current.onChange(u.state.doc.toString());
                                        }),
                                ],
                        }),
                });
                view.current = v;
                return () => {
                        v.destroy();
                        view.current = null;
                };
        }, []);

        useEffect(() => {
                const promql = new PromQLExtension().activateCompletion(autocomplete).activateLinter(linter);
                promql.setComplete({
                        completeStrategy: new WithHistory(
                                newCompleteStrategy({
                                        remote: {
                                                url: boot.prefix,
                                                httpMethod: "POST",
                                                lookbackInterval: parseDuration(boot.lookbackDelta) ?? 300_000,
                                                cache: { maxAge: 300_000 },
                                        },
                                }),
                                () => now.current.queries(),
                        ),
                });
                const extension: Extension = [promql.asExtension(), highlight ? syntaxHighlighting(highlighting) : []];
                view.current?.dispatch({ effects: language.current.reconfigure(extension) });
                return () => promql.destroy();
        }, [autocomplete, linter, highlight]);

        // A text from elsewhere (URL, format): what was typed here is the same already.
        useEffect(() => {
                const v = view.current;
                if (v && v.state.doc.toString() !== props.value)
                        v.dispatch({ changes: { from: 0, to: v.state.doc.length, insert: props.value } });
        }, [props.value]);

        // biome-ignore lint/correctness/useExhaustiveDependencies: the label is read again at every update of the view
        useEffect(() => view.current?.dispatch({}), [props.label]);

        const open = () => {
                const v = view.current;
                if (v && v.state.doc.length === 0) {
                        v.focus();
                        startCompletion(v);
                }
        };
        // biome-ignore lint/a11y/noStaticElementInteractions: the editor inside is the control; this only opens its list by mouse
        return <div ref={host} className="promql-editor" onDoubleClick={open} />;
}
