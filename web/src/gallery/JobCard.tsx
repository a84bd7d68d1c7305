import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { contentAddress } from "../api/client";
import type { VideoJob } from "../api/types";
import { isFinal } from "../follow";
import { Icon } from "../parts/icons";
import { reuse } from "../player/Actions";
import { time } from "../player/Recipe";
import { formatRoute } from "../router";

const WORDS = {
  queued: "In the queue",
  in_progress: "Being made",
  completed: "",
  failed: "Failed",
  cancelled: "Cancelled",
} as const;

/** One video of the gallery; the whole card is its link, `onChoose` makes it a choice instead. */
export function JobCard(props: { job: VideoJob; onChoose?: ((job: VideoJob) => void) | undefined }): JSX.Element {
  const { job, onChoose } = props;
  const [broken, setBroken] = useState(false);
  const word = job.expired ? "Expired" : WORDS[job.status];
  const shown = job.status === "completed" && !job.expired && !broken;
  const inside = (
    <>
      <span class="card-picture">
        {shown ? (
          <img
            src={contentAddress(job.id, "thumbnail")}
            alt=""
            loading="lazy"
            decoding="async"
            onError={() => setBroken(true)}
          />
        ) : (
          <span class={`state ${job.status}`}>
            {word || "No picture"}
            {job.status === "in_progress" && ` · ${job.progress} %`}
          </span>
        )}
      </span>
      <span class="card-prompt">{job.prompt || "No prompt"}</span>
      <span class="card-facts hint">
        {time(job.created_at)} · {job.planner ?? (job.has_dsg ? "plan given" : "no plan")}
        {shown && word ? ` · ${word}` : ""}
      </span>
    </>
  );
  if (onChoose)
    return (
      <button type="button" class="job-card" onClick={() => onChoose(job)}>
        {inside}
      </button>
    );
  return (
    <>
      <a class="job-card" href={formatRoute({ view: "video", id: job.id })}>
        {inside}
      </a>
      {isFinal(job) && (
        <button
          type="button"
          class="icon-only card-recipe"
          aria-label={`Load this recipe: ${job.prompt}`}
          title="Load this recipe"
          onClick={() => void reuse(job, false)}
        >
          <Icon name="recipe" />
        </button>
      )}
    </>
  );
}
