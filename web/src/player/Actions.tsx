import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { note } from "../announce";
import { api, contentAddress } from "../api/client";
import type { VideoJob } from "../api/types";
import { load, videoJob } from "../create/draft";
import { isFinal } from "../follow";
import { Confirm } from "../parts/Dialog";
import { Icon } from "../parts/icons";
import { fromVideo } from "../recipe";
import { formatRoute, go } from "../router";

/** Puts what made a video back into the form; as a remix, the new one says what it was made from. */
export async function reuse(job: VideoJob, remix: boolean): Promise<void> {
  try {
    const dsg = job.has_dsg ? await api.dsg(job.id) : null;
    load(fromVideo(job, dsg, remix));
    go({ view: "create" });
    note(remix ? "Change the plan or the prompt, then generate." : "The recipe is loaded.");
  } catch (error) {
    note((error as Error).message, "danger");
  }
}

export function Actions({ job, onDeleted }: { job: VideoJob; onDeleted: () => void }): JSX.Element {
  const [asking, setAsking] = useState(false);
  const done = job.status === "completed" && !job.expired;
  const remove = async (): Promise<void> => {
    setAsking(false);
    try {
      await api.delete(job.id);
      if (videoJob.get() === job.id) videoJob.set(null);
      note("Deleted.");
      onDeleted();
    } catch (error) {
      note((error as Error).message, "danger");
    }
  };
  return (
    <div class="row actions" role="group" aria-label="What to do with this video">
      {done && (
        <button type="button" onClick={() => void reuse(job, true)}>
          <Icon name="remix" /> Remix
        </button>
      )}
      {isFinal(job) && (
        <button type="button" onClick={() => void reuse(job, false)}>
          <Icon name="recipe" /> Load this recipe
        </button>
      )}
      {done && (
        <a class="button" href={contentAddress(job.id, "video")} download={`${job.id}.mp4`}>
          <Icon name="download" /> Download
        </a>
      )}
      {done && (
        <a
          class="button"
          href={formatRoute({ view: "compare", left: job.remixed_from_video_id ?? job.id, right: job.remixed_from_video_id ? job.id : null })}
        >
          <Icon name="compare" /> {job.remixed_from_video_id ? "Compare with original" : "Compare"}
        </a>
      )}
      <button type="button" class="quiet push" onClick={() => setAsking(true)}>
        <Icon name="trash" /> Delete
      </button>
      {asking && (
        <Confirm
          title="Delete this video?"
          action="Delete"
          onYes={() => void remove()}
          onNo={() => setAsking(false)}
        >
          <p>
            {isFinal(job) ? "Its video, plan and recipe go." : "It is stopped first; its plan and recipe go."} This cannot
            be undone.
          </p>
        </Confirm>
      )}
    </div>
  );
}
