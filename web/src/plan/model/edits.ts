// What a person can do to a plan. Every edit gives a plan that is valid, or says in words why it cannot.

import { type Doc, emitted, objectOf, orphans, type Row, rowOf, vetoable } from "./document";
import { endOf, startOf } from "./limits";
import { labelProblem, PlanError, strip } from "./rules";
import {
  type Fact,
  imagined,
  MAX_FACTS,
  MAX_OBJECTS,
  MAX_TICKS,
  mentions,
  sameStatement,
  type SceneObject,
} from "./types";
import { count, namesOf, type Scale, statement, told, when } from "./words";

export type Field = "subject" | "text" | "object" | "start" | "end" | "label" | "ticks";

/** The plan after the edit and what to say about it, or why there is none. */
export type Outcome =
  | { readonly doc: Doc; readonly said: string; readonly refused?: undefined }
  | { readonly refused: string; readonly field?: Field | undefined };

export type FactDraft = Omit<Fact, "source">;

const refuse = (refused: string, field?: Field): Outcome => ({ refused, field });

/** The net under all edits: what leaves here passes the rules. */
function checked(doc: Doc, said: string): Outcome {
  try {
    emitted(doc);
  } catch (error) {
    if (error instanceof PlanError) return refuse(`That cannot be: ${error.words}.`);
    throw error;
  }
  return { doc, said };
}

const withRow = (doc: Doc, row: Row): Doc => ({
  ...doc,
  rows: doc.rows.map((old) => (old.key === row.key ? row : old)),
});

const withObject = (doc: Doc, thing: SceneObject): Doc => ({
  ...doc,
  objects: doc.objects.map((old) => (old.id === thing.id ? thing : old)),
});

/** A copy with one field changed; an absent value takes the field away. */
function tidy(draft: FactDraft): FactDraft {
  const { subject, predicate, object, attribute, start, end } = draft;
  return {
    subject,
    ...(predicate !== undefined && { predicate: strip(predicate) }),
    ...(object !== undefined && { object }),
    ...(attribute !== undefined && { attribute: strip(attribute) }),
    start,
    end,
  };
}

const sameFact = (a: FactDraft, b: FactDraft): boolean =>
  sameStatement(a) === sameStatement(b) && a.start === b.start && a.end === b.end;

/** Why this fact cannot stand in the plan, or null; `key` is its own row where it is there already. */
function factProblem(doc: Doc, fact: FactDraft, scale: Scale, key?: number): Outcome | null {
  const words = fact.predicate ?? fact.attribute ?? "";
  const problem = labelProblem(words);
  if (problem) return refuse(`The text ${problem}.`, "text");
  if (!Number.isInteger(fact.start) || fact.start < 0 || fact.start >= doc.ticks) {
    return refuse(`The start is a whole number from 0 to ${doc.ticks - 1}.`, "start");
  }
  if (!Number.isInteger(fact.end) || fact.end <= fact.start || fact.end > doc.ticks) {
    return refuse(`The end is a whole number from ${fact.start + 1} to ${doc.ticks}.`, "end");
  }
  const names = namesOf(doc.objects);
  for (const field of ["subject", "object"] as const) {
    const id = fact[field];
    if (id === undefined) continue;
    const thing = objectOf(doc, id);
    if (!thing) return refuse("Choose one of the objects.", field);
    if (fact.start < startOf(thing)) {
      return refuse(`${names.get(id)} is there only from ${when(startOf(thing), scale)}.`, "start");
    }
    if (fact.end > endOf(thing, doc.ticks)) {
      return refuse(`${names.get(id)} is there only until ${when(endOf(thing, doc.ticks), scale)}.`, "end");
    }
  }
  const twin = doc.rows.find(
    (row) =>
      row.key !== key &&
      !row.vetoed &&
      sameStatement(row.fact) === sameStatement(fact) &&
      fact.start < row.fact.end &&
      row.fact.start < fact.end,
  );
  if (twin) return refuse(`The plan says this already: ${told(twin.fact, names, scale)}. Make that one longer.`, "text");
  return null;
}

/** Change anything of a fact; it then is the person's own (source `user`), as `dysenvdm dsg edit` has it. */
export function changeFact(doc: Doc, key: number, draft: FactDraft, scale: Scale): Outcome {
  const row = rowOf(doc, key);
  if (!row) return refuse("This fact is not in the plan any more.");
  if (row.vetoed) return refuse("Bring the fact back before you change it.");
  const fact = tidy(draft);
  if (sameFact(fact, row.fact)) return { doc, said: "" };
  const problem = factProblem(doc, fact, scale, key);
  if (problem) return problem;
  const next = withRow(doc, { ...row, fact: { ...fact, source: "user" } });
  return checked(next, `${told({ ...fact, source: "user" }, namesOf(doc.objects), scale)}`);
}

/** Change what a fact says, keeping whether it is a predicate or an attribute. */
export function renameFact(doc: Doc, key: number, text: string, scale: Scale): Outcome {
  const fact = rowOf(doc, key)?.fact;
  if (!fact) return refuse("This fact is not in the plan any more.");
  return changeFact(doc, key, fact.predicate === undefined ? { ...fact, attribute: text } : { ...fact, predicate: text }, scale);
}

export function addFact(doc: Doc, draft: FactDraft, scale: Scale): Outcome {
  if (doc.rows.length >= MAX_FACTS) return refuse(`A plan has at most ${MAX_FACTS} facts.`);
  const fact: Fact = { ...tidy(draft), source: "user" };
  const problem = factProblem(doc, fact, scale);
  if (problem) return problem;
  const rows = [...doc.rows, { key: doc.nextKey, fact, vetoed: false }];
  return checked({ ...doc, rows, nextKey: doc.nextKey + 1 }, `Added ${told(fact, namesOf(doc.objects), scale)}`);
}

