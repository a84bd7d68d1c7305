import type { JSX } from "preact";
import { useId, useMemo } from "preact/hooks";
import { memo } from "./memo";
import { arrange, type Box, edgeKey, LINE, type Point, shortened, spread, widthOf } from "./model/arrangement";
import { active, type Dsg, type Fact, imagined, present, text } from "./model/types";
import { count, namesOf, statement, when } from "./model/words";

interface SceneGraphProps {
  dsg: Dsg;
  tick: number;
  seconds: number | undefined;
}

/** The scene graph of one tick. What was imagined is grey and dashed. */
export const SceneGraph = memo(function SceneGraph(props: SceneGraphProps): JSX.Element {
  const { dsg, tick } = props;
  const scale = { ticks: dsg.ticks, seconds: props.seconds };
  const arrangement = useMemo(() => arrange(dsg), [dsg]);
  const names = useMemo(() => namesOf(dsg.objects), [dsg]);
  const facts = dsg.facts.filter((fact) => active(fact, tick));
  const things = dsg.objects.filter((thing) => present(thing, tick));
  const relations = new Map<string, Fact[]>();
  for (const fact of facts) {
    if (fact.object === undefined) continue;
    const key = edgeKey(fact.subject, fact.object);
    relations.set(key, [...(relations.get(key) ?? []), fact]);
  }
  const labels = spread(
    [...relations].map(([key, along]) => ({
      key,
      ...arrangement.edges.get(key)!.label,
      width: widthOf(along.map(text)),
      height: along.length * LINE,
    })),
  );
  const arrow = useId();
  const title = `Scene at ${when(tick, scale)}`;
  const told = facts.map((fact) => statement(fact, names) + (imagined(fact) ? " (imagined)" : ""));
  return (
    <figure class="plan-graph">
      <figcaption>
        {title}
        <span>
          {count(things.length, "object")}, {count(facts.length, "fact")}
        </span>
      </figcaption>
      <div class="plan-graph-scroll" role="region" aria-label={title} tabIndex={0}>
        <svg
          viewBox={`0 0 ${arrangement.width} ${arrangement.height}`}
          style={{ "--width": `${arrangement.width}px` }}
          role="img"
          aria-label={`${title}: ${told.join("; ") || "nothing"}`}
        >
          <defs>
            {["stated", "imagined"].map((kind) => (
              <marker key={kind} id={`${arrow}${kind}`} class={`plan-arrow plan-${kind}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto-start-reverse">
                <path d="M0 0L8 4L0 8z" />
              </marker>
            ))}
          </defs>
          {[...relations].map(([key, along]) => (
            <Edge key={key} points={arrangement.edges.get(key)!.points} label={labels.get(key)!} facts={along} arrow={arrow} />
          ))}
          {things.map((thing) => (
            <Node
              key={thing.id}
              label={names.get(thing.id)!}
              box={arrangement.nodes.get(thing.id)!}
              facts={facts.filter((fact) => fact.subject === thing.id && fact.object === undefined)}
            />
          ))}
        </svg>
      </div>
    </figure>
  );
});

const kindOf = (facts: readonly Fact[]): string => (facts.every(imagined) ? "imagined" : "stated");

function Edge(props: { points: readonly Point[]; label: Point; facts: readonly Fact[]; arrow: string }): JSX.Element {
  const { label, facts, arrow } = props;
  const kind = kindOf(facts);
  const top = label.y - ((facts.length - 1) * LINE) / 2;
  return (
    <g class={`plan-edge plan-${kind}`}>
      <path d={curve(props.points)} marker-end={`url(#${arrow}${kind})`} />
      {facts.map((fact, i) => (
        <text key={text(fact)} x={label.x} y={top + i * LINE} class={`plan-${kindOf([fact])}`}>
          <title>{text(fact)}</title>
          {shortened(text(fact))}
        </text>
      ))}
    </g>
  );
}

function Node(props: { label: string; box: Box; facts: readonly Fact[] }): JSX.Element {
  const { label, box, facts } = props;
  return (
    <g class="plan-node" transform={`translate(${box.x} ${box.y})`}>
      <rect width={box.width} height={box.height} rx="8" />
      <text x={box.width / 2} y={facts.length > 0 ? 16 : box.height / 2} class="plan-node-name">
        <title>{label}</title>
        {shortened(label)}
      </text>
      {facts.length > 0 && <line x1="0" x2={box.width} y1="29" y2="29" />}
      {facts.map((fact, i) => (
        <text key={`${text(fact)} ${fact.attribute}`} x={box.width / 2} y={41 + i * LINE} class={`plan-${kindOf([fact])}`}>
          <title>{text(fact)}</title>
          {fact.predicate !== undefined && "▸ "}
          {shortened(text(fact))}
        </text>
      ))}
    </g>
  );
}

/** A smooth way along the points. */
function curve(points: readonly Point[]): string {
  const [first, ...rest] = points;
  if (!first) return "";
  const last = rest.at(-1) ?? first;
  const bends = rest.slice(0, -1).map((point, i) => {
    const next = rest[i + 1]!;
    const end = i === rest.length - 2 ? next : { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 };
    return `Q${point.x} ${point.y} ${end.x} ${end.y}`;
  });
  return `M${first.x} ${first.y}${bends.join("") || `L${last.x} ${last.y}`}`;
}
