/** The scene graph of a video, as planners/dsg.py defines it: intervals of ticks are half-open, [start, end). */

export type Source = "prompt" | "plan" | "imagined" | "polished" | "user";

export interface SceneObject {
  id: string;
  label: string;
  start?: number;
  /** Absent: until the last tick. */
  end?: number | null;
}

/** Either an attribute of the subject, or a predicate with an optional object. */
export interface Fact {
  subject: string;
  predicate?: string | null;
  object?: string | null;
  attribute?: string | null;
  start: number;
  end: number;
  source: Source;
}

export interface Dsg {
  format: "dysenvdm.dsg/1";
  prompt: string;
  ticks: number;
  objects: SceneObject[];
  facts: Fact[];
}
