// Plans on which planners/dsg.py must agree: tests/serving/test_plan_rules.py reads the file that this test keeps.

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, it } from "vitest";
import { emitted } from "../../src/plan/model/document";
import { parse, PlanError, toJson } from "../../src/plan/model/rules";
import { bends, bent, edit, edited } from "./plans";

const FILE = resolve(dirname(fileURLToPath(import.meta.url)), "../../../tests/serving/plans.jsonl");

function verdict(file: unknown): string | null {
  try {
    return toJson(parse(file));
  } catch (error) {
    if (error instanceof PlanError) return null;
    throw error;
  }
}

it("keeps the plans for Python up to date (UPDATE_PLANS=1 writes them anew)", () => {
  const plans = fc.sample(fc.array(edit, { minLength: 4, maxLength: 12 }), { numRuns: 300, seed: 6 }).map((steps) => emitted(edited(steps)));
  const broken = fc.sample(bends, { numRuns: 300, seed: 7 }).map((bend, i) => bent(plans[i]!, bend));
  const lines = [
    ...plans.map((plan) => ({ text: toJson(plan) })),
    ...broken.map((file) => ({ file, text: verdict(file) })),
  ];
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  if (process.env.UPDATE_PLANS) writeFileSync(FILE, text);
  expect(readFileSync(FILE, "utf8")).toBe(text);
});
