/** The list of all videos, loaded as far as it is looked at, and kept fresh while something moves in it. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError, connection } from "../api/client";
import type { Status, VideoJob } from "../api/types";
import { isFinal } from "../follow";

const AT_ONCE = 100;

export interface Videos {
  jobs: VideoJob[];
  more: boolean;
  /** The first page has come. */
  ready: boolean;
  error: ApiError | null;
  loadMore: () => void;
  drop: (id: string) => void;
}

export function useVideos(search: string, statuses: readonly Status[]): Videos {
  const [jobs, setJobs] = useState<VideoJob[]>([]);
  const [more, setMore] = useState(false);
  const [ready, setReady] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const loading = useRef(false);
  const latest = useRef(jobs);
  latest.current = jobs;
  const asked = `${search}\n${statuses.join()}`;
  const current = useRef(asked);
  current.current = asked;

  useEffect(() => {
    const abort = new AbortController();
    let fresh = true; // what another search found stays until the first answer
    let timer: ReturnType<typeof setTimeout> | undefined;
    const first = async (): Promise<void> => {
      clearTimeout(timer);
      if (!document.hidden)
        try {
          const page = await api.videos({ search, statuses, limit: AT_ONCE }, abort.signal);
          const old = fresh ? [] : latest.current;
          fresh = false;
          const next = merge(old, page.data, page.has_more);
          setJobs(next);
          if (next.length === page.data.length) setMore(page.has_more);
          setReady(true);
          setError(null);
        } catch (caught) {
          if (abort.signal.aborted) return;
          setError(caught as ApiError);
        }
      if (!abort.signal.aborted)
        timer = setTimeout(first, latest.current.slice(0, AT_ONCE).every(isFinal) ? 10000 : 2000);
    };
    void first();
    const unwatch = connection.watch((state) => state === "up" && void first());
    return () => {
      abort.abort();
      clearTimeout(timer);
      unwatch();
    };
  }, [asked]);

  const loadMore = useCallback(() => {
    const last = latest.current.at(-1);
    if (loading.current || !last) return;
    loading.current = true;
    api
      .videos({ search, statuses, limit: AT_ONCE, after: last.id })
      .then((page) => {
        if (current.current !== asked) return;
        setJobs((old) => [...old, ...page.data.filter((job) => !old.some((each) => each.id === job.id))]);
        setMore(page.has_more);
      })
      .catch((caught: unknown) => caught instanceof ApiError && setError(caught))
      .finally(() => {
        loading.current = false;
      });
  }, [asked]);

  const drop = useCallback((id: string) => setJobs((old) => old.filter((job) => job.id !== id)), []);
  return { jobs, more, ready, error, loadMore, drop };
}

/** The newest page over what was loaded before: new ones come first, changed ones change, deleted ones go. */
export function merge<J extends { id: string; created_at: number }>(old: J[], page: J[], more: boolean): J[] {
  if (!more || page.length === 0) return page;
  const ids = new Set(page.map((job) => job.id));
  const end = old.findIndex((job) => job.id === page.at(-1)!.id);
  const oldest = page.at(-1)!.created_at;
  const rest = end >= 0 ? old.slice(end + 1) : old.filter((job) => job.created_at < oldest);
  return [...page, ...rest.filter((job) => !ids.has(job.id))];
}
