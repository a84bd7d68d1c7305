import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "../parts/Dialog";
import { Field } from "../parts/Field";
import type { Doc } from "./model/document";
import { addObject } from "./model/edits";
import type { Act } from "./state";

export function AddObject({ doc, act, onClose }: { doc: Doc; act: Act; onClose: () => void }): JSX.Element {
  const [label, setLabel] = useState("");
  const [refused, setRefused] = useState<string | null>(null);
  function submit(event: Event): void {
    event.preventDefault();
    const outcome = addObject(doc, label);
    if (outcome.refused !== undefined) return setRefused(outcome.refused);
    act({ do: "edit", at: "form", edit: (now) => addObject(now, label) });
    onClose();
  }
  return (
    <Dialog title="Add object" onClose={onClose}>
      <form class="plan-form" onSubmit={submit} noValidate>
        <Field label="Person, animal or thing" hint="for example: dog" error={refused ?? undefined}>
          {(ids) => (
            <input
              {...ids}
              type="text"
              autocomplete="off"
              autofocus
              value={label}
              onInput={(event) => {
                setLabel(event.currentTarget.value);
                setRefused(null);
              }}
            />
          )}
        </Field>
        <p class="plan-unseen" role="alert">
          {refused}
        </p>
        <div class="plan-form-end">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Add
          </button>
        </div>
      </form>
    </Dialog>
  );
}
