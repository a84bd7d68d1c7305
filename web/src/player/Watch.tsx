import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";
import type { VideoJob } from "../api/types";
import { useDsg } from "../useDsg";
import { PlanTrack } from "../plan";
import { useStore } from "../store";
import { Playback } from "./playback";
import { Screen } from "./Player";
import { sheetOf } from "./sheet";
import { onPlayerKey, Transport } from "./Transport";
import type { Dsg } from "../dsg";

/** A finished video with its controls, and its plan moving under it. */
export function Watch({ job }: { job: VideoJob }): JSX.Element {
  const whole = useRef<HTMLDivElement>(null);
  const screen = useRef<HTMLDivElement>(null);
  const playback = useMemo(() => new Playback(job.num_frames, job.fps), [job.id]);
  const dsg = useDsg(job);
  return (
    <div class="watch" ref={whole} role="group" aria-label="Player" onKeyDown={(event) => onPlayerKey(playback, event)}>
      <div ref={screen} class="screen-frame">
        <Screen job={job} playback={playback} label={`Video: ${job.prompt}`} />
      </div>
      <Transport
        playback={playback}
        sheetOf={job.id}
        sheet={sheetOf(job)}
        onFull={document.fullscreenEnabled ? () => void screen.current?.requestFullscreen().catch(() => undefined) : undefined}
      />
      {dsg && <Track dsg={dsg} playback={playback} />}
    </div>
  );
}

export function Track({ dsg, playback }: { dsg: Dsg; playback: Playback }): JSX.Element {
  const time = useStore(playback.time);
  return <PlanTrack dsg={dsg} time={time} onSeek={(to) => playback.seek(to)} />;
}
