// SPDX-License-Identifier: Apache-2.0
// settings.tsx — what the user chose, kept in the browser.
import { createContext, type ReactNode, useContext, useMemo, useState } from "react";

export interface Settings {
        localTime: boolean;
        history: boolean;
        autocomplete: boolean;
        linter: boolean;
        highlight: boolean;
        warnings: boolean;
        infos: boolean;
}

export const DEFAULTS: Settings = {
        localTime: false,
        history: true,
        autocomplete: true,
        linter: true,
        highlight: true,
        warnings: true,
        infos: true,
};

export function readStored<T>(key: string, fallback: T): T {
        try {
                const text = localStorage.getItem(`coeus.${key}`);
                return text === null ? fallback : (JSON.parse(text) as T);
        } catch {
                return fallback;
        }
}

export function writeStored(key: string, value: unknown) {
        try {
                localStorage.setItem(`coeus.${key}`, JSON.stringify(value));
        } catch {
                // Storage may be off or full: the choice then lasts as long as the page.
        }
}

interface Store extends Settings {
        set: (change: Partial<Settings>) => void;
        utc: boolean;
}

const Context = createContext<Store>({ ...DEFAULTS, set: () => {}, utc: true });

export function SettingsProvider({ children }: { children: ReactNode }) {
        const [value, setValue] = useState<Settings>(() => ({ ...DEFAULTS, ...readStored<Partial<Settings>>("settings", {}) }));
        const store = useMemo<Store>(
                () => ({
                        ...value,
                        utc: !value.localTime,
                        set: (change) =>
                                setValue((old) => {
                                        const next = { ...old, ...change };
                                        writeStored("settings", next);
                                        return next;
                                }),
                }),
                [value],
        );
        return <Context.Provider value={store}>{children}</Context.Provider>;
}

export const useSettings = () => useContext(Context);

/** useState that survives a reload. */
export function useStored<T>(key: string, fallback: T): [T, (v: T) => void] {
        const [value, setValue] = useState<T>(() => readStored(key, fallback));
        return [
                value,
                (v) => {
                        writeStored(key, v);
                        setValue(v);
                },
        ];
}
