import type { JSX } from "preact";
import { Empty, Notice } from "../parts/Notice";
import { Filter, useFilter } from "./Filter";
import { Grid } from "./Grid";
import { useVideos } from "./list";

export function GalleryView(): JSX.Element {
  const filter = useFilter();
  const { jobs, more, ready, error, loadMore } = useVideos(filter.search, filter.statuses);
  const searching = filter.search !== "" || filter.statuses.length > 0;
  return (
    <div class="gallery">
      <div class="view-head">
        <h1>Gallery</h1>
        <Filter filter={filter} />
      </div>
      {error && error.status !== 0 && <Notice tone="danger" title={error.message} />}
      {ready && jobs.length === 0 && (
        <Empty title={searching ? "Nothing found" : "No videos yet"}>
          {searching ? (
            <button type="button" onClick={filter.clear}>
              Show all videos
            </button>
          ) : (
            <a class="button primary" href="#/create">
              Make the first one
            </a>
          )}
        </Empty>
      )}
      {!ready && !error && <p class="hint loading">Loading …</p>}
      <div class="spoken" role="status">
        {ready ? `${jobs.length}${more ? " or more" : ""} videos` : ""}
      </div>
      {jobs.length > 0 && <Grid jobs={jobs} more={more} onMore={loadMore} />}
    </div>
  );
}
