// The plan while it is edited: facts with keys that outlive their edits, and vetoed ones that can come back.

import { type Dsg, type Fact, FORMAT, imagined, type SceneObject } from "./types";
import { parse } from "./rules";

export interface Row {
  readonly key: number;
  readonly fact: Fact;
  /** Left out of what is emitted. Only imagined and polished facts are vetoed, others are deleted. */
  readonly vetoed: boolean;
}

export interface Doc {
  readonly prompt: string;
  readonly ticks: number;
  readonly objects: readonly SceneObject[];
  readonly rows: readonly Row[];
  readonly nextKey: number;
}

/** Throws a PlanError where the scene graph breaks a rule. */
export function open(data: unknown): Doc {
  const dsg = parse(data);
  // What happens comes before what somebody looks like; each in order of time.
  const facts = [...dsg.facts].sort((a, b) => Number(a.predicate === undefined) - Number(b.predicate === undefined));
  return {
    prompt: dsg.prompt,
    ticks: dsg.ticks,
    objects: dsg.objects,
    rows: facts.map((fact, key) => ({ key, fact, vetoed: false })),
    nextKey: facts.length,
  };
}

/** Objects that only vetoed facts mention go with them, as in planners/dsg.py's veto. */
export function orphans(doc: Doc): ReadonlySet<string> {
  const ids = (rows: readonly Row[]) => rows.flatMap(({ fact }) => [fact.subject, fact.object ?? fact.subject]);
  const kept = new Set(ids(doc.rows.filter((row) => !row.vetoed)));
  return new Set(ids(doc.rows.filter((row) => row.vetoed)).filter((id) => !kept.has(id)));
}

function left(doc: Doc): Dsg {
  const gone = orphans(doc);
  return {
    format: FORMAT,
    prompt: doc.prompt,
    ticks: doc.ticks,
    objects: doc.objects.filter((thing) => !gone.has(thing.id)),
    facts: doc.rows.filter((row) => !row.vetoed).map((row) => row.fact),
  };
}

/** The scene graph without what is vetoed; throws a PlanError where it breaks a rule. */
export const emitted = (doc: Doc): Dsg => parse(left(doc));

export const vetoable = (doc: Doc): readonly Row[] => doc.rows.filter((row) => imagined(row.fact));

export const rowOf = (doc: Doc, key: number): Row | undefined => doc.rows.find((row) => row.key === key);

export const objectOf = (doc: Doc, id: string): SceneObject | undefined => doc.objects.find((thing) => thing.id === id);
