// SPDX-License-Identifier: Apache-2.0
import { useState } from "react";

/** A filter that stands in the URL, so that a page can be shared as it looks. The empty text is left out. */
export function useUrlParam(name: string, fallback = ""): [string, (v: string) => void] {
        const [value, setValue] = useState(() => new URLSearchParams(window.location.search).get(name) ?? fallback);
        return [
                value,
                (v) => {
                        const params = new URLSearchParams(window.location.search);
                        if (v === fallback) params.delete(name);
                        else params.set(name, v);
                        const search = params.size ? `?${params}` : "";
                        window.history.replaceState(null, "", window.location.pathname + search);
                        setValue(v);
                },
        ];
}
