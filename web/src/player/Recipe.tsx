import type { JSX } from "preact";
import type { VideoJob } from "../api/types";
import { formatRoute } from "../router";

/** Everything that makes the same video again. */
export function Recipe({ job }: { job: VideoJob }): JSX.Element {
  const rows: [string, string | number | null][] = [
    ["Model", job.model],
    ["Planner", job.planner ?? (job.has_dsg ? "plan given" : "none")],
    ["Seed", job.seed],
    ["Size", job.size.replace("x", " × ")],
    ["Length", `${job.num_frames} frames at ${job.fps} a second (${job.seconds} s)`],
    ["Steps", job.num_inference_steps],
    ["Guidance", job.guidance_scale],
    ["Scene guidance", job.scene_guidance],
    ["Negative prompt", job.negative_prompt || null],
    ["Asked for", time(job.created_at)],
    ["Kept until", job.expires_at === null || job.expired ? null : time(job.expires_at)],
  ];
  return (
    <details class="recipe">
      <summary>Recipe</summary>
      <dl>
        {rows
          .filter(([, value]) => value !== null)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        {job.remixed_from_video_id && (
          <div>
            <dt>Remix of</dt>
            <dd>
              <a href={formatRoute({ view: "video", id: job.remixed_from_video_id })}>{job.remixed_from_video_id}</a>
            </dd>
          </div>
        )}
        <div>
          <dt>Id</dt>
          <dd>
            <a href={formatRoute({ view: "video", id: job.id })}>{job.id}</a>
          </dd>
        </div>
      </dl>
    </details>
  );
}

const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function time(seconds: number): string {
  return format.format(new Date(seconds * 1000));
}
