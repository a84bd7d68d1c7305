/** Requests to the server. A session cookie stands for the token, so that videos and events work too. */
import { createStore } from "../store";
import type { List, Model, Planner, PlanJob, PlanRequest, RemixRequest, Status, VideoJob, VideoRequest } from "./types";
import type { Dsg } from "../dsg";

/** What went wrong, in words for people. `status` 0: the server does not answer. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string = "",
  ) {
    super(message);
  }
}

/** `away`: the last request got no answer; `signed-out`: the server asks for a token. */
export type Connection = "up" | "away" | "signed-out";
export const connection = createStore<Connection>("up");

const ROOT = "v1";

export async function request<T>(path: string, options: RequestInit = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    connection.set("away");
    throw new ApiError("The server does not answer.", 0, "away");
  }
  if (response.status === 401) {
    connection.set("signed-out");
    throw new ApiError("The server asks for a token.", 401, "unauthorized");
  }
  if ([502, 503, 504].includes(response.status)) {
    const error = await failure(response);
    if (!error.code) connection.set("away"); // a proxy speaks, not our server
    throw error;
  }
  if (connection.get() === "away") connection.set("up");
  if (!response.ok) throw await failure(response);
  return response.status === 204 ? (undefined as T) : ((await response.json()) as T);
}

/** Reads both `{"error": {...}}` and FastAPI's own `{"detail": ...}`. */
async function failure(response: Response): Promise<ApiError> {
  const fallback = `The server answered ${response.status}${response.statusText ? ` (${response.statusText})` : ""}.`;
  try {
    const body = (await response.json()) as {
      error?: { message?: string; code?: string | null };
      detail?: string | { msg?: string; loc?: unknown[] }[];
    };
    const said = body.error?.message ?? (typeof body.detail === "string" ? body.detail : body.detail?.[0]?.msg);
    return new ApiError(said ?? fallback, response.status, body.error?.code ?? "");
  } catch {
    return new ApiError(fallback, response.status);
  }
}

function json(method: string, body: unknown, headers: Record<string, string> = {}): RequestInit {
  return { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } };
}

/** A key per press of a button, so that a request that is sent again makes no second job. */
function once(): Record<string, string> {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return { "Idempotency-Key": [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
}

export interface VideoQuery {
  after?: string;
  limit?: number;
  search?: string;
  statuses?: readonly Status[];
}

export const api = {
  signIn: (token: string) => request<void>(`${ROOT}/session`, json("POST", { token })),
  signOut: () => request<void>(`${ROOT}/session`, { method: "DELETE" }),
  planners: () => request<List<Planner>>(`${ROOT}/planners`),
  models: () => request<List<Model>>(`${ROOT}/models`),

  plan: (wanted: PlanRequest) => request<PlanJob>(`${ROOT}/plans`, json("POST", { ...wanted, background: true }, once())),
  getPlan: (id: string) => request<PlanJob>(`${ROOT}/plans/${id}`),
  cancelPlan: (id: string) => request<PlanJob>(`${ROOT}/plans/${id}/cancel`, json("POST", {})),

  videos(query: VideoQuery = {}, signal?: AbortSignal) {
    const asked = new URLSearchParams({ limit: String(query.limit ?? 50), order: "desc" });
    if (query.after) asked.set("after", query.after);
    if (query.search) asked.set("search", query.search);
    for (const status of query.statuses ?? []) asked.append("status", status);
    return request<List<VideoJob>>(`${ROOT}/videos?${asked}`, signal ? { signal } : {});
  },
  video: (id: string) => request<VideoJob>(`${ROOT}/videos/${id}`),
  dsg: (id: string) => request<Dsg>(`${ROOT}/videos/${id}/dsg`),

  generate(wanted: VideoRequest, firstFrame: File | null = null) {
    if (!firstFrame) return request<VideoJob>(`${ROOT}/videos`, json("POST", wanted, once()));
    const form = new FormData();
    for (const [name, value] of Object.entries(wanted))
      if (value !== undefined)
        form.set(name, value === null ? "none" : typeof value === "object" ? JSON.stringify(value) : String(value));
    form.set("input_reference", firstFrame);
    return request<VideoJob>(`${ROOT}/videos`, { method: "POST", body: form, headers: once() });
  },
  remix: (id: string, change: RemixRequest) =>
    request<VideoJob>(`${ROOT}/videos/${id}/remix`, json("POST", change, once())),
  cancel: (id: string) => request<VideoJob>(`${ROOT}/videos/${id}/cancel`, json("POST", {})),
  delete: (id: string) => request<unknown>(`${ROOT}/videos/${id}`, { method: "DELETE" }),
};

export type Variant = "video" | "thumbnail" | "spritesheet";

export function contentAddress(id: string, variant: Variant): string {
  return `${ROOT}/videos/${encodeURIComponent(id)}/content?variant=${variant}`;
}

export function previewAddress(id: string, number: number): string {
  return `${ROOT}/videos/${encodeURIComponent(id)}/preview?n=${number}`;
}

export function eventsAddress(kind: "plans" | "videos", id: string): string {
  return `${ROOT}/${kind}/${encodeURIComponent(id)}/events`;
}
