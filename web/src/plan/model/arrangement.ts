// Where objects and relations of the scene graph are drawn: one arrangement for all ticks, so that an object stays
// where it is from tick to tick. Relations from one object to another share one edge, whose label has room for as many
// as hold at a time.

import dagre from "@dagrejs/dagre";
import { type Dsg, type Fact, text } from "./types";

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

export interface Arrangement {
  readonly width: number;
  readonly height: number;
  /** Object id -> its box; x and y are its top left corner. */
  readonly nodes: ReadonlyMap<string, Box>;
  /** `edgeKey` -> the way of the edge and the middle of its labels. */
  readonly edges: ReadonlyMap<string, { readonly points: readonly Point[]; readonly label: Point }>;
}

export const LINE = 17; // height of a line of text
const CHAR = 6.6; // mean width of a letter at the size of the style sheet
export const LONGEST = 26;

export const edgeKey = (from: string, to: string): string => `${from} ${to}`; // ids hold no spaces

export const shortened = (label: string): string => {
  const letters = [...label];
  return letters.length <= LONGEST ? label : `${letters.slice(0, LONGEST - 1).join("")}…`;
};

const widthOf = (labels: readonly string[]): number =>
  Math.max(0, ...labels.map((label) => [...shortened(label)].length)) * CHAR;

/** The greatest number of facts that hold at one tick. */
function mostAtOnce(facts: readonly Fact[]): number {
  return Math.max(0, ...facts.map((fact) => facts.filter((o) => o.start <= fact.start && fact.start < o.end).length));
}

function groupBy(facts: readonly Fact[], key: (fact: Fact) => string): Map<string, Fact[]> {
  const groups = new Map<string, Fact[]>();
  for (const fact of facts) {
    const group = groups.get(key(fact));
    if (group) group.push(fact);
    else groups.set(key(fact), [fact]);
  }
  return groups;
}

/** What the arrangement depends on; times count only through how much holds at once. */
export function arrange(dsg: Dsg): Arrangement {
  const own = groupBy(
    dsg.facts.filter((fact) => fact.object === undefined),
    (fact) => fact.subject,
  );
  const between = groupBy(
    dsg.facts.filter((fact) => fact.object !== undefined),
    (fact) => edgeKey(fact.subject, fact.object!),
  );
  const sizes = new Map(
    dsg.objects.map((thing) => {
      const facts = own.get(thing.id) ?? [];
      const width = Math.max(64, widthOf([thing.label, ...facts.map(text)]) + 28);
      return [thing.id, { width, height: 30 + LINE * mostAtOnce(facts) + (facts.length ? 6 : 0) }];
    }),
  );
  if (dsg.objects.length > 48 || between.size > 160) return inRows(sizes, between);
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({ rankdir: "TB", nodesep: 22, ranksep: 30, edgesep: 14, marginx: 10, marginy: 10 });
  for (const [id, size] of sizes) graph.setNode(id, { ...size });
  for (const [key, facts] of between) {
    const [from, to] = key.split(" ") as [string, string];
    const label = { width: widthOf(facts.map(text)) + 10, height: LINE * mostAtOnce(facts) + 2, labelpos: "c" };
    graph.setEdge(from, to, label, key);
  }
  dagre.layout(graph);
  const nodes = new Map(
    graph.nodes().map((id) => {
      const { x, y, width, height } = graph.node(id) as Box;
      return [id, { x: x - width / 2, y: y - height / 2, width, height }];
    }),
  );
  const edges = new Map(
    graph.edges().map((edge) => {
      const { points, x, y } = graph.edge(edge) as unknown as { points: Point[]; x: number; y: number };
      return [edge.name!, { points, label: { x, y } }];
    }),
  );
  const { width = 0, height = 0 } = graph.graph();
  return { width, height, nodes, edges };
}

/** For crowds that no layered arrangement makes readable: rows of boxes, straight edges. */
function inRows(
  sizes: ReadonlyMap<string, { width: number; height: number }>,
  between: ReadonlyMap<string, unknown>,
): Arrangement {
  const columns = Math.ceil(Math.sqrt(sizes.size / 2));
  const cell = Math.max(...[...sizes.values()].map((size) => size.width)) + 30;
  const row = Math.max(...[...sizes.values()].map((size) => size.height)) + 40;
  const nodes = new Map(
    [...sizes].map(([id, size], i) => [id, { x: 10 + (i % columns) * cell, y: 10 + Math.floor(i / columns) * row, ...size }]),
  );
  const middle = (box: Box): Point => ({ x: box.x + box.width / 2, y: box.y + box.height / 2 });
  const edges = new Map(
    [...between.keys()].map((key) => {
      const [from, to] = key.split(" ").map((id) => middle(nodes.get(id)!)) as [Point, Point];
      return [key, { points: [from, to], label: { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 } }];
    }),
  );
  return { width: columns * cell, height: Math.ceil(sizes.size / columns) * row, nodes, edges };
}
