// SPDX-License-Identifier: Apache-2.0
// pages.ts — the pages, and which of them a role has. Each is a chunk of its own, loaded when it is opened.
import { type ComponentType, type LazyExoticComponent, lazy } from "react";
import { type Boot, boot, isQuerier } from "../boot";
import type { IconName } from "../ui/icons";

export interface Page {
        path: string;
        title: string;
        icon: IconName;
        /** Where it stands in the navigation. */
        group: "top" | "monitoring" | "server";
        component: LazyExoticComponent<ComponentType>;
}

const ALL: Page[] = [
        { path: "/query", title: "Query", icon: "search", group: "top", component: lazy(() => import("../sections/QueryPage")) },
        { path: "/alerts", title: "Alerts", icon: "bell", group: "top", component: lazy(() => import("../sections/AlertsPage")) },
        { path: "/host", title: "Host", icon: "host", group: "top", component: lazy(() => import("../dash/HostPage")) },
        { path: "/stores", title: "Stores", icon: "server", group: "top", component: lazy(() => import("../sections/StoresPage")) },
        { path: "/blocks", title: "Blocks", icon: "database", group: "top", component: lazy(() => import("../sections/BlocksPage")) },
        {
                path: "/targets",
                title: "Target health",
                icon: "heart",
                group: "monitoring",
                component: lazy(() => import("../sections/TargetsPage")),
        },
        { path: "/rules", title: "Rule health", icon: "list", group: "monitoring", component: lazy(() => import("../sections/RulesPage")) },
        {
                path: "/service-discovery",
                title: "Service discovery",
                icon: "compass",
                group: "monitoring",
                component: lazy(() => import("../sections/DiscoveryPage")),
        },
        {
                path: "/status",
                title: "Runtime & build information",
                icon: "info",
                group: "server",
                component: lazy(() => import("../sections/StatusPage")),
        },
        {
                path: "/tsdb-status",
                title: "TSDB status",
                icon: "database",
                group: "server",
                component: lazy(() => import("../sections/TsdbPage")),
        },
        {
                path: "/flags",
                title: "Command-line flags",
                icon: "flag",
                group: "server",
                component: lazy(() => import("../sections/FlagsPage")),
        },
        { path: "/config", title: "Configuration", icon: "file", group: "server", component: lazy(() => import("../sections/ConfigPage")) },
        {
                path: "/alertmanager-discovery",
                title: "Alertmanager discovery",
                icon: "server",
                group: "server",
                component: lazy(() => import("../sections/AlertmanagersPage")),
        },
];

const QUERIER = ["/query", "/alerts", "/stores", "/targets", "/rules", "/status", "/flags"];

/** In the order of the navigation; the first is where / leads. */
export function pagesOf(b: Boot): Page[] {
        if (b.role === "thanos-store") return ALL.filter((p) => p.path === "/blocks");
        if (isQuerier(b)) return ALL.filter((p) => QUERIER.includes(p.path));
        return ALL.filter((p) => p.path !== "/stores" && (p.path !== "/blocks" || b.blocks)).map((p) =>
                p.path === "/blocks" ? { ...p, group: "monitoring" as const } : p,
        );
}

export const PAGES = pagesOf(boot);
export const HOME = PAGES[0]?.path ?? "/query";
