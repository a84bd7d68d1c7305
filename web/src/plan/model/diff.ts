// What two plans differ in, as planners/dsg.py's diff has it, but also for plans of different numbers of ticks: then
// times are compared as parts of the whole.

import { type Dsg, type Fact, sameStatement, type SceneObject } from "./types";
import { parse } from "./rules";

export type Change<T> =
  | { readonly op: "add"; readonly after: T; readonly before?: undefined }
  | { readonly op: "remove"; readonly before: T; readonly after?: undefined }
  | { readonly op: "change"; readonly before: T; readonly after: T };

export interface PlanDifference {
  readonly ticks: readonly [number, number];
  readonly objects: readonly Change<SceneObject>[];
  readonly facts: readonly Change<Fact>[];
}

interface Timed {
  readonly fact: Fact;
  readonly span: string;
  readonly whole: string;
}

/** A removed and an added fact of the same statement, or of the same subject, kind and time, are one change. */
export function diffPlans(a: unknown, b: unknown): PlanDifference {
  const [before, after] = [parse(a), parse(b)];
  const mine = timed(before, after.ticks);
  const theirs = timed(after, before.ticks);
  const theirWhole = new Set(theirs.map((fact) => fact.whole));
  const myWhole = new Set(mine.map((fact) => fact.whole));
  let gone = mine.filter((fact) => !theirWhole.has(fact.whole));
  let come = theirs.filter((fact) => !myWhole.has(fact.whole));
  const changed: Change<Fact>[] = [];
  for (const same of [sameWords, sameKind]) {
    for (const old of gone) {
      const match = come.find((fact) => same(old, fact));
      if (!match) continue;
      changed.push({ op: "change", before: old.fact, after: match.fact });
      gone = gone.filter((fact) => fact !== old);
      come = come.filter((fact) => fact !== match);
    }
  }
  return {
    ticks: [before.ticks, after.ticks],
    objects: diffObjects(before, after),
    facts: [
      ...changed,
      ...gone.map(({ fact }): Change<Fact> => ({ op: "remove", before: fact })),
      ...come.map(({ fact }): Change<Fact> => ({ op: "add", after: fact })),
    ],
  };
}

export const same = (difference: PlanDifference): boolean =>
  difference.objects.length + difference.facts.length === 0 && difference.ticks[0] === difference.ticks[1];

/** Times in units that both plans share: multiples of 1 / (ticks of one x ticks of the other). */
function timed(dsg: Dsg, others: number): Timed[] {
  return dsg.facts.map((fact) => {
    const span = `${fact.start * others}-${fact.end * others}`;
    return { fact, span, whole: `${sameStatement(fact)} ${span} ${fact.source}` };
  });
}

const sameWords = (a: Timed, b: Timed): boolean => sameStatement(a.fact) === sameStatement(b.fact);

const sameKind = (a: Timed, b: Timed): boolean =>
  a.fact.subject === b.fact.subject &&
  (a.fact.predicate === undefined) === (b.fact.predicate === undefined) &&
  a.span === b.span;

function diffObjects(before: Dsg, after: Dsg): Change<SceneObject>[] {
  const mine = new Map(before.objects.map((thing) => [thing.id, thing]));
  const theirs = new Map(after.objects.map((thing) => [thing.id, thing]));
  const shown = (thing: SceneObject, others: number) =>
    `${thing.label} ${(thing.start ?? 0) * others} ${thing.end === undefined ? "" : thing.end * others}`;
  return [
    ...before.objects.filter((thing) => !theirs.has(thing.id)).map((thing) => ({ op: "remove", before: thing }) as const),
    ...after.objects.filter((thing) => !mine.has(thing.id)).map((thing) => ({ op: "add", after: thing }) as const),
    ...before.objects.flatMap((thing) => {
      const other = theirs.get(thing.id);
      return other && shown(thing, after.ticks) !== shown(other, before.ticks)
        ? [{ op: "change", before: thing, after: other } as const]
        : [];
    }),
  ];
}
