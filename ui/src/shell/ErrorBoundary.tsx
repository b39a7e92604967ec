// SPDX-License-Identifier: Apache-2.0
import { Component, type ReactNode } from "react";
import { ErrorBox } from "../ui/parts";

/** A page that fails leaves the others usable. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { error: Error | null }> {
        override state: { error: Error | null } = { error: null };

        static getDerivedStateFromError(error: Error) {
                return { error };
        }

        override render() {
                return this.state.error ? <ErrorBox title="This page failed" error={this.state.error} /> : this.props.children;
        }
}
