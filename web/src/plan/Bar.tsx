import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { Part, Span } from "./model/limits";
import { briefly, during, type Scale, when } from "./model/words";
import type { Act, RowId } from "./state";

export interface BarProps {
  id: RowId;
  /** What the bar stands for, in words. */
  told: string;
  span: Span;
  scale: Scale;
  fixed: boolean;
  active: boolean;
  dragged: boolean;
  note: string | null;
  act: Act;
  onTick: (tick: number) => void;
}

const PARTS = ["start", "whole", "end"] as const;

/** A bar over ticks: three sliders, for its start, for all of it, for its end. */
export function Bar(props: BarProps): JSX.Element {
  const { span, scale, act } = props;
  const { ticks } = scale;
  const drag = useRef<{ part: Part; x: number; perTick: number; from: Span; moved: boolean } | null>(null);
  const place = { left: `${(span.start / ticks) * 100}%`, width: `${((span.end - span.start) / ticks) * 100}%` };

  function onPointerDown(event: PointerEvent, part: Part): void {
    if (event.button !== 0 || drag.current) return; // a second finger changes nothing
    const element = event.currentTarget as HTMLElement;
    const lane = element.closest(".plan-lane")!.getBoundingClientRect();
    event.preventDefault(); // no selection of text, no scrolling by a pen
    element.focus();
    element.setPointerCapture(event.pointerId);
    drag.current = { part, x: event.clientX, perTick: lane.width / ticks, from: span, moved: false };
  }
  function onPointerMove(event: PointerEvent): void {
    const now = drag.current;
    if (!now) return;
    const by = Math.round((event.clientX - now.x) / now.perTick);
    if (by === 0 && !now.moved) return;
    now.moved = true;
    const to = {
      start: now.from.start + (now.part === "end" ? 0 : by),
      end: now.from.end + (now.part === "start" ? 0 : by),
    };
    act({ do: "drag", at: props.id, part: now.part, to, seconds: scale.seconds });
  }
  function onPointerUp(event: PointerEvent): void {
    const now = drag.current;
    drag.current = null;
    if (!now) return;
    if (now.moved) return void act({ do: "drop" });
    const lane = (event.currentTarget as HTMLElement).closest(".plan-lane")!.getBoundingClientRect();
    props.onTick(Math.max(0, Math.min(ticks - 1, Math.floor((event.clientX - lane.left) / now.perTick))));
  }
  function cancel(): void {
    if (!drag.current) return;
    drag.current = null;
    act({ do: "cancel" });
  }
  function onKeyDown(event: KeyboardEvent, part: Part): void {
    if (event.key === "Escape") return cancel();
    const far = event.shiftKey ? 10 : 1;
    const by: Record<string, number> = {
      ArrowLeft: -far, ArrowRight: far, PageDown: -10, PageUp: 10, Home: -ticks, End: ticks,
    };
    if (by[event.key] === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act({ do: "nudge", at: props.id, part, by: by[event.key]!, seconds: scale.seconds, joined: event.repeat });
  }

  if (props.fixed) {
    return (
      <>
        <div
          class="plan-bar"
          style={place}
          role="img"
          data-part="whole"
          tabIndex={props.active ? 0 : -1}
          aria-label={`${props.told}, ${during(span, scale)}`}
        />
        <Tip {...props} place={place.left} />
      </>
    );
  }
  const values = {
    start: { now: span.start, label: `Start of ${props.told}`, text: when(span.start, scale) },
    whole: { now: span.start, label: props.told, text: `${props.told}, ${during(span, scale)}` },
    end: { now: span.end, label: `End of ${props.told}`, text: when(span.end, scale) },
  };
  return (
    <>
      {PARTS.map((part) => (
        <div
          key={part}
          class={part === "whole" ? "plan-bar" : `plan-handle plan-handle-${part}`}
          style={part === "whole" ? place : { left: `${((part === "start" ? span.start : span.end) / ticks) * 100}%` }}
          role="slider"
          data-part={part}
          tabIndex={props.active ? 0 : -1}
          aria-label={values[part].label}
          aria-orientation="horizontal"
          aria-valuemin={0}
          aria-valuemax={ticks}
          aria-valuenow={values[part].now}
          aria-valuetext={values[part].text}
          onKeyDown={(event) => onKeyDown(event, part)}
          onPointerDown={(event) => onPointerDown(event, part)}
          onPointerMove={onPointerMove}
          onPointerUp={onPointerUp}
          onLostPointerCapture={cancel}
          onBlur={() => act({ do: "hush" })}
        />
      ))}
      <Tip {...props} place={place.left} />
    </>
  );
}

/** The times of the bar while it is dragged or focused, and why it goes no further. */
function Tip(props: BarProps & { place: string }): JSX.Element {
  return (
    <div class="plan-tip" style={{ "--at": props.place }} data-shown={props.dragged || props.note !== null} aria-hidden="true">
      <span>{briefly(props.span, props.scale)}</span>
      {props.note !== null && <span class="plan-why">{props.note}</span>}
    </div>
  );
}
