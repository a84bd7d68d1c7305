import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { note, say } from "../announce";
import { api, previewAddress } from "../api/client";
import type { VideoJob } from "../api/types";
import { useVideo, type Followed } from "../follow";
import { Notice } from "../parts/Notice";
import { Progress } from "../parts/Progress";
import { Actions } from "./Actions";
import { Recipe } from "./Recipe";
import { Watch } from "./Watch";

/** One video from the queue to the player, wherever it stands. */
export function JobPane(props: { id: string; onGone: () => void }): JSX.Element {
  const followed = useVideo(props.id);
  useSpokenChanges(followed.job);
  const { job, error } = followed;
  if (error)
    return (
      <>
        <Notice tone="danger" title={error.status === 404 ? "This video is not there any more." : error.message} />
        <button type="button" onClick={props.onGone}>
          Dismiss
        </button>
      </>
    );
  if (!job) return <p class="hint loading">Loading …</p>;
  return (
    <div class="job">
      <JobBody followed={followed} job={job} />
      <p class="job-prompt">{job.prompt}</p>
      <Actions job={job} onDeleted={props.onGone} />
      <Recipe job={job} />
    </div>
  );
}

/** What there is to see: progress, a reason, or the video. */
export function JobBody({ followed, job }: { followed: Followed<VideoJob>; job: VideoJob }): JSX.Element {
  if (job.status === "completed" && !job.expired)
    return (
      <>
        {job.degraded && (
          <Notice tone="warn" title="The plan is less than what was asked for.">
            {job.degraded}
          </Notice>
        )}
        <Watch job={job} />
      </>
    );
  if (job.status === "completed")
    return (
      <Notice tone="info" title="This video has expired.">
        Its files were deleted to save space. Its recipe makes the same video again.
      </Notice>
    );
  if (job.status === "failed")
    return (
      <Notice tone="danger" title="This video could not be made.">
        {job.error?.message}
      </Notice>
    );
  if (job.status === "cancelled") return <Notice tone="info" title="This video was cancelled." />;
  return <Making followed={followed} job={job} />;
}

function Making({ followed, job }: { followed: Followed<VideoJob>; job: VideoJob }): JSX.Element {
  const planning = (followed.stage ?? job.stage) === "plan";
  const waiting = job.status === "queued";
  const { step, steps } = followed;
  return (
    <div class="making">
      <div class="screen">
        {followed.preview !== null ? (
          <img src={previewAddress(job.id, followed.preview)} alt="Preview of the video being made" />
        ) : (
          <p class="hint">{waiting ? "In the queue" : planning ? "The plan comes first" : "Preview follows"}</p>
        )}
      </div>
      <Progress
        label={waiting ? "Waiting" : planning ? "Planning" : "Generating"}
        detail={step !== null && steps !== null ? `step ${step} of ${steps}` : (followed.doing ?? undefined)}
        value={waiting || (planning && job.progress === 0) ? null : job.progress}
        onCancel={() =>
          api.cancel(job.id).then(followed.set, (error: Error) => note(error.message, "danger"))
        }
      />
    </div>
  );
}

const SPOKEN: Record<string, string> = {
  completed: "The video is ready.",
  failed: "The video could not be made.",
  cancelled: "The video was cancelled.",
  in_progress: "The video is being made.",
};

function useSpokenChanges(job: VideoJob | null): void {
  const before = useRef<string | null>(null);
  useEffect(() => {
    if (job && before.current !== null && before.current !== job.status) say(SPOKEN[job.status] ?? "");
    before.current = job?.status ?? null;
  }, [job?.status]);
}
