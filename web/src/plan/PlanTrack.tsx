import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";
import type { PlanTrackProps } from "./contract";
import { memo } from "./memo";
import { lanes } from "./model/lanes";
import { parse } from "./model/rules";
import { active, type Dsg, type Fact, imagined } from "./model/types";
import { briefly, namesOf, type Scale, statement, when } from "./model/words";
import "./plan.css";

/** The plan under a player. What time changes is one line and, once a tick, what is happening now. */
export function PlanTrack(props: PlanTrackProps): JSX.Element {
  const { onSeek, seconds } = props;
  const dsg = useMemo(() => parse(props.dsg), [props.dsg]);
  const names = useMemo(() => namesOf(dsg.objects), [dsg]);
  const element = useRef<HTMLDivElement>(null);
  const time = Math.max(0, Math.min(1, props.time));
  const tick = Math.min(dsg.ticks - 1, Math.floor(time * dsg.ticks));
  const scale = { ticks: dsg.ticks, seconds };
  const now = dsg.facts.filter((fact) => fact.predicate !== undefined && active(fact, tick));
  const at = seconds === undefined ? `${Math.round(time * 100)} %` : when(time * dsg.ticks, scale);

  function seek(event: PointerEvent): void {
    const box = element.current!.getBoundingClientRect();
    onSeek(Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)));
  }
  function onKeyDown(event: KeyboardEvent): void {
    const by: Record<string, number> = {
      ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -dsg.ticks, End: dsg.ticks,
    };
    if (by[event.key] === undefined) return;
    event.preventDefault();
    const to = Math.max(0, Math.min(dsg.ticks, tick + by[event.key]!));
    onSeek(to / dsg.ticks);
  }
  return (
    <div class="plan-track">
      <div
        class="plan-track-lanes"
        role="slider"
        tabIndex={0}
        aria-label="Plan"
        aria-orientation="horizontal"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(time * 100)}
        aria-valuetext={[at, ...now.map((fact) => statement(fact, names))].join("; ")}
        onKeyDown={onKeyDown}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          seek(event);
        }}
        onPointerMove={(event) => event.currentTarget.hasPointerCapture(event.pointerId) && seek(event)}
      >
        <div ref={element} class="plan-track-sheet">
          <Lanes dsg={dsg} names={names} tick={tick} seconds={seconds} />
          <div class="plan-playhead" aria-hidden="true" style={{ transform: `translateX(${time * 100}%)` }} />
        </div>
      </div>
      <Throughout dsg={dsg} names={names} />
    </div>
  );
}

const whole = (fact: Fact, ticks: number): boolean => fact.start === 0 && fact.end === ticks;

const Lanes = memo(function Lanes(props: {
  dsg: Dsg;
  names: ReadonlyMap<string, string>;
  tick: number;
  seconds: number | undefined;
}): JSX.Element {
  const { dsg, names, tick } = props;
  const scale: Scale = { ticks: dsg.ticks, seconds: props.seconds };
  const rows = useMemo(() => lanes(dsg.facts.filter((fact) => !whole(fact, dsg.ticks) || fact.predicate !== undefined && fact.source === "plan")), [dsg]);
  return (
    <>
      {rows.map((row, i) => (
        <div key={i} class="plan-track-lane">
          {row.map((fact) => (
            <span
              key={`${fact.start} ${statement(fact, names)}`}
              class="plan-track-bar"
              data-source={fact.source}
              data-now={active(fact, tick)}
              title={`${statement(fact, names)}, ${briefly(fact, scale)}`}
              style={{
                left: `${(fact.start / dsg.ticks) * 100}%`,
                width: `${((fact.end - fact.start) / dsg.ticks) * 100}%`,
              }}
            >
              {statement(fact, names)}
            </span>
          ))}
        </div>
      ))}
    </>
  );
});

/** What holds from the first to the last tick needs no bar. */
const Throughout = memo(function Throughout({ dsg, names }: { dsg: Dsg; names: ReadonlyMap<string, string> }): JSX.Element | null {
  const facts = dsg.facts.filter((fact) => whole(fact, dsg.ticks) && !(fact.predicate !== undefined && fact.source === "plan"));
  if (facts.length === 0) return null;
  return (
    <p class="plan-throughout">
      <b>Throughout</b>{" "}
      {facts.map((fact, i) => (
        <span key={statement(fact, names)} data-imagined={imagined(fact)}>
          {statement(fact, names)}
          {i < facts.length - 1 && ", "}
        </span>
      ))}
    </p>
  );
});
