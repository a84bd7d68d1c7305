import type { JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import type { FactTarget } from "./FactForm";
import { type Doc, vetoable } from "./model/document";
import { changeTicks, vetoAll } from "./model/edits";
import { MAX_TICKS } from "./model/types";
import type { Act, State } from "./state";

export function Toolbar(props: {
  state: State;
  doc: Doc;
  tick: number;
  act: Act;
  onAdd: (target: FactTarget | "object") => void;
}): JSX.Element {
  const { state, doc, act, onAdd } = props;
  const imagined = vetoable(doc);
  const vetoed = imagined.filter((row) => row.vetoed).length;
  return (
    <div class="plan-toolbar" role="group" aria-label="Edit the plan">
      <div class="plan-group">
        <button type="button" disabled={state.history.past.length === 0} onClick={() => act({ do: "undo" })}>
          Undo
        </button>
        <button type="button" disabled={state.history.future.length === 0} onClick={() => act({ do: "redo" })}>
          Redo
        </button>
      </div>
      <div class="plan-group">
        <button type="button" disabled={doc.objects.length === 0} onClick={() => onAdd({ from: props.tick })}>
          Add fact
        </button>
        <button type="button" onClick={() => onAdd("object")}>
          Add object
        </button>
      </div>
      {imagined.length > 0 && (
        <div class="plan-group">
          <button
            type="button"
            disabled={vetoed === imagined.length}
            onClick={() => act({ do: "edit", at: "toolbar", edit: (now) => vetoAll(now, true) })}
          >
            Veto all imagined ({imagined.length - vetoed})
          </button>
          {vetoed > 0 && (
            <button type="button" onClick={() => act({ do: "edit", at: "toolbar", edit: (now) => vetoAll(now, false) })}>
              Bring back ({vetoed})
            </button>
          )}
        </div>
      )}
      <Ticks {...props} />
      {state.note?.at === "toolbar" && <p class="plan-refused">{state.note.text}</p>}
    </div>
  );
}

/** The number of ticks: how finely the plan tells times. */
function Ticks({ doc, state, act }: { doc: Doc; state: State; act: Act }): JSX.Element {
  const id = useId();
  const [typed, setTyped] = useState(String(doc.ticks));
  useEffect(() => setTyped(String(doc.ticks)), [doc.ticks]);
  const refused = state.note?.at === "ticks" ? state.note.text : null;
  const commit = () => act({ do: "edit", at: "ticks", edit: (now) => changeTicks(now, Number(typed || "0")) });
  return (
    <div class="plan-group plan-ticks">
      <label for={id}>Ticks</label>
      <input
        id={id}
        type="text"
        inputMode="numeric"
        autocomplete="off"
        value={typed}
        aria-invalid={refused !== null}
        aria-describedby={refused === null ? `${id}-hint` : `${id}-refused`}
        onInput={(event) => setTyped(event.currentTarget.value)}
        onChange={commit}
        onKeyDown={(event) => event.key === "Enter" && commit()}
        title={`How finely the plan tells times, 1 to ${MAX_TICKS}; times stay where they are`}
      />
      <span id={`${id}-hint`} class="plan-unseen">
        How finely the plan tells times; times stay where they are.
      </span>
      {refused !== null && (
        <p id={`${id}-refused`} class="plan-refused">
          {refused}
        </p>
      )}
    </div>
  );
}
