import { useEffect, useState } from "preact/hooks";
import { api } from "./api/client";
import type { VideoJob } from "./api/types";
import type { Dsg } from "./dsg";

/** The plan of a video; null while it is not there, or where there is none. */
export function useDsg(job: VideoJob | null): Dsg | null {
  const [found, setFound] = useState<{ id: string; dsg: Dsg } | null>(null);
  const id = job?.has_dsg ? job.id : null;
  useEffect(() => {
    if (!id) return;
    let stale = false;
    api.dsg(id).then(
      (dsg) => !stale && setFound({ id, dsg }),
      () => undefined, // the video can be watched without
    );
    return () => {
      stale = true;
    };
  }, [id]);
  return found && found.id === id ? found.dsg : null;
}
