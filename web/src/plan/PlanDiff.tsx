import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { PlanDiffProps } from "./contract";
import { type Change, diffPlans, same } from "./model/diff";
import { parse } from "./model/rules";
import type { Fact, SceneObject } from "./model/types";
import { briefly, count, namesOf, SAID_BY, type Scale, statement } from "./model/words";
import "./plan.css";

interface Side {
  readonly name: string;
  readonly names: ReadonlyMap<string, string>;
  readonly scale: Scale;
}

/** What two plans differ in: one line per fact or object, with the bars of both. */
export function PlanDiff(props: PlanDiffProps): JSX.Element {
  const { seconds } = props;
  const [first, second] = props.names ?? ["before", "after"];
  const before = useMemo(() => parse(props.before), [props.before]);
  const after = useMemo(() => parse(props.after), [props.after]);
  const difference = useMemo(() => diffPlans(before, after), [before, after]);
  const left: Side = { name: first, names: namesOf(before.objects), scale: { ticks: before.ticks, seconds } };
  const right: Side = { name: second, names: namesOf(after.objects), scale: { ticks: after.ticks, seconds } };
  if (same(difference)) return <p class="plan-same">The two plans are the same.</p>;
  const changes = difference.facts.length + difference.objects.length;
  return (
    <section class="plan-diff" aria-label={`What differs between ${first} and ${second}`}>
      <p class="plan-diff-sum">
        {changes > 0 ? count(changes, "difference") : "The same facts and objects"}
        {before.ticks !== after.ticks && `; ${first} has ${count(before.ticks, "tick")}, ${second} ${after.ticks}`}
      </p>
      <ul>
        {difference.objects.map((change) => (
          <ObjectChange key={(change.before ?? change.after)!.id} change={change} left={left} right={right} />
        ))}
        {difference.facts.map((change, i) => (
          <FactChange key={i} change={change} left={left} right={right} />
        ))}
      </ul>
    </section>
  );
}

const SIGN = { add: "+", remove: "−", change: "~" } as const;

function Sign({ op, left, right }: { op: keyof typeof SIGN; left: Side; right: Side }): JSX.Element {
  const words = { add: `only in ${right.name}`, remove: `only in ${left.name}`, change: "changed" }[op];
  return (
    <span class="plan-sign" data-op={op}>
      <span aria-hidden="true">{SIGN[op]}</span> {words}
    </span>
  );
}

function ObjectChange({ change, left, right }: { change: Change<SceneObject>; left: Side; right: Side }): JSX.Element {
  const name = (thing: SceneObject, side: Side) => side.names.get(thing.id)!;
  return (
    <li data-op={change.op}>
      <Sign op={change.op} left={left} right={right} />
      <div class="plan-diff-lines">
        {change.before && <Line words={name(change.before, left)} span={change.before} side={left} said="object" />}
        {change.after && <Line words={name(change.after, right)} span={change.after} side={right} said="object" />}
      </div>
    </li>
  );
}

function FactChange({ change, left, right }: { change: Change<Fact>; left: Side; right: Side }): JSX.Element {
  return (
    <li data-op={change.op}>
      <Sign op={change.op} left={left} right={right} />
      <div class="plan-diff-lines">
        {change.before && <FactLine fact={change.before} side={left} />}
        {change.after && <FactLine fact={change.after} side={right} />}
      </div>
    </li>
  );
}

const FactLine = ({ fact, side }: { fact: Fact; side: Side }): JSX.Element => (
  <Line words={statement(fact, side.names)} span={fact} side={side} said={SAID_BY[fact.source]} source={fact.source} />
);

function Line(props: {
  words: string;
  span: { readonly start?: number; readonly end?: number };
  side: Side;
  said: string;
  source?: string;
}): JSX.Element {
  const { side } = props;
  const { ticks } = side.scale;
  const span = { start: props.span.start ?? 0, end: props.span.end ?? ticks };
  return (
    <div class="plan-diff-line" data-source={props.source}>
      <span class="plan-diff-side">{side.name}</span>
      <span class="plan-diff-words">{props.words}</span>
      <span class="plan-source">{props.said}</span>
      <span class="plan-diff-when">{briefly(span, side.scale)}</span>
      <span class="plan-diff-lane" aria-hidden="true">
        <span
          class="plan-diff-bar"
          style={{ left: `${(span.start / ticks) * 100}%`, width: `${((span.end - span.start) / ticks) * 100}%` }}
        />
      </span>
    </div>
  );
}
