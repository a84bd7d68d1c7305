// Plans for tests, and the edits that a person might make.

import fc from "fast-check";
import { type Doc, open } from "../../src/plan/model/document";
import {
  addFact, addObject, changeFact, changePresence, changeTicks, type FactDraft, type Outcome, removeFact, removeObject,
  renameFact, renameObject, veto, vetoAll,
} from "../../src/plan/model/edits";
import type { Dsg } from "../../src/plan/model/types";
import type { Scale } from "../../src/plan/model/words";

export const park = {
  format: "dysenvdm.dsg/1",
  prompt: "A girl in a red coat jumps over a box while a dog looks on.",
  ticks: 8,
  objects: [
    { id: "girl", label: "girl" },
    { id: "box", label: "box", start: 1, end: 6 },
    { id: "dog", label: "dog" },
  ],
  facts: [
    { subject: "girl", predicate: "jump over", object: "box", start: 2, end: 5, source: "plan" },
    { subject: "girl", attribute: "in a red coat", start: 0, end: 8, source: "prompt" },
    { subject: "girl", predicate: "wave", start: 0, end: 2, source: "plan" },
    { subject: "girl", predicate: "wave", start: 6, end: 8, source: "plan" },
    { subject: "dog", predicate: "look at", object: "girl", start: 1, end: 4, source: "imagined" },
    { subject: "box", attribute: "wooden", start: 1, end: 6, source: "polished" },
  ],
} as const;

export const scaleOf = (doc: Doc): Scale => ({ ticks: doc.ticks });

export const keyOf = (doc: Doc, text: string, start?: number): number =>
  doc.rows.find(
    ({ fact }) => (fact.predicate ?? fact.attribute) === text && (start === undefined || fact.start === start),
  )!.key;

/** The plan after an edit that must succeed. */
export function done(outcome: Outcome): Doc {
  if (outcome.refused !== undefined) throw new Error(`refused: ${outcome.refused}`);
  return outcome.doc;
}

// Text that is hard on whoever takes it for granted: other scripts, emoji, half characters, spaces, markup.
const words = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("walk to", "jump over", "red", "sit on", "<b>bold</b>", " padded ", "見る", "😀 smile") },
  { weight: 1, arbitrary: fc.constantFrom("", "  ", "\uD800", "\u0085", "\uFEFF", "x".repeat(121), "😀".repeat(120), "a\nb") },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 8 }) },
);
const at = fc.integer({ min: -1, max: 20 });
const pick = fc.nat({ max: 30 });

type Edit = (doc: Doc) => Outcome;

const idAt = (doc: Doc, n: number): string => doc.objects[n % Math.max(1, doc.objects.length)]?.id ?? "nobody";
const rowAt = (doc: Doc, n: number) => doc.rows[n % Math.max(1, doc.rows.length)];

const draft = fc.tuple(pick, pick, fc.nat({ max: 2 }), words, at, at);
const drafted = (doc: Doc, [s, o, kind, said, start, end]: [number, number, number, string, number, number]): FactDraft => ({
  subject: idAt(doc, s),
  ...(kind === 0 ? { attribute: said } : { predicate: said }),
  ...(kind === 2 && { object: idAt(doc, o) }),
  start,
  end,
});

export const edit: fc.Arbitrary<Edit> = fc.oneof(
  draft.map((d): Edit => (doc) => addFact(doc, drafted(doc, d), scaleOf(doc))),
  fc.tuple(pick, draft).map(([n, d]): Edit => (doc) => changeFact(doc, rowAt(doc, n)?.key ?? -1, drafted(doc, d), scaleOf(doc))),
  fc.tuple(pick, at, at).map(([n, start, end]): Edit => (doc) => {
    const row = rowAt(doc, n);
    return row ? changeFact(doc, row.key, { ...row.fact, start, end }, scaleOf(doc)) : removeFact(doc, -1);
  }),
  fc.tuple(pick, words).map(([n, said]): Edit => (doc) => renameFact(doc, rowAt(doc, n)?.key ?? -1, said, scaleOf(doc))),
  pick.map((n): Edit => (doc) => removeFact(doc, rowAt(doc, n)?.key ?? -1)),
  words.map((said): Edit => (doc) => addObject(doc, said)),
  fc.tuple(pick, words).map(([n, said]): Edit => (doc) => renameObject(doc, idAt(doc, n), said)),
  pick.map((n): Edit => (doc) => removeObject(doc, idAt(doc, n))),
  fc.tuple(pick, at, at).map(([n, start, end]): Edit => (doc) => changePresence(doc, idAt(doc, n), start, end, scaleOf(doc))),
  fc.tuple(fc.array(pick, { maxLength: 4 }), fc.boolean()).map(([ns, gone]): Edit => (doc) => veto(doc, ns, gone)),
  fc.boolean().map((gone): Edit => (doc) => vetoAll(doc, gone)),
  fc.integer({ min: 0, max: 24 }).map((ticks): Edit => (doc) => changeTicks(doc, ticks)),
);

/** What a person makes of the park in some edits; refused ones leave it as it is. */
export function edited(edits: readonly Edit[], start: unknown = park): Doc {
  return edits.reduce((doc, each) => each(doc).refused === undefined ? done(each(doc)) : doc, open(start));
}

/** Files with one thing broken, or not: the rules must say which. */
export function bent(dsg: Dsg, [what, n, value]: [number, number, unknown]): unknown {
  const copy = JSON.parse(JSON.stringify(dsg)) as { objects: Record<string, unknown>[]; facts: Record<string, unknown>[] } & Record<string, unknown>;
  const keys = ["format", "prompt", "ticks", "objects", "facts", "extra"] as const;
  const ofObject = ["id", "label", "start", "end", "extra"] as const;
  const ofFact = ["subject", "predicate", "object", "attribute", "start", "end", "source", "extra"] as const;
  const [kind, list] = what % 6 === 0 ? [keys, [copy]] : what % 2 ? [ofFact, copy.facts] : [ofObject, copy.objects];
  const item = list[n % Math.max(1, list.length)];
  const key = kind[what % kind.length]!;
  if (item && value === undefined) delete item[key];
  else if (item) item[key] = value;
  return copy;
}

export const bends: fc.Arbitrary<[number, number, unknown]> = fc.tuple(
  fc.nat({ max: 400 }),
  pick,
  fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: -1, max: 12 }) },
    { weight: 2, arbitrary: fc.constantFrom("girl", "dog", "box", "nobody", "wave", "wooden", "jump over", "user", "imagined") },
    { weight: 1, arbitrary: fc.constantFrom<unknown>(undefined, null, true, [], {}, "", " ", "1", "\uD800", "\u0085", "\uFEFF", "x".repeat(121), 1025, 1.5, "-a", "ä") },
  ),
);
