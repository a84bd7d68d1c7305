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
const FEW = 24; // objects that are tried in layers
const [WIDEST, HIGHEST] = [520, 640]; // pixels; beyond them layers are no help

export const edgeKey = (from: string, to: string): string => `${from} ${to}`; // ids hold no spaces

export const shortened = (label: string): string => {
  const letters = [...label];
  return letters.length <= LONGEST ? label : `${letters.slice(0, LONGEST - 1).join("")}…`;
};

export const widthOf = (labels: readonly string[]): number =>
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
  if (dsg.objects.length === 0) return { width: 1, height: 1, nodes: new Map(), edges: new Map() };
  const keys = [...between.keys()];
  if (dsg.objects.length > FEW) return ring(sizes, keys);
  const layers = layered(sizes, between);
  return layers.width > WIDEST || layers.height > HIGHEST ? ring(sizes, keys) : layers;
}

type Sizes = ReadonlyMap<string, { readonly width: number; readonly height: number }>;

/** Subjects above what they act on: the clearest picture while it fits beside the timeline. */
function layered(sizes: Sizes, between: ReadonlyMap<string, readonly Fact[]>): Arrangement {
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

/**
 * For crowds: objects around an open middle through which all relations go, so that none crosses an object. Objects
 * that have to do with each other come near each other.
 */
function ring(sizes: Sizes, keys: readonly string[]): Arrangement {
  const order = related([...sizes.keys()], keys);
  const cell = Math.max(...[...sizes.values()].map((size) => size.width));
  const step = Math.max(...[...sizes.values()].map((size) => size.height)) + 16;
  const perSide = Math.ceil(order.length / 2);
  const width = 2 * cell + 170;
  const height = perSide * step;
  const nodes = new Map(
    order.map((id, i) => {
      const size = sizes.get(id)!;
      const left = i >= perSide;
      const place = left ? order.length - 1 - i : i; // down the right side, up the left one
      const bulge = 60 * (1 - Math.sqrt(1 - ((2 * place + 1) / perSide - 1) ** 2));
      const x = left ? cell / 2 + bulge : width - cell / 2 - bulge;
      return [id, { x: x - size.width / 2 + 8, y: place * step + (step - size.height) / 2 + 8, ...size }];
    }),
  );
  const edges = new Map(keys.map((key) => [key, throughMiddle(key, nodes, width / 2 + 8)]));
  return { width: width + 16, height: height + 16, nodes, edges };
}

/** Each object is followed by one that it has most to do with. */
function related(ids: readonly string[], keys: readonly string[]): string[] {
  const ties = (a: string, b: string) => Number(keys.includes(edgeKey(a, b))) + Number(keys.includes(edgeKey(b, a)));
  const rest = [...ids];
  const order = rest.splice(0, 1);
  while (rest.length > 0) {
    const strength = rest.map((id) => ties(order.at(-1)!, id));
    order.push(...rest.splice(strength.indexOf(Math.max(...strength)), 1));
  }
  return order;
}

function throughMiddle(key: string, nodes: ReadonlyMap<string, Box>, middle: number): { points: Point[]; label: Point } {
  const [from, to] = key.split(" ").map((id) => nodes.get(id)!) as [Box, Box];
  const [a, b] = [centre(from), centre(to)];
  const bend = { x: middle + ((a.x + b.x) / 2 - middle) * 0.2, y: (a.y + b.y) / 2 };
  const [start, end] = [border(from, bend), border(to, bend)];
  const along = 0.45;
  const at = (p: number, q: number, r: number) => (1 - along) ** 2 * p + 2 * along * (1 - along) * q + along ** 2 * r;
  return { points: [start, bend, end], label: { x: at(start.x, bend.x, end.x), y: at(start.y, bend.y, end.y) } };
}

const centre = (box: Box): Point => ({ x: box.x + box.width / 2, y: box.y + box.height / 2 });

/** Where the line from the middle of the box to the point leaves the box. */
function border(box: Box, to: Point): Point {
  const { x, y } = centre(box);
  const [dx, dy] = [to.x - x, to.y - y];
  const part = Math.min(1, box.width / 2 / Math.max(Math.abs(dx), 1e-6), box.height / 2 / Math.max(Math.abs(dy), 1e-6));
  return { x: x + dx * part, y: y + dy * part };
}

/** Where labels go that stand at one tick: down from others that they would hide. */
export function spread(labels: readonly (Box & { readonly key: string })[]): ReadonlyMap<string, Point> {
  const placed: Box[] = [];
  const places = new Map<string, Point>();
  for (const { key, ...box } of labels.toSorted((a, b) => a.y - b.y || a.x - b.x)) {
    let y = box.y;
    const hides = (other: Box) =>
      Math.abs(other.x - box.x) < (other.width + box.width) / 2 && Math.abs(other.y - y) < (other.height + box.height) / 2;
    for (let other = placed.find(hides); other; other = placed.find(hides)) y = other.y + (other.height + box.height) / 2;
    placed.push({ ...box, y });
    places.set(key, { x: box.x, y });
  }
  return places;
}
