/** A job as it stands now, followed until it is done; also over lost lines, sleeping tabs and reloads. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, connection } from "./api/client";
import { followEvents, type JobEvent } from "./api/events";
import type { PlanJob, VideoJob } from "./api/types";

export interface Live {
  stage: string | null;
  step: number | null;
  steps: number | null;
  /** What the stage is doing, in the server's words. */
  doing: string | null;
  /** The number of the latest preview. */
  preview: number | null;
}

export interface Followed<J> extends Live {
  job: J | null;
  error: ApiError | null;
  set: (job: J) => void;
}

const NOTHING: Live = { stage: null, doing: null, step: null, steps: null, preview: null };

export const isFinal = (job: { status: string }): boolean => ["completed", "failed", "cancelled"].includes(job.status);

export const useVideo = (id: string | null): Followed<VideoJob> => useJob("videos", id, api.video);
export const usePlan = (id: string | null): Followed<PlanJob> => useJob("plans", id, api.getPlan);

function useJob<J extends VideoJob | PlanJob>(
  kind: "plans" | "videos",
  id: string | null,
  load: (id: string) => Promise<J>,
): Followed<J> {
  const [job, setJob] = useState<J | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [live, setLive] = useState<Live>(NOTHING);
  const current = useRef(id);
  current.current = id;

  const take = useCallback((next: J) => {
    if (next.id !== current.current) return;
    setError(null);
    setJob((old) =>
      old && old.id === next.id && !isFinal(next) ? { ...next, progress: Math.max(old.progress, next.progress) } : next,
    );
  }, []);

  useEffect(() => {
    setJob(null);
    setError(null);
    setLive(NOTHING);
    if (id === null) return;
    let stopped = false;
    let stopEvents: (() => void) | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let asking = false;
    let again = false;

    const refresh = async (): Promise<void> => {
      if (asking) {
        again = true;
        return;
      }
      asking = true;
      await look();
      asking = false;
      if (again && !stopped) {
        again = false;
        void refresh();
      }
    };
    const look = async (): Promise<void> => {
      clearTimeout(timer);
      try {
        const next = await load(id);
        if (stopped) return;
        take(next);
        if (isFinal(next)) return leave();
        if (!stopEvents && !document.hidden) listen();
      } catch (caught) {
        if (stopped || !(caught instanceof ApiError)) return;
        if (caught.status !== 0 && caught.status < 500) return setError(caught);
        leave();
      }
      timer = setTimeout(refresh, stopEvents ? 10000 : 2000);
    };
    const listen = (): void => {
      stopEvents = followEvents(kind, id, onEvent, () => {
        leave();
        timer = setTimeout(refresh, 2000);
      });
    };
    const leave = (): void => {
      stopEvents?.();
      stopEvents = null;
    };
    const onEvent = (event: JobEvent): void => {
      if (stopped) return;
      setLive((old) => readLive(old, event));
      setJob((old) => old && { ...old, progress: Math.max(old.progress, event.progress) });
      if (!["step", "preview"].includes(event.kind)) void refresh();
    };
    // Browsers allow few open lines to one server, so a tab in the background keeps none.
    const onVisible = (): void => {
      if (document.hidden) leave();
      else void refresh();
    };
    const unwatch = connection.watch((state) => state === "up" && !stopEvents && void refresh());
    document.addEventListener("visibilitychange", onVisible);
    void refresh();
    return () => {
      stopped = true;
      clearTimeout(timer);
      leave();
      unwatch();
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [id, kind, load, take]);

  // The first draw after a change of id must not show the job of before.
  const mine = job?.id === id ? job : null;
  return { job: mine, error, set: take, ...live };
}

export function readLive(old: Live, event: JobEvent): Live {
  const said = event.data;
  const number = (name: string): number | null => (typeof said[name] === "number" ? said[name] : null);
  const text = (name: string): string | null => (typeof said[name] === "string" ? said[name] : null);
  switch (event.kind) {
    case "stage": {
      const stage = text("stage") ?? old.stage;
      return stage === old.stage ? { ...old, doing: text("doing") } : { ...NOTHING, stage, doing: text("doing") };
    }
    case "step":
      return { ...old, stage: "generate", step: number("step"), steps: number("steps") };
    case "preview":
      return { ...old, preview: event.number };
    case "requeued":
      return NOTHING;
    default:
      return old;
  }
}
