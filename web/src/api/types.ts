/** What the server says, as far as the page reads it (serving/api). All texts in here are untrusted. */
import type { Dsg } from "../dsg";

export type Status = "queued" | "in_progress" | "completed" | "failed" | "cancelled";

export interface JobError {
  code: string;
  message: string;
}

/** What a client may send to make a video; absent fields take the server's defaults. */
export interface VideoRequest {
  prompt: string;
  model?: string;
  /** null: no plan, made from the prompt alone. */
  planner?: string | null;
  dsg?: Dsg;
  ticks?: number;
  seed?: number;
  size?: string;
  num_frames?: number;
  fps?: number;
  num_inference_steps?: number;
  guidance_scale?: number;
  scene_guidance?: number | null;
  negative_prompt?: string;
}

/** What a remix changes; the rest is as in the video that it is made from. */
export type RemixRequest = Partial<VideoRequest>;

export interface PlanRequest {
  prompt: string;
  planner?: string;
  ticks?: number;
  seed?: number;
}

interface Job {
  id: string;
  status: Status;
  /** Per cent, never falls. */
  progress: number;
  created_at: number;
  completed_at: number | null;
  error: JobError | null;
  prompt: string;
  planner: string | null;
  ticks: number;
  seed: number;
  /** Why the plan is less than what was asked for. */
  degraded: string | null;
}

export interface PlanJob extends Job {
  object: "plan";
  dsg: Dsg | null;
}

export interface VideoJob extends Job {
  object: "video";
  model: string;
  size: string;
  seconds: string;
  stage: "plan" | "generate";
  expires_at: number | null;
  expired: boolean;
  remixed_from_video_id: string | null;
  has_dsg: boolean;
  num_frames: number;
  fps: number;
  num_inference_steps: number;
  guidance_scale: number;
  scene_guidance: number | null;
  negative_prompt: string;
}

export interface Planner {
  id: string;
  description: string;
  needs: string;
}

export interface Model {
  id: string;
  description: string;
  num_frames: number;
  fps: number;
  width: number;
  height: number;
  num_inference_steps: number;
  guidance_scale: number;
  /** What the number of frames, and width and height, must be multiples of. */
  frame_multiple: number;
  side_multiple: number;
}

export interface List<T> {
  data: T[];
  has_more: boolean;
}
