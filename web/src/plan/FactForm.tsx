import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "../parts/Dialog";
import { Field } from "../parts/Field";
import { type Doc, objectOf, rowOf } from "./model/document";
import { addFact, changeFact, type FactDraft, type Field as Place, type Outcome } from "./model/edits";
import { endOf, startOf } from "./model/limits";
import { text } from "./model/types";
import { namesOf, type Scale, when } from "./model/words";
import type { Act } from "./state";

/** A fact that is there, or a new one: about that object, or from that tick on. */
export interface FactTarget {
  readonly key?: number;
  readonly subject?: string;
  readonly from?: number;
}

type Kind = "predicate" | "attribute";

/** Everything of a fact, in one window; what cannot be is said under the field that it is about. */
export function FactForm(props: { doc: Doc; target: FactTarget; scale: Scale; act: Act; onClose: () => void }): JSX.Element {
  const { doc, target, scale } = props;
  const old = target.key === undefined ? undefined : rowOf(doc, target.key)?.fact;
  const names = namesOf(doc.objects);
  const [subject, setSubject] = useState(old?.subject ?? target.subject ?? doc.objects[0]!.id);
  const [kind, setKind] = useState<Kind>(old?.attribute === undefined ? "predicate" : "attribute");
  const [words, setWords] = useState(old ? text(old) : "");
  const [object, setObject] = useState(old?.object ?? "");
  const there = objectOf(doc, subject);
  const [start, setStart] = useState(String(old?.start ?? Math.max(target.from ?? 0, there ? startOf(there) : 0)));
  const [end, setEnd] = useState(String(old?.end ?? (there ? endOf(there, doc.ticks) : doc.ticks)));
  const [refused, setRefused] = useState<Outcome & { refused: string } | null>(null);

  function submit(event: Event): void {
    event.preventDefault();
    const draft: FactDraft = {
      subject,
      [kind]: words,
      ...(kind === "predicate" && object !== "" && { object }),
      start: whole(start),
      end: whole(end),
    };
    const edit = (now: Doc) =>
      target.key === undefined ? addFact(now, draft, scale) : changeFact(now, target.key, draft, scale);
    const outcome = edit(doc);
    if (outcome.refused !== undefined) return setRefused(outcome);
    props.act({ do: "edit", at: "form", edit });
    props.onClose();
  }
  const error = (field: Place) => (refused?.field === field ? refused.refused : undefined);
  const typed = (set: (value: string) => void) => (event: { readonly currentTarget: HTMLInputElement | HTMLSelectElement }) => {
    set(event.currentTarget.value);
    setRefused(null);
  };
  const options = doc.objects.map((thing) => (
    <option key={thing.id} value={thing.id}>
      {names.get(thing.id)}
    </option>
  ));
  const tickHint = (value: string) =>
    scale.seconds !== undefined && whole(value) >= 0 ? when(whole(value), scale) : undefined;
  return (
    <Dialog title={old ? "Edit fact" : "Add fact"} onClose={props.onClose}>
      <form class="plan-form" onSubmit={submit} noValidate>
        <Field label="Who or what" error={error("subject")}>
          {(ids) => (
            <select {...ids} value={subject} onChange={typed(setSubject)}>
              {options}
            </select>
          )}
        </Field>
        <fieldset class="plan-kind">
          <legend>Kind of fact</legend>
          {(["predicate", "attribute"] as const).map((each) => (
            <label key={each}>
              <input type="radio" name="kind" checked={kind === each} onChange={() => setKind(each)} />
              {each === "predicate" ? "does, or stands to another" : "looks or is"}
            </label>
          ))}
        </fieldset>
        <Field
          label={kind === "predicate" ? "Does what" : "Is how"}
          hint={kind === "predicate" ? "for example: jump over" : "for example: in a red coat"}
          error={error("text")}
        >
          {(ids) => <input {...ids} type="text" autocomplete="off" autofocus value={words} onInput={typed(setWords)} />}
        </Field>
        {kind === "predicate" && (
          <Field label="To whom or what" error={error("object")}>
            {(ids) => (
              <select {...ids} value={object} onChange={typed(setObject)}>
                <option value="">nobody and nothing</option>
                {options}
              </select>
            )}
          </Field>
        )}
        <div class="plan-times">
          <Field label="From tick" hint={tickHint(start)} error={error("start")}>
            {(ids) => <input {...ids} type="text" inputMode="numeric" autocomplete="off" value={start} onInput={typed(setStart)} />}
          </Field>
          <Field label={`To tick (at most ${doc.ticks})`} hint={tickHint(end)} error={error("end")}>
            {(ids) => <input {...ids} type="text" inputMode="numeric" autocomplete="off" value={end} onInput={typed(setEnd)} />}
          </Field>
        </div>
        {refused && refused.field === undefined && <p class="plan-refused">{refused.refused}</p>}
        <p class="plan-unseen" role="alert">
          {refused?.refused}
        </p>
        <div class="plan-form-end">
          <button type="button" onClick={props.onClose}>
            Cancel
          </button>
          <button type="submit" class="primary">
            {old ? "Change" : "Add"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

const whole = (typed: string): number => (/^\s*\d+\s*$/.test(typed) ? Number(typed) : NaN);
