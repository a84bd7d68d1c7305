// The scene graph file, field by field as in planners/dsg.py.

export const FORMAT = "dysenvdm.dsg/1";
export const MAX_TICKS = 1024;
export const MAX_OBJECTS = 256;
export const MAX_FACTS = 4096;
export const MAX_LABEL = 120;

/** Who said a fact: the prompt itself, the action plan, the two rounds of scene imagination, or a person. */
export const SOURCES = ["prompt", "plan", "imagined", "polished", "user"] as const;
export type Source = (typeof SOURCES)[number];

/** Present in `[start, end)`; without `end` until the last tick. */
export interface SceneObject {
  readonly id: string;
  readonly label: string;
  readonly start?: number;
  readonly end?: number;
}

/** True in the ticks `[start, end)`: either an attribute, or a predicate with or without an object. */
export interface Fact {
  readonly subject: string;
  readonly predicate?: string;
  readonly object?: string;
  readonly attribute?: string;
  readonly start: number;
  readonly end: number;
  readonly source: Source;
}

export interface Dsg {
  readonly format: typeof FORMAT;
  readonly prompt: string;
  readonly ticks: number;
  readonly objects: SceneObject[];
  readonly facts: Fact[];
}

export type Statement = Pick<Fact, "subject" | "predicate" | "object" | "attribute">;

/** Facts that nobody stated, so that a person may veto them. */
export const imagined = (fact: { readonly source: Source }): boolean =>
  fact.source === "imagined" || fact.source === "polished";

export const text = (fact: Statement): string => fact.predicate ?? fact.attribute ?? "";

export const active = (fact: Fact, tick: number): boolean => fact.start <= tick && tick < fact.end;

export const present = (thing: SceneObject, tick: number): boolean =>
  (thing.start ?? 0) <= tick && (thing.end === undefined || tick < thing.end);

/** Equal for facts that say the same, whenever and by whom. */
export const sameStatement = (fact: Statement): string =>
  JSON.stringify([fact.subject, fact.predicate ?? "", fact.object ?? "", fact.attribute ?? ""]);

export const mentions = (fact: Statement, id: string): boolean => fact.subject === id || fact.object === id;
