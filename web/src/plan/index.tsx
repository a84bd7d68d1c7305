// Stand-ins until the real components are merged.
import type { JSX } from "preact";
import type { PlanDiffProps, PlanEditorProps, PlanTrackProps } from "./contract";

export function PlanEditor({ dsg }: PlanEditorProps): JSX.Element {
  return <pre>{JSON.stringify(dsg, null, 1)}</pre>;
}
export function PlanTrack({ time }: PlanTrackProps): JSX.Element {
  return <p>{time}</p>;
}
export function PlanDiff({ before, after }: PlanDiffProps): JSX.Element {
  return <p>{before.facts.length - after.facts.length}</p>;
}
