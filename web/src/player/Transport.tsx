import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { contentAddress } from "../api/client";
import { Icon } from "../parts/icons";
import { useStore } from "../store";
import { clamp, clock, spritePosition, type Sheet } from "./frames";
import { SPEEDS, type Playback } from "./playback";

/** Play, frame stepping, loop, speed, and a bar to scrub on. */
export function Transport(props: {
  playback: Playback;
  /** Whose sprite sheet is shown above the bar. */
  sheetOf: string;
  sheet: Sheet;
  onFull?: (() => void) | undefined;
}): JSX.Element {
  const { playback } = props;
  const { playing, loop, speed } = useStore(playback.state);
  const frame = useFrame(playback);
  const [pointed, setPointed] = useState<{ frame: number; left: number } | null>(null);
  const last = playback.frames - 1;
  const onPoint = (event: PointerEvent & { currentTarget: HTMLElement }): void => {
    const box = event.currentTarget.getBoundingClientRect();
    const along = clamp((event.clientX - box.left) / box.width, 0, 1);
    setPointed({ frame: Math.round(along * last), left: along * 100 });
  };
  return (
    <div class="transport">
      <div class="scrub" onPointerMove={onPoint} onPointerLeave={() => setPointed(null)}>
        <input
          type="range"
          min={0}
          max={last}
          step={1}
          value={frame}
          aria-label="Position"
          aria-valuetext={`Frame ${frame + 1} of ${playback.frames}, ${clock(frame / playback.fps)}`}
          onInput={(event) => {
            playback.pause();
            playback.goTo(Number(event.currentTarget.value));
          }}
        />
        {pointed && <Thumb {...pointed} of={props.sheetOf} sheet={props.sheet} frames={playback.frames} />}
      </div>
      <div class="row">
        <button type="button" class="icon-only" aria-label="Frame back" onClick={() => playback.step(-1)}>
          <Icon name="back" />
        </button>
        <button
          type="button"
          class="icon-only primary"
          aria-label={playing ? "Pause" : "Play"}
          onClick={() => playback.toggle()}
        >
          <Icon name={playing ? "pause" : "play"} />
        </button>
        <button type="button" class="icon-only" aria-label="Frame forward" onClick={() => playback.step(1)}>
          <Icon name="forward" />
        </button>
        <span class="number hint">
          {frame + 1} / {playback.frames}
        </span>
        <span class="number hint wide-only">{clock(frame / playback.fps)}</span>
        <span class="push" />
        <button
          type="button"
          class="icon-only toggle"
          aria-label="Loop"
          aria-pressed={loop}
          onClick={() => playback.setLoop(!loop)}
        >
          <Icon name="loop" />
        </button>
        <label class="speed">
          <span class="spoken">Speed</span>
          <select value={String(speed)} onChange={(event) => playback.setSpeed(Number(event.currentTarget.value))}>
            {SPEEDS.map((each) => (
              <option key={each} value={String(each)}>
                {each}×
              </option>
            ))}
          </select>
        </label>
        {props.onFull && (
          <button type="button" class="icon-only" aria-label="Full screen" onClick={props.onFull}>
            <Icon name="full" />
          </button>
        )}
      </div>
    </div>
  );
}

function Thumb(props: { frame: number; left: number; of: string; sheet: Sheet; frames: number }): JSX.Element {
  const { x, y } = spritePosition(props.frame, props.frames, props.sheet);
  return (
    <div
      class="thumb"
      aria-hidden="true"
      style={{
        left: `${props.left}%`,
        aspectRatio: String(props.sheet.aspect),
        backgroundImage: `url("${contentAddress(props.of, "spritesheet")}")`,
        backgroundSize: `${props.sheet.columns * 100}% ${props.sheet.rows * 100}%`,
        backgroundPosition: `${x}% ${y}%`,
      }}
    >
      <span>{props.frame + 1}</span>
    </div>
  );
}

/** The frame shown; draws anew only when it changes, not sixty times a second. */
function useFrame(playback: Playback): number {
  const [frame, setFrame] = useState(playback.frame);
  useEffect(() => {
    setFrame(playback.frame);
    return playback.time.watch(() => setFrame(playback.frame));
  }, [playback]);
  return frame;
}

/** Keys of whole players: space, arrows or , and ., L; controls keep their own. */
export function onPlayerKey(playback: Playback, event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, select, textarea, [role=slider], [role=option]"))
    return;
  const inButton = target.closest("button, a, summary, [role=button]") !== null;
  const act: Record<string, (() => void) | undefined> = {
    " ": inButton ? undefined : () => playback.toggle(),
    k: () => playback.toggle(),
    ",": () => playback.step(-1),
    ".": () => playback.step(1),
    ArrowLeft: () => playback.step(-1),
    ArrowRight: () => playback.step(1),
    Home: () => playback.goTo(0),
    End: () => playback.goTo(playback.frames - 1),
    l: () => playback.setLoop(!playback.state.get().loop),
  };
  const found = act[event.key];
  if (!found) return;
  event.preventDefault();
  found();
}
