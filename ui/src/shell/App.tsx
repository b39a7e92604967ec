// SPDX-License-Identifier: Apache-2.0
import { AppShell, Group, Menu, Text } from "@mantine/core";
import { Suspense, useEffect, useState } from "react";
import { Link, Redirect, Route, Router, Switch, useLocation } from "wouter";
import { boot } from "../boot";
import { onUnavailable } from "../lib/api";
import { Icon, Logo } from "../ui/icons";
import { Loading, Note } from "../ui/parts";
import { ErrorBoundary } from "./ErrorBoundary";
import { NotReady } from "./NotReady";
import { HOME, PAGES, type Page } from "./pages";
import { SettingsMenu } from "./SettingsMenu";
import { ThemeButton } from "./ThemeButton";

const GROUPS: { label: string; group: Page["group"] }[] = [
        { label: "Monitoring status", group: "monitoring" },
        { label: "Server status", group: "server" },
];
const MENU = GROUPS.filter(({ group }) => PAGES.some((p) => p.group === group));

function Navigation() {
        const [location] = useLocation();
        const current = PAGES.find((p) => p.path === location);
        const inMenu = current && current.group !== "top";
        return (
                <nav aria-label="Pages">
                        <Group gap={4} wrap="nowrap">
                                {PAGES.filter((p) => p.group === "top").map((p) => (
                                        <Link
                                                key={p.path}
                                                href={p.path}
                                                className={(active) => `nav-link${active ? " active" : ""}`}
                                                aria-current={location === p.path ? "page" : undefined}
                                        >
                                                <Icon name={p.icon} size={16} />
                                                <span className="nav-text">{p.title}</span>
                                        </Link>
                                ))}
                                {MENU.length > 0 && (
                                        <Menu shadow="md" position="bottom-start" width={260}>
                                                <Menu.Target>
                                                        <button type="button" className={`nav-link${inMenu ? " active" : ""}`}>
                                                                <Icon name={inMenu ? current.icon : "server"} size={16} />
                                                                Status{inMenu && <span className="nav-text"> › {current.title}</span>}
                                                                <Icon name="down" size={13} />
                                                        </button>
                                                </Menu.Target>
                                                <Menu.Dropdown>
                                                        {MENU.map(({ label, group }, i) => (
                                                                <div key={group}>
                                                                        {i > 0 && <Menu.Divider />}
                                                                        <Menu.Label>{label}</Menu.Label>
                                                                        {PAGES.filter((p) => p.group === group).map((p) => (
                                                                                <Menu.Item
                                                                                        key={p.path}
                                                                                        component={Link}
                                                                                        href={p.path}
                                                                                        leftSection={<Icon name={p.icon} size={16} />}
                                                                                >
                                                                                        {p.title}
                                                                                </Menu.Item>
                                                                        ))}
                                                                </div>
                                                        ))}
                                                </Menu.Dropdown>
                                        </Menu>
                                )}
                        </Group>
                </nav>
        );
}

function Titled({ page }: { page: Page }) {
        useEffect(() => {
                document.title = `${page.title} · ${boot.title}`;
        }, [page.title]);
        const Component = page.component;
        return (
                <ErrorBoundary key={page.path}>
                        <Suspense fallback={<Loading />}>
                                <Component />
                        </Suspense>
                </ErrorBoundary>
        );
}

export function App() {
        const [ready, setReady] = useState(boot.ready);
        useEffect(() => onUnavailable(() => setReady(false)), []);
        return (
                <Router base={boot.prefix}>
                        <AppShell header={{ height: 52 }} padding="md" className="page">
                                <AppShell.Header className="top">
                                        <Group h="100%" px="md" justify="space-between" wrap="nowrap" gap="sm">
                                                <Group gap="lg" wrap="nowrap">
                                                        <Link href={HOME} className="brand" aria-label="coeus: to the first page">
                                                                <Logo />
                                                                <span>coeus</span>
                                                        </Link>
                                                        <Navigation />
                                                </Group>
                                                <Group gap={4} wrap="nowrap">
                                                        <ThemeButton />
                                                        <SettingsMenu />
                                                </Group>
                                        </Group>
                                </AppShell.Header>
                                <AppShell.Main>
                                        {ready ? (
                                                <Switch>
                                                        {PAGES.map((p) => (
                                                                <Route key={p.path} path={p.path}>
                                                                        <Titled page={p} />
                                                                </Route>
                                                        ))}
                                                        <Route path="/graph">
                                                                <Redirect to={`/query${window.location.search}`} replace />
                                                        </Route>
                                                        <Route path="/">
                                                                <Redirect to={HOME} replace />
                                                        </Route>
                                                        <Route>
                                                                <Note title="There is no such page">
                                                                        <Text size="sm">
                                                                                Nothing lives at this address. The pages are listed above.
                                                                        </Text>
                                                                </Note>
                                                        </Route>
                                                </Switch>
                                        ) : (
                                                <NotReady onReady={() => setReady(true)} />
                                        )}
                                </AppShell.Main>
                        </AppShell>
                </Router>
        );
}
