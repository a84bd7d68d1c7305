import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { contentAddress } from "../api/client";
import type { VideoJob } from "../api/types";
import { Notice } from "../parts/Notice";
import { sizeOf } from "../recipe";
import type { Playback } from "./playback";

/** The moving picture alone; its controls are in Transport. */
export function Screen(props: { job: VideoJob; playback: Playback; label: string }): JSX.Element {
  const { job, playback } = props;
  const video = useRef<HTMLVideoElement>(null);
  const [broken, setBroken] = useState(false);
  useEffect(() => playback.attach(video.current!), [playback, job.id]);
  const size = sizeOf(job.size);
  return (
    <div class="screen">
      <video
        ref={video}
        src={contentAddress(job.id, "video")}
        style={{ "--aspect": String(size ? size.width / size.height : 1) }}
        muted
        playsInline
        preload="auto"
        tabIndex={-1}
        aria-label={props.label}
        onClick={() => playback.toggle()}
        onError={() => setBroken(true)}
      />
      {broken && (
        <Notice tone="danger" title="The video cannot be shown.">
          Its file may have been deleted, or this browser cannot play it.
        </Notice>
      )}
    </div>
  );
}
