import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { VideoJob } from "../api/types";
import { useVideo, type Followed } from "../follow";
import { JobBody } from "../player/JobPane";
import { Playback } from "../player/playback";
import { Screen } from "../player/Player";
import { Recipe } from "../player/Recipe";
import { sheetOf } from "../player/sheet";
import { onPlayerKey, Transport } from "../player/Transport";
import { Track } from "../player/Watch";
import { Notice } from "../parts/Notice";
import { PlanDiff } from "../plan";
import { formatRoute, go } from "../router";
import { useDsg } from "../useDsg";
import { Pick } from "./Pick";
import { MakePair } from "./MakePair";

const watchable = (job: VideoJob | null): job is VideoJob => job?.status === "completed" && !job.expired;

/** Two videos that move together, and what differs between their plans. */
export function CompareView({ left, right }: { left: string | null; right: string | null }): JSX.Element {
  const sides = [useVideo(left), useVideo(right)] as const;
  const [a, b] = [sides[0].job, sides[1].job];
  const dsgs = [useDsg(a), useDsg(b)] as const;
  const [picking, setPicking] = useState<"left" | "right" | null>(null);
  const master = watchable(a) ? a : watchable(b) ? b : null;
  const playback = useMemo(() => (master ? new Playback(master.num_frames, master.fps) : null), [master?.id]);
  // A playback that is left goes on asking for frames otherwise.
  useEffect(() => () => playback?.pause(), [playback]);
  const choose = (side: "left" | "right", id: string | null): void => {
    setPicking(null);
    go({ view: "compare", left, right, [side]: id });
  };
  return (
    <div class="compare">
      <div class="view-head">
        <h1>Side by side</h1>
        {(left || right) && (
          <a class="button quiet" href="#/compare">
            Start again
          </a>
        )}
      </div>
      {!left && !right && <MakePair />}
      <div role="group" aria-label="Players" onKeyDown={(event) => playback && onPlayerKey(playback, event)}>
        <div class="sides">
          {(["left", "right"] as const).map((side, index) => (
            <Side
              key={side}
              name={side === "left" ? "Left" : "Right"}
              id={side === "left" ? left : right}
              followed={sides[index]!}
              playback={playback}
              dsg={dsgs[index]!}
              onPick={() => setPicking(side)}
              onRemove={() => choose(side, null)}
            />
          ))}
        </div>
        {playback && master && <Transport playback={playback} sheetOf={master.id} sheet={sheetOf(master)} />}
      </div>
      {a && b && <Differences a={a} b={b} />}
      {dsgs[0] && dsgs[1] && (
        <section class="card" aria-label="What differs between the plans">
          <h2>What differs between the plans</h2>
          <PlanDiff before={dsgs[0]} after={dsgs[1]} />
        </section>
      )}
      {picking && <Pick onPick={(job) => choose(picking, job.id)} onClose={() => setPicking(null)} />}
    </div>
  );
}

function Side(props: {
  name: string;
  id: string | null;
  followed: Followed<VideoJob>;
  playback: Playback | null;
  dsg: ReturnType<typeof useDsg>;
  onPick: () => void;
  onRemove: () => void;
}): JSX.Element {
  const { name, id, followed, playback } = props;
  const { job, error } = followed;
  return (
    <section class="card side" aria-label={name}>
      <div class="card-head">
        <h2>{name}</h2>
        {job && <span class="tag">{job.planner ?? (job.has_dsg ? "plan given" : "no plan")}</span>}
        <span class="push" />
        <button type="button" class={id ? "quiet" : ""} onClick={props.onPick}>
          {id ? "Choose another" : "Choose a video"}
        </button>
        {id && (
          <button type="button" class="quiet" onClick={props.onRemove}>
            Remove
          </button>
        )}
      </div>
      {!id && <p class="side-empty hint">Nothing here yet.</p>}
      {error && <Notice tone="danger" title={error.status === 404 ? "This video is not there any more." : error.message} />}
      {job && (
        <>
          {watchable(job) && playback ? (
            <Screen job={job} playback={playback} label={`${name} video: ${job.prompt}`} />
          ) : (
            <JobBody followed={followed} job={job} />
          )}
          <p class="job-prompt">{job.prompt}</p>
          {props.dsg && playback && <Track dsg={props.dsg} playback={playback} />}
          <Recipe job={job} />
          <p>
            <a href={formatRoute({ view: "video", id: job.id })}>Open</a>
          </p>
        </>
      )}
    </section>
  );
}

const COMPARED: [keyof VideoJob, string][] = [
  ["prompt", "prompt"],
  ["planner", "planner"],
  ["model", "model"],
  ["seed", "seed"],
  ["size", "size"],
  ["num_frames", "frames"],
  ["fps", "frames a second"],
  ["num_inference_steps", "steps"],
  ["guidance_scale", "guidance"],
  ["scene_guidance", "scene guidance"],
  ["negative_prompt", "negative prompt"],
];

/** A comparison says little where more than one thing differs: all of them are named. */
function Differences({ a, b }: { a: VideoJob; b: VideoJob }): JSX.Element {
  const names = COMPARED.filter(([key]) => a[key] !== b[key]).map(([, name]) => name);
  return (
    <p class="hint differences">
      {names.length ? `They differ in ${names.join(", ")}.` : "Their settings are the same."}
      {a.seed === b.seed ? " Both start from the same noise." : ""}
    </p>
  );
}
