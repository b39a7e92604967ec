// SPDX-License-Identifier: Apache-2.0
// api.ts — the HTTP API: requests that can be cancelled, errors as the server words them.
import { useQuery } from "@tanstack/react-query";
import { boot } from "../boot";

export interface Answer<T> {
        data: T;
        warnings: string[];
        infos: string[];
        /** Milliseconds from the request until the answer was read. */
        tookMs: number;
}

interface Envelope<T> {
        status: "success" | "error";
        data?: T;
        warnings?: string[];
        infos?: string[];
        errorType?: string;
        error?: string;
}

export class ApiError extends Error {
        constructor(
                message: string,
                readonly type: string,
                readonly httpStatus: number,
        ) {
                super(message);
                this.name = "ApiError";
        }
}

type Listener = () => void;
const unavailable = new Set<Listener>();

/** Calls when the API says that the server is starting or stopping: pages then make room for the one that waits. */
export function onUnavailable(listener: Listener): () => void {
        unavailable.add(listener);
        return () => {
                unavailable.delete(listener);
        };
}

export type Params = Record<string, string>;

/** GET, or POST for what may be long (queries). */
export async function api<T>(
        path: string,
        params: Params = {},
        opts: { signal?: AbortSignal | undefined; post?: boolean } = {},
): Promise<Answer<T>> {
        const begin = performance.now();
        const form = new URLSearchParams(params);
        const init: RequestInit = { cache: "no-store", credentials: "same-origin", signal: opts.signal ?? null };
        let url = `${boot.prefix}/api/v1/${path}`;
        if (opts.post) Object.assign(init, { method: "POST", body: form });
        else if (form.size > 0) url += `?${form}`;
        let res: Response;
        try {
                res = await fetch(url, init);
        } catch (e) {
                if (e instanceof DOMException && e.name === "AbortError") throw e;
                throw new ApiError("The server cannot be reached.", "network", 0);
        }
        if (!res.headers.get("content-type")?.startsWith("application/json")) {
                if (res.status === 503 && !path.startsWith("status/walreplay")) for (const tell of unavailable) tell();
                throw new ApiError(`${res.status} ${res.statusText || (await res.text()).slice(0, 200)}`, "http", res.status);
        }
        const body = (await res.json()) as Envelope<T>;
        if (body.status !== "success") throw new ApiError(body.error ?? "The server gave no reason.", body.errorType ?? "", res.status);
        return { data: body.data as T, warnings: body.warnings ?? [], infos: body.infos ?? [], tookMs: performance.now() - begin };
}

export function useApi<T>(path: string, params: Params = {}, opts: { refetchMs?: number | false; enabled?: boolean } = {}) {
        return useQuery({
                queryKey: [path, params],
                queryFn: ({ signal }) => api<T>(path, params, { signal }),
                refetchInterval: opts.refetchMs ?? false,
                enabled: opts.enabled ?? true,
        });
}

// Results of queries.
export type Sample = [number, string];
export interface Histogram {
        count: string;
        sum: string;
        buckets?: [number, string, string, string][];
}
export interface InstantSeries {
        metric: Record<string, string>;
        value?: Sample;
        histogram?: [number, Histogram];
}
export interface RangeSeries {
        metric: Record<string, string>;
        values?: Sample[];
        histograms?: [number, Histogram][];
}
export type InstantResult =
        | { resultType: "vector"; result: InstantSeries[] }
        | { resultType: "matrix"; result: RangeSeries[] }
        | { resultType: "scalar" | "string"; result: Sample };
export interface RangeResult {
        resultType: "matrix";
        result: RangeSeries[];
}
