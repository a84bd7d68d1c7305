// Bars side by side in as few lanes as possible, so that a whole plan fits under a player.

import type { Fact } from "./types";

/** Facts in lanes; within a lane none overlaps another, and they are in order of time. */
export function lanes(facts: readonly Fact[]): Fact[][] {
  const rows: Fact[][] = [];
  for (const fact of facts.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const free = rows.find((row) => row.at(-1)!.end <= fact.start);
    if (free) free.push(fact);
    else rows.push([fact]);
  }
  return rows;
}
