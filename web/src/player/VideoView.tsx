import type { JSX } from "preact";
import { go } from "../router";
import { JobPane } from "./JobPane";

export function VideoView({ id }: { id: string }): JSX.Element {
  return (
    <div class="video-view">
      <p class="crumb">
        <a href="#/gallery">Gallery</a>
      </p>
      <h1 class="spoken">Video</h1>
      <section class="card" aria-label="Video">
        <JobPane id={id} onGone={() => go({ view: "gallery" })} />
      </section>
    </div>
  );
}
