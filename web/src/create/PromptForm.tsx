import type { JSX } from "preact";
import type { ApiError } from "../api/client";
import type { Options } from "../options";
import { Field } from "../parts/Field";
import { Notice } from "../parts/Notice";
import { EMPTY } from "../recipe";
import { formatRoute } from "../router";
import { useStore } from "../store";
import { change, clear, draft } from "./draft";
import { EXAMPLES } from "./examples";
import { FirstFrame } from "./FirstFrame";
import { Settings, settingsAreWrong } from "./Settings";

export function PromptForm(props: {
  options: Options | null;
  onPlan: () => void;
  onGenerate: () => void;
  busy: "plan" | "generate" | null;
  planUnderWay: boolean;
  error: ApiError | null;
}): JSX.Element {
  const form = useStore(draft);
  const { options, busy } = props;
  const ready = form.prompt.trim() !== "" && !settingsAreWrong(form) && busy === null;
  const remix = form.remixOf !== null;
  const submit = (event: Event): void => {
    event.preventDefault();
    if (ready) (form.dsg || form.planner === "" ? props.onGenerate : props.onPlan)();
  };
  return (
    <form class="card prompt-form" onSubmit={submit} aria-label="Prompt and settings">
      {remix && (
        <div class="remixing">
          <p>
            Remixing <a href={formatRoute({ view: "video", id: form.remixOf! })}>this video</a>, with its seed and settings.
          </p>
          <button type="button" class="quiet" onClick={() => change({ remixOf: null })}>
            Make a new video instead
          </button>
        </div>
      )}
      <Field label="Prompt" hint="Say who does what, and in which order. Ctrl+Enter plans.">
        {(ids) => (
          <textarea
            {...ids}
            class="prompt"
            rows={4}
            placeholder="A girl walks to the box, then she jumps over it while a dog runs to the left."
            value={form.prompt}
            onInput={(event) => change({ prompt: event.currentTarget.value })}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
            }}
          />
        )}
      </Field>
      {form.prompt.trim() === "" && (
        <div class="examples" role="group" aria-label="Examples">
          {EXAMPLES.map((text) => (
            <button key={text} type="button" class="example" onClick={() => change({ prompt: text })}>
              {text}
            </button>
          ))}
        </div>
      )}
      <fieldset class="plain">
        <legend class="spoken">Planner and model</legend>
        <div class="pair">
          <Field label="Planner">
            {(ids) => (
              <select
                {...ids}
                value={form.planner ?? options?.planners[0]?.id ?? ""}
                onChange={(event) => change({ planner: event.currentTarget.value })}
              >
                {known(options?.planners, form.planner).map((id) => (
                  <option key={id} value={id}>
                    {id}
                  </option>
                ))}
                <option value="">None (prompt alone)</option>
              </select>
            )}
          </Field>
          <Field label="Model">
            {(ids) => (
              <select
                {...ids}
                value={form.model ?? options?.models[0]?.id ?? ""}
                onChange={(event) => change({ model: event.currentTarget.value || null })}
              >
                {!options && <option value="">…</option>}
                {known(options?.models, form.model).map((id) => (
                  <option key={id} value={id}>
                    {id}
                  </option>
                ))}
              </select>
            )}
          </Field>
        </div>
        {options?.models.length === 0 && (
          <Notice tone="warn" title="The server has no video model.">
            Whoever runs it can import one: dysenvdm models import.
          </Notice>
        )}
        <details class="more">
          <summary>Settings</summary>
          <Settings model={options?.models.find((each) => each.id === form.model) ?? options?.models[0]} />
          <FirstFrame />
        </details>
      </fieldset>
      {props.error && <Notice tone="danger" title={props.error.message} />}
      <div class="row actions">
        <button
          type="button"
          class={form.dsg || form.planner === "" ? "" : "primary"}
          disabled={!ready || form.planner === "" || props.planUnderWay}
          onClick={props.onPlan}
        >
          {busy === "plan" || props.planUnderWay ? "Planning …" : form.dsg ? "Plan again" : "Plan"}
        </button>
        <button
          type="button"
          class={form.dsg || form.planner === "" ? "primary" : ""}
          disabled={!ready || props.planUnderWay}
          onClick={props.onGenerate}
        >
          {busy === "generate" ? "Sending …" : form.dsg ? "Generate from plan" : "Generate at once"}
        </button>
        {form !== EMPTY && (
          <button type="button" class="quiet push clear" onClick={clear}>
            Clear
          </button>
        )}
      </div>
    </form>
  );
}

/** The server's list, and what a loaded recipe names though the server does not offer it: it will say so itself. */
function known(offered: readonly { id: string }[] | undefined, chosen: string | null): string[] {
  const ids = (offered ?? []).map((each) => each.id);
  return chosen && !ids.includes(chosen) ? [...ids, chosen] : ids;
}
