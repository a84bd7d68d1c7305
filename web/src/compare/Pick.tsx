import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { VideoJob } from "../api/types";
import { Filter, useFilter } from "../gallery/Filter";
import { Grid } from "../gallery/Grid";
import { useVideos } from "../gallery/list";
import { Dialog } from "../parts/Dialog";
import { Empty, Notice } from "../parts/Notice";

/** The gallery in a window, to choose one video from. */
export function Pick(props: { onPick: (job: VideoJob) => void; onClose: () => void }): JSX.Element {
  const filter = useFilter();
  const videos = useVideos(filter.search, filter.statuses);
  const scroller = useRef<HTMLDivElement>(null);
  return (
    <Dialog title="Choose a video" wide onClose={props.onClose}>
      <Filter filter={filter} />
      {videos.error && <Notice tone="danger" title={videos.error.message} />}
      <div class="pick-scroll" ref={scroller}>
        {videos.ready && videos.jobs.length === 0 && <Empty title="No videos" />}
        <Grid
          jobs={videos.jobs}
          more={videos.more}
          onMore={videos.loadMore}
          onChoose={props.onPick}
          scroller={scroller}
        />
      </div>
    </Dialog>
  );
}
