import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { Field } from "../parts/Field";
import { Picture } from "../parts/Picture";
import { useStore } from "../store";
import { firstFrame } from "./draft";

const TYPES = ["image/png", "image/jpeg", "image/webp"];

export function FirstFrame(): JSX.Element {
  const file = useStore(firstFrame);
  const input = useRef<HTMLInputElement>(null);
  const [error, setError] = useState<string>();
  const choose = (chosen: File | undefined): void => {
    setError(undefined);
    if (chosen && !TYPES.includes(chosen.type)) {
      setError("Choose a PNG, JPEG or WebP picture.");
      input.current!.value = "";
      return;
    }
    firstFrame.set(chosen ?? null);
  };
  return (
    <div class="first-frame">
      <Field label="First frame" hint="A picture that the video begins with." error={error}>
        {(ids) => (
          <input
            {...ids}
            ref={input}
            type="file"
            accept={TYPES.join(",")}
            onChange={(event) => choose(event.currentTarget.files?.[0])}
          />
        )}
      </Field>
      {file && (
        <div class="row">
          <Picture blob={file} label={`First frame: ${file.name}`} class="first-frame-picture" />
          <button
            type="button"
            class="quiet"
            onClick={() => {
              input.current!.value = "";
              choose(undefined);
            }}
          >
            Remove
          </button>
        </div>
      )}
    </div>
  );
}
