import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { emitted, open } from "../../src/plan/model/document";
import * as edits from "../../src/plan/model/edits";
import { begin, commit, redo, undo } from "../../src/plan/model/history";
import { clamp, factLimits, presenceLimits } from "../../src/plan/model/limits";
import { parse } from "../../src/plan/model/rules";
import { done, edit, edited, keyOf, park, scaleOf } from "./plans";

const doc = open(park);
const scale = scaleOf(doc);

describe("edits", () => {
  it("make a fact the person's own, and leave others alone", () => {
    const key = keyOf(doc, "look at");
    const next = emitted(done(edits.renameFact(doc, key, "bark at", scale)));
    expect(next.facts.filter((fact) => fact.source === "user")).toEqual([
      { subject: "dog", predicate: "bark at", object: "girl", start: 1, end: 4, source: "user" },
    ]);
    const before = emitted(doc).facts.filter((fact) => fact.predicate !== "look at");
    expect(next.facts.filter((fact) => fact.source !== "user")).toEqual(before);
  });

  it("that change nothing leave the source as it was", () => {
    const key = keyOf(doc, "look at");
    expect(done(edits.renameFact(doc, key, " look at ", scale))).toBe(doc);
  });

  it("keep an object's id when it is renamed", () => {
    const next = emitted(done(edits.renameObject(doc, "girl", "woman")));
    expect(next.objects[0]).toEqual({ id: "girl", label: "woman" });
    expect(next.facts).toEqual(emitted(doc).facts);
  });

  it("give new objects ids of their own", () => {
    const twice = done(edits.addObject(done(edits.addObject(doc, "Dog")), "dog"));
    expect(twice.objects.map((thing) => thing.id)).toEqual(["girl", "box", "dog", "dog_2", "dog_3"]);
    const other = done(edits.addObject(doc, "犬"));
    expect(other.objects.at(-1)).toEqual({ id: "object", label: "犬" });
  });

  it("take an object's facts away with it", () => {
    const next = emitted(done(edits.removeObject(doc, "box")));
    expect(next.facts.some((fact) => fact.object === "box" || fact.subject === "box")).toBe(false);
    expect(next.facts).toHaveLength(4);
  });

  it.each([
    ["text", (key: number) => edits.renameFact(doc, key, "  ", scale), /empty/],
    ["text", (key: number) => edits.renameFact(doc, key, "x".repeat(121), scale), /120/],
    ["end", (key: number) => edits.changeFact(doc, key, { ...doc.rows[key]!.fact, end: 7 }, scale), /box is there only until tick 6/],
    ["start", (key: number) => edits.changeFact(doc, key, { ...doc.rows[key]!.fact, start: 0 }, scale), /box is there only from tick 1/],
    ["end", (key: number) => edits.changeFact(doc, key, { ...doc.rows[key]!.fact, end: 2 }, scale), /from 3 to 8/],
    ["object", (key: number) => edits.changeFact(doc, key, { ...doc.rows[key]!.fact, object: "cat" }, scale), /one of the objects/],
  ] as const)("are refused at the %s that cannot be", (field, attempt, words) => {
    const outcome = attempt(keyOf(doc, "jump over"));
    expect(outcome).toMatchObject({ refused: expect.stringMatching(words), field });
  });

  it("refuse to say the same twice at a time", () => {
    const key = keyOf(doc, "wave", 0);
    const outcome = edits.changeFact(doc, key, { ...doc.rows[key]!.fact, end: 7 }, scale);
    expect(outcome.refused).toMatch(/says this already: girl wave, from tick 6 to tick 8/);
  });

  it("refuse to shorten an object's presence below its facts", () => {
    expect(edits.changePresence(doc, "box", 2, 5, scale).refused).toMatch(/box is not there all that time/);
  });
});

