// SPDX-License-Identifier: Apache-2.0
import { createTheme } from "@mantine/core";

export const theme = createTheme({
        primaryColor: "blue",
        primaryShade: 8,
        autoContrast: true,
        defaultRadius: "sm",
        fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif",
        fontFamilyMonospace: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
        respectReducedMotion: true,
});
