import fc from "fast-check";
import { expect, it } from "vitest";
import { emitted, open } from "../../src/plan/model/document";
import { changeFact, changeTicks, renameFact } from "../../src/plan/model/edits";
import { diffPlans, same } from "../../src/plan/model/diff";
import { arrange, edgeKey, spread } from "../../src/plan/model/arrangement";
import { lanes } from "../../src/plan/model/lanes";
import { done, edit, edited, keyOf, park, scaleOf } from "./plans";

const doc = open(park);

it("tells a moved and a renamed fact as changes", () => {
  const key = keyOf(doc, "jump over");
  const moved = done(changeFact(doc, key, { ...doc.rows[key]!.fact, start: 3 }, scaleOf(doc)));
  const renamed = done(renameFact(moved, keyOf(doc, "wooden"), "made of tin", scaleOf(doc)));
  const { facts, objects } = diffPlans(park, emitted(renamed));
  expect(objects).toEqual([]);
  expect(facts.map(({ op, before, after }) => [op, before?.start, after?.start, after?.attribute])).toEqual([
    ["change", 2, 3, undefined],
    ["change", 1, 1, "made of tin"],
  ]);
});

it("compares plans of different numbers of ticks by the part of the whole", () => {
  const finer = emitted(done(changeTicks(doc, 16)));
  const difference = diffPlans(park, finer);
  expect([difference.facts, difference.objects, same(difference)]).toEqual([[], [], false]);
  expect(diffPlans(finer, emitted(done(changeTicks(open(finer), 5)))).facts.length).toBeGreaterThan(0);
});

it("accounts for every fact of both plans once", () => {
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 12 }), (steps) => {
      const [before, after] = [emitted(doc), emitted(edited(steps))];
      const { facts, objects } = diffPlans(before, after);
      const key = (item: object | undefined) => JSON.stringify(item);
      const gone = new Set(facts.map((change) => key(change.before)));
      const come = new Set(facts.map((change) => key(change.after)));
      if (before.ticks === after.ticks) {
        const kept = before.facts.filter((fact) => !gone.has(key(fact)));
        expect(kept.map(key).sort()).toEqual(after.facts.filter((fact) => !come.has(key(fact))).map(key).sort());
      }
      expect(same(diffPlans(after, after))).toBe(true);
      expect(objects.length === 0 && facts.length === 0 && before.ticks === after.ticks).toBe(key(before) === key(after));
    }),
    { numRuns: 200, seed: 8 },
  );
});

it("arranges every object and relation, boxes apart from each other, whatever the plan", () => {
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 30 }), (steps) => {
      const dsg = emitted(edited(steps));
      const { nodes, edges } = arrange(dsg);
      const boxes = dsg.objects.map((thing) => nodes.get(thing.id)!);
      for (const [i, a] of boxes.entries()) {
        for (const b of boxes.slice(i + 1)) {
          const apart = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
          expect(apart).toBe(true);
        }
      }
      for (const fact of dsg.facts) if (fact.object) expect(edges.get(edgeKey(fact.subject, fact.object))!.points.length).toBeGreaterThan(1);
    }),
    { numRuns: 100, seed: 9 },
  );
});

it("leaves objects where they are when times change", () => {
  const key = keyOf(doc, "jump over");
  const moved = done(changeFact(doc, key, { ...doc.rows[key]!.fact, start: 4 }, scaleOf(doc)));
  expect(arrange(emitted(moved)).nodes).toEqual(arrange(emitted(doc)).nodes);
});

it("puts a crowd around an open middle", () => {
  const objects = Array.from({ length: 60 }, (_, i) => ({ id: `o${i}`, label: `thing ${i}` }));
  const facts = objects.slice(1).map((thing) => ({ subject: thing.id, predicate: "near", object: "o0", start: 0, end: 4, source: "plan" as const }));
  const { nodes, width } = arrange({ format: "dysenvdm.dsg/1", prompt: "", ticks: 4, objects, facts });
  for (const box of nodes.values()) expect(box.x >= 0 && box.x + box.width <= width).toBe(true);
  expect(new Set([...nodes.values()].map((box) => `${box.x} ${box.y}`)).size).toBe(60);
});

it("spreads labels so that none hides another", () => {
  const labels = Array.from({ length: 9 }, (_, i) => ({ key: `${i}`, x: 50 + i, y: 40, width: 60, height: 17 }));
  const ys = [...spread(labels).values()].map((place) => place.y).sort((a, b) => a - b);
  for (const [i, y] of ys.entries()) if (i) expect(y - ys[i - 1]!).toBeGreaterThanOrEqual(17);
});

it("packs bars into lanes without overlaps", () => {
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 20 }), (steps) => {
      const { facts } = emitted(edited(steps));
      const rows = lanes(facts);
      expect(rows.flat()).toHaveLength(facts.length);
      for (const row of rows) row.forEach((fact, i) => i && expect(fact.start).toBeGreaterThanOrEqual(row[i - 1]!.end));
      const most = Math.max(0, ...facts.map((a) => facts.filter((b) => b.start <= a.start && a.start < b.end).length));
      expect(rows).toHaveLength(most);
    }),
    { numRuns: 100, seed: 10 },
  );
});
