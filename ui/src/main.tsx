// SPDX-License-Identifier: Apache-2.0
import "./shell/styles";
import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { SettingsProvider } from "./lib/settings";
import { App } from "./shell/App";
import { theme } from "./shell/theme";

const client = new QueryClient({ defaultOptions: { queries: { retry: false, refetchOnWindowFocus: false, staleTime: 0 } } });
const root = document.getElementById("root");
if (root)
        createRoot(root).render(
                <StrictMode>
                        <MantineProvider theme={theme} defaultColorScheme="auto">
                                <SettingsProvider>
                                        <QueryClientProvider client={client}>
                                                <App />
                                        </QueryClientProvider>
                                </SettingsProvider>
                        </MantineProvider>
                </StrictMode>,
        );
