import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { api } from "../api/client";
import { useOptions } from "../options";
import { Field, NumberField } from "../parts/Field";
import { Notice } from "../parts/Notice";
import { newSeed } from "../recipe";
import { go } from "../router";

/** One prompt, two planners, one seed: two videos beside each other. */
export function MakePair(): JSX.Element {
  const options = useOptions();
  const [prompt, setPrompt] = useState("");
  const [planners, setPlanners] = useState<[string | null, string | null]>([null, null]);
  const [seed, setSeed] = useState<number | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const offered = [...(options?.planners.map((each) => each.id) ?? []), ""];
  const chosen = [planners[0] ?? offered[0] ?? "", planners[1] ?? offered[1] ?? ""] as const;

  const make = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const one = seed ?? newSeed();
      const ask = (planner: string) => api.generate({ prompt: prompt.trim(), planner: planner || null, seed: one });
      const left = await ask(chosen[0]);
      const right = await ask(chosen[1]);
      go({ view: "compare", left: left.id, right: right.id });
    } catch (caught) {
      setError((caught as Error).message);
      setBusy(false);
    }
  };
  const planner = (side: 0 | 1, label: string): JSX.Element => (
    <Field label={label}>
      {(ids) => (
        <select
          {...ids}
          value={chosen[side]}
          onChange={(event) => {
            const value = event.currentTarget.value;
            setPlanners((old) => (side === 0 ? [value, old[1]] : [old[0], value]));
          }}
        >
          {offered.map((id) => (
            <option key={id} value={id}>
              {id || "None (prompt alone)"}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
  return (
    <form class="card make-pair" onSubmit={make} aria-label="Make a pair">
      <h2>One prompt, two planners</h2>
      <Field label="Prompt">
        {(ids) => (
          <textarea {...ids} rows={2} value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)} />
        )}
      </Field>
      <div class="triple">
        {planner(0, "Left planner")}
        {planner(1, "Right planner")}
        <NumberField label="Seed of both" value={seed} onChange={setSeed} min={0} max={2 ** 53 - 1} usual="random" />
      </div>
      {error && <Notice tone="danger" title={error} />}
      <div class="row">
        <button type="submit" class="primary" disabled={busy || !prompt.trim() || !options}>
          {busy ? "Sending …" : "Generate both"}
        </button>
        <span class="hint">Or choose two finished videos below.</span>
      </div>
    </form>
  );
}
