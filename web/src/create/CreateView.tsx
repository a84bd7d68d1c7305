import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { say } from "../announce";
import { api, type ApiError } from "../api/client";
import { usePlan } from "../follow";
import { useOptions } from "../options";
import { Notice } from "../parts/Notice";
import { newSeed, toRequest } from "../recipe";
import { useStore } from "../store";
import { JobPane } from "../player/JobPane";
import { change, draft, firstFrame, planJob, videoJob } from "./draft";
import { PlanPane } from "./PlanPane";
import { PromptForm } from "./PromptForm";

/** Prompt, plan, video: from left to right, or from top to bottom on a phone. */
export function CreateView(): JSX.Element {
  const form = useStore(draft);
  const planId = useStore(planJob);
  const videoId = useStore(videoJob);
  const picture = useStore(firstFrame);
  const options = useOptions();
  const planning = usePlan(planId);
  const [busy, setBusy] = useState<"plan" | "generate" | null>(null);
  const [error, setError] = useState<ApiError | null>(null);

  useEffect(() => {
    const job = planning.job;
    if (job?.status !== "completed" || !job.dsg) return;
    change({ dsg: job.dsg, planned: { prompt: job.prompt, planner: job.planner, seed: job.seed } });
    planJob.set(null);
    say("The plan is ready.");
  }, [planning.job]);
  useEffect(() => {
    if (planning.error?.status === 404) planJob.set(null); // deleted meanwhile
  }, [planning.error]);

  const send = async (what: "plan" | "generate", act: () => Promise<void>): Promise<void> => {
    setBusy(what);
    setError(null);
    try {
      await act();
    } catch (caught) {
      setError(caught as ApiError);
    }
    setBusy(null);
  };

  const plan = (): Promise<void> =>
    send("plan", async () => {
      const planner = form.planner || options?.planners[0]?.id;
      const seed = form.seed ?? newSeed();
      const job = await api.plan({
        prompt: form.prompt.trim(),
        seed,
        ...(planner ? { planner } : {}),
        ...(form.ticks === null ? {} : { ticks: form.ticks }),
      });
      change({ dsg: null, planned: null });
      planJob.set(job.id);
      say("Planning has begun.");
    });

  const generate = (): Promise<void> =>
    send("generate", async () => {
      const seed = form.seed ?? form.planned?.seed ?? newSeed();
      const job = form.remixOf
        ? await api.remix(form.remixOf, toRequest(form, seed))
        : await api.generate(toRequest(form, seed), picture);
      videoJob.set(job.id);
      say("The video is in the queue.");
    });

  const model = options?.models.find((each) => each.id === form.model) ?? options?.models[0];
  const frames = form.frames ?? model?.num_frames;
  const fps = form.fps ?? model?.fps;
  const planUnderWay = planId !== null && planning.job?.status !== "failed" && planning.job?.status !== "cancelled";
  return (
    <div class="create">
      <h1 class="spoken">Create a video</h1>
      <PromptForm
        options={options}
        onPlan={plan}
        onGenerate={generate}
        busy={busy}
        planUnderWay={planUnderWay}
        error={error}
      />
      <div class="results">
        {videoId && (
          <section class="card" aria-label="Video">
            <JobPane id={videoId} onGone={() => videoJob.set(null)} />
          </section>
        )}
        <PlanPane
          planning={planning}
          planId={planId}
          onPlanAgain={plan}
          onGenerate={generate}
          busy={busy !== null}
          seconds={frames && fps ? frames / fps : undefined}
        />
        {picture && form.remixOf && (
          <Notice tone="info">A remix keeps the first frame of its original; the picture chosen here is not sent.</Notice>
        )}
      </div>
    </div>
  );
}
