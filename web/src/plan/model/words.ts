// How objects, facts and times are told to people.

import { type Fact, type SceneObject, type Statement, type Source, text } from "./types";

/** The length of the plan; without `seconds` times are told in ticks. */
export interface Scale {
  readonly ticks: number;
  readonly seconds?: number | undefined;
}

const decimal = (value: number): string => String(Math.round(value * 100) / 100);

/** `2.5 s`, or `tick 3`. */
export function when(tick: number, scale: Scale): string {
  return scale.seconds === undefined ? `tick ${tick}` : `${decimal((tick * scale.seconds) / scale.ticks)} s`;
}

/** `from 2 s to 4 s`. */
export const during = (span: { readonly start: number; readonly end: number }, scale: Scale): string =>
  `from ${when(span.start, scale)} to ${when(span.end, scale)}`;

/** `2 – 4 s`, for places where there is little room. */
export function briefly(span: { readonly start: number; readonly end: number }, scale: Scale): string {
  if (scale.seconds === undefined) return `${span.start} – ${span.end}`;
  const per = scale.seconds / scale.ticks;
  return `${decimal(span.start * per)} – ${decimal(span.end * per)} s`;
}

/** id -> what people call it: its label, with the id where two objects share one. */
export function namesOf(objects: readonly SceneObject[]): ReadonlyMap<string, string> {
  const times = new Map<string, number>();
  for (const { label } of objects) times.set(label, (times.get(label) ?? 0) + 1);
  return new Map(objects.map(({ id, label }) => [id, times.get(label) === 1 ? label : `${label} (${id})`]));
}

/** `girl jump over box`. */
export function statement(fact: Statement, names: ReadonlyMap<string, string>): string {
  const name = (id: string | undefined) => (id === undefined ? [] : [names.get(id) ?? id]);
  return [...name(fact.subject), text(fact), ...name(fact.object)].join(" ");
}

/** What a source is called on the page. */
export const SAID_BY: Readonly<Record<Source, string>> = {
  prompt: "prompt",
  plan: "plan",
  imagined: "imagined",
  polished: "polished",
  user: "you",
};

export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

export const told = (fact: Fact, names: ReadonlyMap<string, string>, scale: Scale): string =>
  `${statement(fact, names)}, ${during(fact, scale)}`;
