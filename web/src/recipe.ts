/** What the form holds, and how it becomes a request and comes from a video. null: as the server has it by default. */
import type { Dsg } from "./dsg";
import type { VideoJob, VideoRequest } from "./api/types";

export interface Draft {
  prompt: string;
  model: string | null;
  /** "" : without a plan; null: the server's first. */
  planner: string | null;
  ticks: number | null;
  /** null: a new one for every plan or video. */
  seed: number | null;
  width: number | null;
  height: number | null;
  frames: number | null;
  fps: number | null;
  steps: number | null;
  guidance: number | null;
  sceneGuidance: number | null;
  negative: string;
  dsg: Dsg | null;
  /** The prompt, planner and seed that `dsg` was planned with; null where it came from a video. */
  planned: { prompt: string; planner: string | null; seed: number } | null;
  /** The video that this one changes. */
  remixOf: string | null;
}

export const EMPTY: Draft = {
  prompt: "",
  model: null,
  planner: null,
  ticks: null,
  seed: null,
  width: null,
  height: null,
  frames: null,
  fps: null,
  steps: null,
  guidance: null,
  sceneGuidance: null,
  negative: "",
  dsg: null,
  planned: null,
  remixOf: null,
};

/** A draft as it was remembered, possibly by another version of this page: unknown fields go, missing ones are empty. */
export function restoreDraft(saved: unknown): Draft {
  if (typeof saved !== "object" || saved === null) return EMPTY;
  const known = Object.entries(saved).filter(([name, value]) => Object.hasOwn(EMPTY, name) && sameKind(name as keyof Draft, value));
  return { ...EMPTY, ...Object.fromEntries(known) } as Draft;
}

const TEXTS: readonly (keyof Draft)[] = ["prompt", "negative"];
const NAMES: readonly (keyof Draft)[] = ["model", "planner", "remixOf"];
const OBJECTS: readonly (keyof Draft)[] = ["dsg", "planned"];

function sameKind(name: keyof Draft, value: unknown): boolean {
  if (TEXTS.includes(name)) return typeof value === "string";
  if (value === null) return true;
  if (NAMES.includes(name)) return typeof value === "string";
  if (OBJECTS.includes(name)) return typeof value === "object";
  return typeof value === "number" && Number.isFinite(value);
}

export function newSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! >>> 1;
}

/** The plan was made from another prompt than the one that stands in the form now. */
export function planIsStale(draft: Draft): boolean {
  return draft.dsg !== null && draft.dsg.prompt.trim() !== draft.prompt.trim();
}

export function toRequest(draft: Draft, seed: number): VideoRequest {
  const wanted: VideoRequest = { prompt: draft.prompt.trim(), seed, negative_prompt: draft.negative.trim() };
  if (draft.model !== null) wanted.model = draft.model;
  if (draft.dsg) wanted.dsg = draft.dsg;
  else {
    if (draft.planner !== null) wanted.planner = draft.planner || null;
    if (draft.ticks !== null) wanted.ticks = draft.ticks;
  }
  if (draft.width !== null && draft.height !== null) wanted.size = `${draft.width}x${draft.height}`;
  if (draft.frames !== null) wanted.num_frames = draft.frames;
  if (draft.fps !== null) wanted.fps = draft.fps;
  if (draft.steps !== null) wanted.num_inference_steps = draft.steps;
  if (draft.guidance !== null) wanted.guidance_scale = draft.guidance;
  if (draft.sceneGuidance !== null) wanted.scene_guidance = draft.sceneGuidance;
  return wanted;
}

export function sizeOf(text: string): { width: number; height: number } | null {
  const found = /^(\d+)x(\d+)$/.exec(text);
  return found ? { width: Number(found[1]), height: Number(found[2]) } : null;
}

/** Everything that made a video, back in the form. */
export function fromVideo(job: VideoJob, dsg: Dsg | null, remix: boolean): Draft {
  const size = sizeOf(job.size);
  return {
    ...EMPTY,
    prompt: job.prompt,
    model: job.model,
    planner: job.planner ?? (dsg ? null : ""),
    ticks: job.ticks ?? null,
    seed: job.seed,
    width: size?.width ?? null,
    height: size?.height ?? null,
    frames: job.num_frames,
    fps: job.fps,
    steps: job.num_inference_steps,
    guidance: job.guidance_scale,
    sceneGuidance: job.scene_guidance ?? null,
    negative: job.negative_prompt ?? "",
    dsg,
    planned: null,
    remixOf: remix ? job.id : null,
  };
}
