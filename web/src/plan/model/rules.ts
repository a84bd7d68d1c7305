// What makes a scene graph valid: the rules of planners/dsg.py, so that the server takes whatever passes here.

import {
  type Dsg,
  type Fact,
  FORMAT,
  MAX_FACTS,
  MAX_LABEL,
  MAX_OBJECTS,
  MAX_TICKS,
  type SceneObject,
  type Source,
  SOURCES,
  sameStatement,
} from "./types";

/** A broken rule: `path` names the place in the file (`facts[2].end`), the message says what is wrong, in words. */
export class PlanError extends Error {
  constructor(
    readonly path: string,
    readonly words: string,
  ) {
    super(path ? `${path}: ${words}` : words);
  }
}

const ID = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;
// Not trim(): Python's idea of white space has U+0085 and lacks U+FEFF.
const AROUND = /^\p{White_Space}+|\p{White_Space}+$/gu;

export const strip = (value: string): string => value.replace(AROUND, "");

/** Unicode code points, as Python counts them. */
export const length = (value: string): number => [...value].length;

function wellFormed(value: string): boolean {
  return !/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.test(value);
}

/** What is wrong with a label, or null. */
export function labelProblem(value: string): string | null {
  if (strip(value) === "") return "may not be empty";
  if (length(strip(value)) > MAX_LABEL) return `is longer than ${MAX_LABEL} characters`;
  if (!wellFormed(value)) return "holds half a character; type it again";
  return null;
}

/** Parse and validate; throws a PlanError at the first broken rule. The result is in canonical form and order. */
export function parse(data: unknown): Dsg {
  const file = record(data, "", ["format", "prompt", "ticks", "objects", "facts"]);
  if (file.format !== FORMAT) throw new PlanError("format", `must be "${FORMAT}"`);
  const prompt = file.prompt ?? "";
  if (typeof prompt !== "string" || file.prompt === null || !wellFormed(prompt)) {
    throw new PlanError("prompt", "must be text");
  }
  const ticks = tick(file.ticks, "ticks", 1);
  const objects = list(file.objects, "objects", MAX_OBJECTS).map(parseObject);
  const facts = list(file.facts, "facts", MAX_FACTS).map(parseFact);
  checkObjects(objects, ticks);
  checkFacts(facts, objects, ticks);
  checkOverlaps(facts);
  return { format: FORMAT, prompt, ticks, objects, facts: [...facts].sort(factOrder) };
}

function record(data: unknown, path: string, keys: readonly string[]): Record<string, unknown> {
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    throw new PlanError(path, path ? "must be a JSON object" : "not a scene graph file; it must be a JSON object");
  }
  for (const key of Object.keys(data)) {
    if (!keys.includes(key)) throw new PlanError(path ? `${path}.${key}` : key, "is not known");
  }
  return data as Record<string, unknown>;
}

function list(data: unknown, path: string, most: number): unknown[] {
  if (data === undefined) return [];
  if (!Array.isArray(data)) throw new PlanError(path, "must be a list");
  if (data.length > most) throw new PlanError(path, `more than ${most} are too many`);
  return data;
}

function tick(value: unknown, path: string, least = 0): number {
  if (typeof value !== "number" || !Number.isInteger(value)) throw new PlanError(path, "must be a whole number");
  if (value < least || value > MAX_TICKS) throw new PlanError(path, `must be from ${least} to ${MAX_TICKS}`);
  return value;
}

function ident(value: unknown, path: string): string {
  if (typeof value !== "string" || !ID.test(value)) {
    throw new PlanError(path, "must be an id: letters, digits, _ . - (at most 64)");
  }
  return value;
}

function label(value: unknown, path: string): string {
  if (typeof value !== "string") throw new PlanError(path, "must be text");
  const problem = labelProblem(value);
  if (problem) throw new PlanError(path, problem);
  return strip(value);
}

const absent = (value: unknown): value is null | undefined => value === null || value === undefined;

function parseObject(data: unknown, i: number): SceneObject {
  const path = `objects[${i}]`;
  const item = record(data, path, ["id", "label", "start", "end"]);
  const start = item.start === undefined ? 0 : tick(item.start, `${path}.start`);
  const end = absent(item.end) ? undefined : tick(item.end, `${path}.end`);
  if (end !== undefined && start >= end) throw new PlanError(path, "must begin before it ends");
  return {
    id: ident(item.id, `${path}.id`),
    label: label(item.label, `${path}.label`),
    ...(start > 0 && { start }),
    ...(end !== undefined && { end }),
  };
}

