// SPDX-License-Identifier: Apache-2.0

/** Puts text on the clipboard. The browser's own way exists only under https and on localhost; the old one works everywhere. */
export async function copyText(text: string): Promise<boolean> {
        try {
                await navigator.clipboard.writeText(text);
                return true;
        } catch {
                const area = document.createElement("textarea");
                area.value = text;
                area.style.position = "fixed";
                area.style.opacity = "0";
                document.body.append(area);
                area.select();
                const ok = document.execCommand("copy");
                area.remove();
                return ok;
        }
}
