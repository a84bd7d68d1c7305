import type { JSX } from "preact";
import type { Model } from "../api/types";
import { Field, NumberField } from "../parts/Field";
import { Icon } from "../parts/icons";
import { newSeed, type Draft } from "../recipe";
import { useStore } from "../store";
import { change, draft } from "./draft";

interface Bounds {
  min: number;
  max: number;
  step?: number;
}

/** What the page itself refuses; the server has limits of its own and names them. */
const BOUNDS = {
  seed: { min: 0, max: 2 ** 53 - 1 },
  steps: { min: 1, max: 1000 },
  guidance: { min: 0, max: 50, step: 0.1 },
  sceneGuidance: { min: 0, max: 50, step: 0.1 },
  width: { min: 8, max: 4096 },
  height: { min: 8, max: 4096 },
  frames: { min: 1, max: 4096 },
  fps: { min: 1, max: 120 },
  ticks: { min: 1, max: 1024 },
} satisfies Partial<Record<keyof Draft, Bounds>>;

export function settingsAreWrong(form: Draft): boolean {
  const out = Object.entries(BOUNDS).some(([name, bounds]) => {
    const value = form[name as keyof typeof BOUNDS];
    const whole = !("step" in bounds);
    return value !== null && (value < bounds.min || value > bounds.max || (whole && !Number.isInteger(value)));
  });
  return out || (form.width === null) !== (form.height === null);
}

export function Settings({ model }: { model: Model | undefined }): JSX.Element {
  const form = useStore(draft);
  const number = (
    name: keyof typeof BOUNDS,
    label: string,
    usual?: number | string | null,
    hint?: string,
  ): JSX.Element => (
    <NumberField
      label={label}
      value={form[name]}
      onChange={(value) => change({ [name]: value })}
      usual={usual ?? undefined}
      hint={hint}
      {...(BOUNDS[name] as Bounds)}
    />
  );
  const frames = form.frames ?? model?.num_frames;
  const fps = form.fps ?? model?.fps;
  const seconds = frames && fps ? `${(frames / fps).toFixed(1)} seconds` : undefined;
  return (
    <div class="settings">
      <div class="seed">
        {number("seed", "Seed", "random", "Empty: a new one every time.")}
        <button type="button" class="icon-only" aria-label="Draw a seed" onClick={() => change({ seed: newSeed() })}>
          <Icon name="dice" />
        </button>
      </div>
      {number("ticks", "Ticks of the plan", 8)}
      {number("steps", "Steps", model?.num_inference_steps)}
      {number("guidance", "Guidance", model?.guidance_scale)}
      {number("sceneGuidance", "Scene guidance", "as guidance")}
      {number("fps", "Frames a second", model?.fps)}
      {number("frames", "Frames", model?.num_frames, seconds)}
      <div class="size">
        {number("width", "Width", model?.width)}
        <span aria-hidden="true">×</span>
        {number("height", "Height", model?.height)}
      </div>
      {(form.width === null) !== (form.height === null) && (
        <p class="hint error wide">Give both width and height, or neither.</p>
      )}
      <div class="wide">
        <Field label="Negative prompt" hint="What the video shall not look like.">
          {(ids) => (
            <input
              {...ids}
              type="text"
              value={form.negative}
              onInput={(event) => change({ negative: event.currentTarget.value })}
            />
          )}
        </Field>
      </div>
    </div>
  );
}