describe("vetoes", () => {
  it("take all imagined facts, and objects that only they mention, and bring them back", () => {
    const file = { ...park, objects: [...park.objects, { id: "sun", label: "sun" }], facts: [...park.facts, { subject: "sun", predicate: "shine", start: 0, end: 8, source: "imagined" }] };
    const opened = open(file);
    const without = done(edits.vetoAll(opened, true));
    expect(emitted(without).facts.map((fact) => fact.source)).not.toContain("imagined");
    expect(emitted(without).objects.map((thing) => thing.id)).toEqual(["girl", "box"]); // dog and sun were imagined's
    expect(emitted(done(edits.vetoAll(without, false)))).toEqual(parse(file));
  });

  it("never touch what was stated", () => {
    const all = doc.rows.map((row) => row.key);
    const next = emitted(done(edits.veto(doc, all, true)));
    expect(next.facts).toEqual(emitted(doc).facts.filter((fact) => fact.source === "plan" || fact.source === "prompt"));
  });

  it("are not brought back into a plan that says the same by now", () => {
    const key = keyOf(doc, "wooden");
    const vetoed = done(edits.veto(doc, [key], true));
    const said = done(edits.addFact(vetoed, { subject: "box", attribute: "wooden", start: 2, end: 3 }, scale));
    expect(edits.veto(said, [key], false).refused).toMatch(/another fact says the same/);
  });
});

describe("limits", () => {
  it("stop a bar at its objects' presence, at its twin and at the ends, and say what stopped it", () => {
    const jump = factLimits(doc, keyOf(doc, "jump over"), scale);
    expect(clamp({ start: 4, end: 7 }, "whole", jump)).toEqual({ span: { start: 3, end: 6 }, why: "box is there only until tick 6." });
    const wave = factLimits(doc, keyOf(doc, "wave", 0), scale);
    expect(clamp({ start: 0, end: 9 }, "end", wave)).toEqual({ span: { start: 0, end: 6 }, why: "“girl wave” is already said there." });
    expect(clamp({ start: -3, end: -1 }, "whole", wave).span).toEqual({ start: 0, end: 2 });
    expect(clamp({ start: 5, end: 2 }, "start", wave).span).toEqual({ start: 1, end: 2 });
    const box = presenceLimits(doc, "box", scale);
    expect(clamp({ start: 3, end: 6 }, "start", box)).toMatchObject({ span: { start: 1, end: 6 } });
  });

  it("allow exactly what the rules allow", () => {
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 6 }), fc.nat(), fc.integer({ min: 0, max: 20 }), fc.integer({ min: 1, max: 21 }), (steps, n, start, end) => {
        const plan = edited(steps);
        const rows = plan.rows.filter((row) => !row.vetoed);
        const row = rows[n % Math.max(1, rows.length)];
        if (!row || start >= end) return;
        const limits = factLimits(plan, row.key, scaleOf(plan));
        const { span } = clamp({ start, end: start + row.fact.end - row.fact.start }, "whole", limits);
        expect(edits.changeFact(plan, row.key, { ...row.fact, ...span }, scaleOf(plan)).refused).toBeUndefined();
        if (start < limits.min || end > limits.max) {
          const outcome = edits.changeFact(plan, row.key, { ...row.fact, start, end }, scaleOf(plan));
          // Beyond the twin that bounds it there may be room again; everything else is refused.
          if (outcome.refused === undefined) expect(limits.minWhy + limits.maxWhy).toMatch(/already said/);
        }
      }),
      { numRuns: 300, seed: 4 },
    );
  });
});

describe("another number of ticks", () => {
  it("keeps times and sources", () => {
    const finer = emitted(done(edits.changeTicks(doc, 24)));
    expect(finer.facts.map(({ start, end, source }) => [start / 3, end / 3, source])).toEqual(
      emitted(doc).facts.map(({ start, end, source }) => [start, end, source]),
    );
    expect(emitted(done(edits.changeTicks(open(finer), 8)))).toEqual(emitted(doc));
  });

  it("is refused where facts would coincide", () => {
    expect(edits.changeTicks(doc, 1)).toMatchObject({ refused: expect.stringMatching(/too few/), field: "ticks" });
    expect(edits.changeTicks(doc, 1025).refused).toMatch(/1 to 1024/);
  });
});

describe("any sequence of edits", () => {
  it("gives a valid plan, and undo leads back to where it began, redo to where it was", () => {
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 25 }), (steps) => {
        let history = begin(doc);
        for (const step of steps) {
          const outcome = step(history.doc);
          if (outcome.refused === undefined) history = commit(history, outcome.doc, outcome.said);
        }
        const end = history.doc;
        expect(parse(emitted(end))).toEqual(emitted(end));
        const depth = history.past.length;
        for (let i = 0; i < depth; i++) history = undo(history);
        expect(history.doc).toBe(doc);
        for (let i = 0; i < depth; i++) history = redo(history);
        expect(history.doc).toBe(end);
      }),
      { numRuns: 300, seed: 5 },
    );
  });
});
