import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { VideoJob } from "../api/types";
import { JobCard } from "./JobCard";
import { layOut, visible } from "./virtual";

const GAP = 16;
const LEAST = 168;
/** Below the square picture: prompt in two lines, facts in one. */
const TEXT = 84;

/** As many cards as fit the window, of however many there are; `scroller` null: the window scrolls. */
export function Grid(props: {
  jobs: VideoJob[];
  more: boolean;
  onMore: () => void;
  onChoose?: (job: VideoJob) => void;
  scroller?: { current: HTMLElement | null };
}): JSX.Element {
  const { jobs, more, onMore, scroller } = props;
  const list = useRef<HTMLUListElement>(null);
  const [width, setWidth] = useState(0);
  const [span, setSpan] = useState({ top: 0, height: innerHeight });

  useLayoutEffect(() => {
    const measure = (): void => setWidth(list.current!.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(list.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const box = scroller?.current ?? null;
    const target: EventTarget = box ?? window;
    let waiting = 0;
    const read = (): void => {
      waiting = 0;
      if (!list.current) return;
      const top = (box ? box.getBoundingClientRect().top : 0) - list.current.getBoundingClientRect().top;
      const height = box ? box.clientHeight : innerHeight;
      setSpan((old) => (old.top === top && old.height === height ? old : { top, height }));
    };
    const onScroll = (): void => {
      waiting ||= requestAnimationFrame(read);
    };
    read();
    target.addEventListener("scroll", onScroll, { passive: true });
    addEventListener("resize", onScroll);
    return () => {
      cancelAnimationFrame(waiting);
      target.removeEventListener("scroll", onScroll);
      removeEventListener("resize", onScroll);
    };
  }, [scroller]);

  const narrow = width < 400 ? 130 : LEAST;
  const columns = layOut(jobs.length, width, GAP, narrow, 0).columns;
  const picture = width ? (width + GAP) / columns - GAP : 0;
  const grid = layOut(jobs.length, width, GAP, narrow, picture + TEXT);
  const [first, end] = width ? visible(grid, jobs.length, span.top, span.height) : [0, 0];
  const near = more && end >= jobs.length - 2 * columns;
  useEffect(() => {
    if (near) onMore();
  }, [near, jobs.length, onMore]);

  return (
    <ul ref={list} class="grid" aria-label="Videos" style={{ height: `${grid.height}px` }}>
      {jobs.slice(first, end).map((job, offset) => {
        const index = first + offset;
        return (
          <li
            key={job.id}
            aria-setsize={more ? -1 : jobs.length}
            aria-posinset={index + 1}
            style={{
              width: `${grid.cardWidth - GAP}px`,
              height: `${grid.rowHeight - GAP}px`,
              transform: `translate(${(index % columns) * grid.cardWidth}px, ${Math.floor(index / columns) * grid.rowHeight}px)`,
            }}
          >
            <JobCard job={job} onChoose={props.onChoose} />
          </li>
        );
      })}
    </ul>
  );
}
