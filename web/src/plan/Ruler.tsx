import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { when } from "./model/words";

const NICE = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
const APART = 56; // pixels from one number to the next

/** The numbers above the bars, and the slider that moves the cursor. */
export function Ruler(props: {
  ticks: number;
  tick: number;
  seconds: number | undefined;
  onTick: (tick: number) => void;
}): JSX.Element {
  const { ticks, tick, seconds, onTick } = props;
  const element = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(600);
  useLayoutEffect(() => {
    const watcher = new ResizeObserver(([entry]) => setWidth(entry!.contentRect.width));
    watcher.observe(element.current!);
    return () => watcher.disconnect();
  }, []);

  const length = seconds ?? ticks;
  const least = (length * APART) / Math.max(width, 1);
  const step = NICE.find((nice) => nice >= least && (seconds !== undefined || nice >= 1)) ?? length;
  const marks = Array.from({ length: Math.floor(length / step + 1e-9) + 1 }, (_, i) => Math.round(i * step * 10) / 10);

  function go(to: number): void {
    const next = Math.max(0, Math.min(ticks - 1, to));
    if (next !== tick) onTick(next);
  }
  function goTo(event: PointerEvent): void {
    const box = element.current!.getBoundingClientRect();
    go(Math.floor(((event.clientX - box.left) / box.width) * ticks));
  }
  function onKeyDown(event: KeyboardEvent): void {
    const big = Math.max(1, Math.round(ticks / 10));
    const by: Record<string, number> = {
      ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -big, PageUp: big, Home: -ticks, End: ticks,
    };
    if (by[event.key] === undefined) return;
    event.preventDefault();
    go(tick + by[event.key]!);
  }
  return (
    <div
      ref={element}
      class="plan-ruler"
      role="slider"
      tabIndex={0}
      aria-label="Cursor"
      aria-orientation="horizontal"
      aria-valuemin={0}
      aria-valuemax={ticks - 1}
      aria-valuenow={tick}
      aria-valuetext={seconds === undefined ? `tick ${tick}` : `tick ${tick}, ${when(tick, { ticks, seconds })}`}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        goTo(event);
      }}
      onPointerMove={(event) => event.currentTarget.hasPointerCapture(event.pointerId) && goTo(event)}
    >
      {marks.map((mark) => (
        <span key={mark} class={mark === length ? "plan-mark plan-mark-end" : "plan-mark"} style={{ left: `${(mark / length) * 100}%` }} aria-hidden="true">
          {mark}
          {seconds !== undefined && " s"}
        </span>
      ))}
      <span class="plan-thumb" aria-hidden="true" />
    </div>
  );
}