export function removeFact(doc: Doc, key: number): Outcome {
  const row = rowOf(doc, key);
  if (!row) return refuse("This fact is not in the plan any more.");
  const next = { ...doc, rows: doc.rows.filter((other) => other.key !== key) };
  return checked(next, `Deleted ${statement(row.fact, namesOf(doc.objects))}`);
}

/** An id that no object has, made of the label's letters. */
function freshId(doc: Doc, label: string): string {
  const stem = label.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_+|_+$/g, "").slice(0, 56) || "object";
  const taken = new Set(doc.objects.map((thing) => thing.id));
  if (!taken.has(stem)) return stem;
  for (let n = 2; ; n++) if (!taken.has(`${stem}_${n}`)) return `${stem}_${n}`;
}

export function addObject(doc: Doc, label: string): Outcome {
  if (doc.objects.length >= MAX_OBJECTS) return refuse(`A plan has at most ${MAX_OBJECTS} objects.`, "label");
  const problem = labelProblem(label);
  if (problem) return refuse(`The name ${problem}.`, "label");
  const thing = { id: freshId(doc, strip(label)), label: strip(label) };
  return checked({ ...doc, objects: [...doc.objects, thing] }, `Added ${thing.label}`);
}

/** The id stays: it is the object's identity. */
export function renameObject(doc: Doc, id: string, label: string): Outcome {
  const thing = objectOf(doc, id);
  if (!thing) return refuse("This object is not in the plan any more.");
  const problem = labelProblem(label);
  if (problem) return refuse(`The name ${problem}.`, "label");
  if (strip(label) === thing.label) return { doc, said: "" };
  return checked(withObject(doc, { ...thing, label: strip(label) }), `${thing.label} is now ${strip(label)}`);
}

/** Facts that mention the object go with it. */
export function removeObject(doc: Doc, id: string): Outcome {
  const thing = objectOf(doc, id);
  if (!thing) return refuse("This object is not in the plan any more.");
  const rows = doc.rows.filter((row) => !mentions(row.fact, id));
  const gone = doc.rows.length - rows.length;
  const next = { ...doc, rows, objects: doc.objects.filter((other) => other.id !== id) };
  return checked(next, `Deleted ${thing.label}${gone ? ` and ${count(gone, "fact")} about it` : ""}`);
}

export function changePresence(doc: Doc, id: string, start: number, end: number, scale: Scale): Outcome {
  const thing = objectOf(doc, id);
  if (!thing) return refuse("This object is not in the plan any more.");
  if (start === startOf(thing) && end === endOf(thing, doc.ticks)) return { doc, said: "" };
  const next: SceneObject = {
    id,
    label: thing.label,
    ...(start > 0 && { start }),
    ...(end < doc.ticks && { end }), // absent: until the last tick, also when there are more of them
  };
  return checked(withObject(doc, next), `${thing.label} is there from ${when(start, scale)} to ${when(end, scale)}`);
}

/** Veto imagined facts, or bring them back. Objects that only vetoed facts mention go with them. */
export function veto(doc: Doc, keys: readonly number[], vetoed: boolean): Outcome {
  const chosen = new Set(keys);
  const concerned = doc.rows.filter((row) => chosen.has(row.key) && row.vetoed !== vetoed && imagined(row.fact));
  if (concerned.length === 0) return { doc, said: "" };
  const next = { ...doc, rows: doc.rows.map((row) => (concerned.includes(row) ? { ...row, vetoed } : row)) };
  const what =
    concerned.length === 1
      ? statement((concerned[0] as Row).fact, namesOf(doc.objects))
      : count(concerned.length, "imagined fact");
  const alone = [...orphans(next)].filter((id) => !orphans(doc).has(id)).map((id) => namesOf(doc.objects).get(id));
  const also = alone.length ? `, and with it ${alone.join(", ")}` : "";
  return checked(next, vetoed ? `Vetoed ${what}${also}` : `Brought back ${what}`);
}

/** Veto all imagined facts, or bring them all back. */
export const vetoAll = (doc: Doc, vetoed: boolean): Outcome => veto(doc, vetoable(doc).map((row) => row.key), vetoed);

/**
 * Another number of ticks for the same video: times are kept, to the nearest tick, and so are sources. Nothing gets
 * shorter than one tick.
 */
export function changeTicks(doc: Doc, ticks: number): Outcome {
  if (!Number.isInteger(ticks) || ticks < 1 || ticks > MAX_TICKS) {
    return refuse(`A whole number from 1 to ${MAX_TICKS}.`, "ticks");
  }
  if (ticks === doc.ticks) return { doc, said: "" };
  const at = (tick: number) => (tick * ticks) / doc.ticks;
  const rows = doc.rows.map((row) => {
    let [start, end] = [Math.round(at(row.fact.start)), Math.round(at(row.fact.end))];
    if (start === end) {
      start = Math.floor(at(row.fact.start));
      end = start + 1;
    }
    return { ...row, fact: { ...row.fact, start, end } };
  });
  // Outwards, so that no fact outlasts its objects.
  const objects = doc.objects.map((thing): SceneObject => {
    const start = Math.floor(at(startOf(thing)));
    const end = Math.ceil(at(endOf(thing, doc.ticks)));
    return { id: thing.id, label: thing.label, ...(start > 0 && { start }), ...(end < ticks && { end }) };
  });
  const outcome = checked({ ...doc, ticks, rows, objects }, `The plan has ${count(ticks, "tick")} now`);
  if (outcome.refused === undefined) return outcome;
  return refuse(`${ticks} ticks are too few to tell all facts apart.`, "ticks");
}
