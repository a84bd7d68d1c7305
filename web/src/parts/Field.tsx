import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";

/** A label above a control; `hint` and `error` are read out with it. */
export function Field(props: {
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
  children: (ids: { id: string; "aria-describedby": string | undefined; "aria-invalid": boolean }) => ComponentChildren;
}): JSX.Element {
  const id = useId();
  const told = props.error ?? props.hint;
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      {props.children({ id, "aria-describedby": told ? `${id}-told` : undefined, "aria-invalid": !!props.error })}
      {told && (
        <p id={`${id}-told`} class={props.error ? "hint error" : "hint"}>
          {told}
        </p>
      )}
    </div>
  );
}

/** A number that may be left empty: then the server's default, shown in grey, holds. */
export function NumberField(props: {
  label: string;
  value: number | null;
  onChange: (value: number | null) => void;
  min: number;
  max: number;
  step?: number;
  usual?: number | string | undefined;
  hint?: string | undefined;
}): JSX.Element {
  // The text as typed, so that "1." or "-" is not rewritten under the person's fingers.
  const [text, setText] = useState(props.value === null ? "" : String(props.value));
  useEffect(() => {
    setText((old) => (readNumber(old) === props.value ? old : props.value === null ? "" : String(props.value)));
  }, [props.value]);
  const typed = readNumber(text);
  const whole = Number.isInteger(props.step ?? 1);
  const wrong =
    text.trim() === ""
      ? undefined
      : typed === null || (whole && !Number.isInteger(typed)) || typed < props.min || typed > props.max
        ? `${whole ? "A whole number" : "A number"} from ${props.min} to ${props.max}`
        : undefined;
  return (
    <Field label={props.label} hint={props.hint} error={wrong}>
      {(ids) => (
        <input
          {...ids}
          type="text"
          inputMode={whole ? "numeric" : "decimal"}
          autocomplete="off"
          placeholder={props.usual === undefined ? "default" : String(props.usual)}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            props.onChange(readNumber(event.currentTarget.value));
          }}
        />
      )}
    </Field>
  );
}

export function readNumber(text: string): number | null {
  const trimmed = text.trim().replace(",", ".");
  const value = Number(trimmed);
  return trimmed === "" || !Number.isFinite(value) ? null : value;
}
