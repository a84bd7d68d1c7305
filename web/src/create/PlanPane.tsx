import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { note } from "../announce";
import { api } from "../api/client";
import type { PlanJob } from "../api/types";
import { isFinal, type Followed } from "../follow";
import { Empty, Notice } from "../parts/Notice";
import { Progress } from "../parts/Progress";
import { PlanEditor } from "../plan";
import { planIsStale } from "../recipe";
import { useStore } from "../store";
import { change, draft, planJob } from "./draft";

/** The plan: none yet, being made, failed, or there to be edited. */
export function PlanPane(props: {
  planning: Followed<PlanJob>;
  planId: string | null;
  onPlanAgain: () => void;
  onGenerate: () => void;
  busy: boolean;
  /** How long the video will be. */
  seconds: number | undefined;
}): JSX.Element {
  const form = useStore(draft);
  const [tick, setTick] = useState(0);
  const { planning, planId, seconds } = props;
  const job = planning.job;

  if (planId && job?.status === "failed")
    return (
      <section class="card">
        <h2>Plan</h2>
        <Notice tone="danger" title="The planner failed.">
          {job.error?.message}
        </Notice>
        <div class="row">
          <button type="button" onClick={props.onPlanAgain} disabled={props.busy}>
            Try again
          </button>
          <button type="button" class="quiet" onClick={() => planJob.set(null)}>
            Dismiss
          </button>
        </div>
      </section>
    );
  if (planId && !(job && isFinal(job)))
    return (
      <section class="card">
        <h2>Plan</h2>
        <Progress
          label={job?.status === "in_progress" ? "Planning" : "Waiting for the planner"}
          detail={planning.doing ?? undefined}
          value={job?.progress || null}
          onCancel={() => {
            api.cancelPlan(planId).catch((error: Error) => note(error.message, "danger"));
            planJob.set(null);
          }}
        />
        <p class="hint">{job?.prompt ?? form.prompt}</p>
      </section>
    );
  if (!form.dsg)
    return (
      <section class="card">
        <Empty title="No plan yet">
          <p>
            Planning turns the prompt into events on a timeline. You can move, rename, delete and add them before the
            video is made.
          </p>
        </Empty>
      </section>
    );
  return (
    <section class="card">
      <div class="card-head">
        <h2>Plan</h2>
        {form.planned && <span class="tag">{form.planned.planner}</span>}
        <button type="button" class="quiet push" onClick={() => change({ dsg: null, planned: null })}>
          Discard
        </button>
      </div>
      {planIsStale(form) && (
        <Notice tone="warn" title="The prompt changed since this plan was made.">
          Plan again, or generate with the plan as it is.
        </Notice>
      )}
      <PlanEditor dsg={form.dsg} onChange={(dsg) => change({ dsg })} tick={tick} onTick={setTick} seconds={seconds} />
      <div class="row end">
        <button type="button" class="primary" onClick={props.onGenerate} disabled={props.busy || !form.prompt.trim()}>
          Generate from plan
        </button>
      </div>
    </section>
  );
}