function parseFact(data: unknown, i: number): Fact {
  const path = `facts[${i}]`;
  const item = record(data, path, ["subject", "predicate", "object", "attribute", "start", "end", "source"]);
  const start = tick(item.start, `${path}.start`);
  const end = tick(item.end, `${path}.end`);
  if (!SOURCES.includes(item.source as Source)) {
    throw new PlanError(`${path}.source`, `must be one of ${SOURCES.join(", ")}`);
  }
  if (absent(item.predicate) === absent(item.attribute)) {
    throw new PlanError(path, "has either a predicate or an attribute, not both and not neither");
  }
  if (!absent(item.attribute) && !absent(item.object)) throw new PlanError(path, "an attribute takes no object");
  if (start >= end) throw new PlanError(path, "must begin before it ends");
  return {
    subject: ident(item.subject, `${path}.subject`),
    ...(!absent(item.predicate) && { predicate: label(item.predicate, `${path}.predicate`) }),
    ...(!absent(item.object) && { object: ident(item.object, `${path}.object`) }),
    ...(!absent(item.attribute) && { attribute: label(item.attribute, `${path}.attribute`) }),
    start,
    end,
    source: item.source as Source,
  };
}

function checkObjects(objects: readonly SceneObject[], ticks: number): void {
  const seen = new Set<string>();
  objects.forEach((thing, i) => {
    if (seen.has(thing.id)) throw new PlanError(`objects[${i}].id`, `"${thing.id}" is used twice`);
    seen.add(thing.id);
    if ((thing.start ?? 0) >= ticks) throw new PlanError(`objects[${i}].start`, `is beyond the plan's ${ticks} ticks`);
    if ((thing.end ?? 0) > ticks) throw new PlanError(`objects[${i}].end`, `is beyond the plan's ${ticks} ticks`);
  });
}

function checkFacts(facts: readonly Fact[], objects: readonly SceneObject[], ticks: number): void {
  const known = new Map(objects.map((thing) => [thing.id, thing]));
  facts.forEach((fact, i) => {
    if (fact.end > ticks) throw new PlanError(`facts[${i}].end`, `is beyond the plan's ${ticks} ticks`);
    for (const role of ["subject", "object"] as const) {
      const id = fact[role];
      if (id === undefined) continue;
      const thing = known.get(id);
      if (!thing) throw new PlanError(`facts[${i}].${role}`, `no object has the id "${id}"`);
      if (fact.start < (thing.start ?? 0) || fact.end > (thing.end ?? ticks)) {
        throw new PlanError(`facts[${i}]`, `${thing.label} is not there all that time`);
      }
    }
  });
}

function checkOverlaps(facts: readonly Fact[]): void {
  const byStatement = new Map<string, Fact[]>();
  facts.forEach((fact, i) => {
    const others = byStatement.get(sameStatement(fact)) ?? [];
    if (others.some((other) => fact.start < other.end && other.start < fact.end)) {
      throw new PlanError(`facts[${i}]`, "another fact says the same in overlapping time; make one of the two longer");
    }
    others.push(fact);
    byStatement.set(sameStatement(fact), others);
  });
}

/** Python's order of strings: by code point, not by UTF-16 unit. */
function compareText(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const step = (left[i] as string).codePointAt(0)! - (right[i] as string).codePointAt(0)!;
    if (step) return step;
  }
  return left.length - right.length;
}

function factOrder(a: Fact, b: Fact): number {
  return (
    a.start - b.start ||
    a.end - b.end ||
    compareText(a.subject, b.subject) ||
    compareText(a.predicate ?? "", b.predicate ?? "") ||
    compareText(a.object ?? "", b.object ?? "") ||
    compareText(a.attribute ?? "", b.attribute ?? "") ||
    SOURCES.indexOf(a.source) - SOURCES.indexOf(b.source)
  );
}

/** The file's text, byte for byte as planners/dsg.py writes it: one line per object and per fact. */
export function toJson(dsg: Dsg): string {
  const line = (item: object) =>
    `{${Object.entries(item)
      .map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`)
      .join(", ")}}`;
  const lines = (items: readonly object[]) => `[${items.map((item) => `\n  ${line(item)}`).join(",")}]`;
  return (
    `{"format": ${JSON.stringify(dsg.format)},\n "prompt": ${JSON.stringify(dsg.prompt)},\n` +
    ` "ticks": ${dsg.ticks},\n "objects": ${lines(dsg.objects)},\n "facts": ${lines(dsg.facts)}}\n`
  );
}
