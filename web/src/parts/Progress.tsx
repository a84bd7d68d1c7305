import type { JSX } from "preact";
import { useId } from "preact/hooks";

/** `value` in per cent; null: nobody can say yet. */
export function Progress(props: {
  label: string;
  detail?: string | undefined;
  value: number | null;
  onCancel?: (() => void) | undefined;
}): JSX.Element {
  const id = useId();
  const percent = props.value === null ? undefined : Math.round(props.value);
  return (
    <div class="progress">
      <div class="row">
        <span id={id}>{props.label}</span>
        {props.detail && <span class="hint">{props.detail}</span>}
        <span class="push number">{percent === undefined ? "" : `${percent} %`}</span>
        {props.onCancel && (
          <button type="button" class="quiet" onClick={props.onCancel}>
            Cancel
          </button>
        )}
      </div>
      <progress aria-labelledby={id} max={100} {...(percent === undefined ? {} : { value: percent })} />
    </div>
  );
}
