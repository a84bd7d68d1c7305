// The plan editor on a page of its own: open a scene graph file, change it, save it. Nothing leaves the browser.

import "../styles/tokens.css";
import "../styles/base.css";
import "./page.css";
import { type JSX, render } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { PlanDiff, PlanEditor, PlanError, PlanTrack, parse, toJson } from ".";
import type { Dsg } from "./model/types";

const EMPTY: Dsg = { format: "dysenvdm.dsg/1", prompt: "", ticks: 8, objects: [], facts: [] };

interface Opened {
  readonly name: string;
  readonly dsg: Dsg;
}

function Page(): JSX.Element {
  const [opened, setOpened] = useState<Opened>({ name: "plan.dsg.json", dsg: EMPTY });
  const [dsg, setDsg] = useState<Dsg>(EMPTY);
  const [refused, setRefused] = useState<string | null>(null);
  const [length, setLength] = useState("");
  const [time, setTime] = useState(0);
  const [playing, setPlaying] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const seconds = Number(length) > 0 ? Number(length) : undefined;
  usePlaying(playing, seconds ?? dsg.ticks / 2, setTime);

  const goTo = useCallback((tick: number) => setTime(tick / dsg.ticks), [dsg.ticks]);
  const change = useCallback((next: unknown) => setDsg(parse(next)), []);

  async function open(file: File | undefined): Promise<void> {
    if (!file) return;
    try {
      const next = parse(JSON.parse(await file.text()));
      setOpened({ name: file.name, dsg: next });
      setDsg(next);
      setTime(0);
      setRefused(null);
    } catch (error) {
      if (error instanceof SyntaxError) setRefused(`${file.name}: not valid JSON (${error.message})`);
      else if (error instanceof PlanError) setRefused(`${file.name}: ${error.message}`);
      else throw error;
    }
  }
  function save(): void {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([toJson(dsg)], { type: "application/json" }));
    link.download = opened.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  return (
    <main
      class="plan-page"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        void open(event.dataTransfer?.files[0]);
      }}
    >
      <header>
        <h1>Plan editor</h1>
        <label class="plan-length">
          Seconds
          <input type="text" inputMode="decimal" autocomplete="off" value={length} onInput={(event) => setLength(event.currentTarget.value)} />
        </label>
        <button type="button" onClick={() => chooser.current!.click()}>
          Open file
        </button>
        <input
          ref={chooser}
          hidden
          type="file"
          accept=".json,application/json"
          onChange={(event) => {
            void open(event.currentTarget.files?.[0]);
            event.currentTarget.value = "";
          }}
        />
        <button type="button" class="primary" onClick={save}>
          Save file
        </button>
      </header>
      {refused !== null && (
        <p class="plan-broken" role="alert">
          {refused}
        </p>
      )}
      {dsg.prompt && <p class="plan-prompt">{dsg.prompt}</p>}
      <PlanEditor
        dsg={dsg}
        onChange={change}
        tick={Math.min(dsg.ticks - 1, Math.floor(time * dsg.ticks))}
        onTick={goTo}
        seconds={seconds}
      />
      <div>
        <button type="button" aria-pressed={playing} onClick={() => setPlaying(!playing)}>
          {playing ? "Pause" : "Play"}
        </button>
      </div>
      <PlanTrack dsg={dsg} time={time} onSeek={setTime} seconds={seconds} />
      <details class="plan-changes">
        <summary>What changed since {opened.name} was opened</summary>
        <PlanDiff before={opened.dsg} after={dsg} seconds={seconds} names={["opened", "now"]} />
      </details>
    </main>
  );
}

/** Moves the time from 0 to 1 in so many seconds, again and again. */
function usePlaying(playing: boolean, seconds: number, setTime: (set: (time: number) => number) => void): void {
  useEffect(() => {
    if (!playing) return;
    let last = performance.now();
    let frame = requestAnimationFrame(function step(now) {
      const passed = (now - last) / 1000 / seconds;
      last = now;
      setTime((time) => (time + passed) % 1);
      frame = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(frame);
  }, [playing, seconds]);
}

render(<Page />, document.getElementById("app")!);
