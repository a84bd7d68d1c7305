// How far a bar can go, and what stops it there.

import { type Doc, objectOf, rowOf } from "./document";
import { mentions, sameStatement, type SceneObject } from "./types";
import { namesOf, type Scale, statement, when } from "./words";

export interface Limits {
  /** No start before `min`, no end after `max`. */
  readonly min: number;
  readonly minWhy: string;
  readonly max: number;
  readonly maxWhy: string;
  /** Of an object's presence: what its facts need; the start is not after `from`, the end not before `to`. */
  readonly from?: number;
  readonly fromWhy?: string;
  readonly to?: number;
  readonly toWhy?: string;
}

export const startOf = (thing: SceneObject): number => thing.start ?? 0;
export const endOf = (thing: SceneObject, ticks: number): number => thing.end ?? ticks;

/** The ticks that a fact may take: its objects are there, and no other fact says the same. */
export function factLimits(doc: Doc, key: number, scale: Scale): Limits {
  const { fact } = rowOf(doc, key)!;
  const names = namesOf(doc.objects);
  let [min, minWhy] = [0, "The video begins here."];
  let [max, maxWhy] = [doc.ticks, "The video ends here."];
  const raise = (to: number, why: string) => {
    if (to > min) [min, minWhy] = [to, why];
  };
  const lower = (to: number, why: string) => {
    if (to < max) [max, maxWhy] = [to, why];
  };
  for (const id of [fact.subject, fact.object]) {
    const thing = id === undefined ? undefined : objectOf(doc, id);
    if (!thing) continue;
    raise(startOf(thing), `${names.get(thing.id)} is there only from ${when(startOf(thing), scale)}.`);
    lower(endOf(thing, doc.ticks), `${names.get(thing.id)} is there only until ${when(endOf(thing, doc.ticks), scale)}.`);
  }
  for (const other of doc.rows) {
    if (other.key === key || other.vetoed || sameStatement(other.fact) !== sameStatement(fact)) continue;
    const why = `“${statement(fact, names)}” is already said there.`;
    if (other.fact.end <= fact.start) raise(other.fact.end, why);
    else if (other.fact.start >= fact.end) lower(other.fact.start, why);
  }
  return { min, minWhy, max, maxWhy };
}

/** The ticks that an object's presence may take: all that its facts need. */
export function presenceLimits(doc: Doc, id: string, scale: Scale): Limits {
  const names = namesOf(doc.objects);
  const whole = { min: 0, minWhy: "The video begins here.", max: doc.ticks, maxWhy: "The video ends here." };
  const facts = doc.rows.filter((row) => !row.vetoed && mentions(row.fact, id)).map((row) => row.fact);
  const first = facts.toSorted((a, b) => a.start - b.start)[0];
  const last = facts.toSorted((a, b) => b.end - a.end)[0];
  if (!first || !last) return whole;
  return {
    ...whole,
    from: first.start,
    fromWhy: `“${statement(first, names)}” begins at ${when(first.start, scale)}.`,
    to: last.end,
    toWhy: `“${statement(last, names)}” ends at ${when(last.end, scale)}.`,
  };
}

export type Part = "whole" | "start" | "end";

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The nearest span that the limits allow, and what stopped it (null where nothing did). */
export function clamp(wanted: Span, part: Part, limits: Limits): { span: Span; why: string | null } {
  let { start, end } = wanted;
  let why: string | null = null;
  const length = end - start;
  const stop = (condition: boolean, reason: string | undefined, mend: () => void) => {
    if (!condition) return;
    mend();
    why = reason ?? null;
  };
  if (part === "whole") {
    stop(start < limits.min, limits.minWhy, () => (start = limits.min));
    stop(start + length > limits.max, limits.maxWhy, () => (start = limits.max - length));
    stop(start > (limits.from ?? Infinity), limits.fromWhy, () => (start = limits.from!));
    stop(start + length < (limits.to ?? -Infinity), limits.toWhy, () => (start = limits.to! - length));
    return { span: { start, end: start + length }, why };
  }
  if (part === "start") {
    stop(start < limits.min, limits.minWhy, () => (start = limits.min));
    stop(start > end - 1, "It lasts one tick at least.", () => (start = end - 1));
    stop(start > (limits.from ?? Infinity), limits.fromWhy, () => (start = limits.from!));
  } else {
    stop(end > limits.max, limits.maxWhy, () => (end = limits.max));
    stop(end < start + 1, "It lasts one tick at least.", () => (end = start + 1));
    stop(end < (limits.to ?? -Infinity), limits.toWhy, () => (end = limits.to!));
  }
  return { span: { start, end }, why };
}
