import type { JSX } from "preact";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { AddObject } from "./AddObject";
import type { Dsg } from "../dsg";
import type { PlanEditorProps } from "./contract";
import { FactForm, type FactTarget } from "./FactForm";
import { type Doc, emitted, open } from "./model/document";
import { PlanError } from "./model/rules";
import { SceneGraph } from "./SceneGraph";
import { type Act, initial, reduce, same, shown, type State } from "./state";
import { Timeline } from "./Timeline";
import { Toolbar } from "./Toolbar";
import "./plan.css";

const EMPTY: Doc = { prompt: "", ticks: 1, objects: [], rows: [], nextKey: 0 };

/** Plans that an editor gave out -> the state it was in: who comes back to one has its vetoes and its history still. */
const left = new WeakMap<object, State>();

function resumed(dsg: object): State | undefined {
  const state = left.get(dsg);
  return state && { ...state, draft: null, note: null, said: "", version: 0 };
}

function opened(dsg: unknown): { doc: Doc; broken: string | null } {
  try {
    return { doc: open(dsg), broken: null };
  } catch (error) {
    if (error instanceof PlanError) return { doc: EMPTY, broken: error.message };
    throw error;
  }
}

/** A plan to read and to edit; whatever `onChange` gets is valid. Another `dsg` than that (or a copy) begins anew. */
export function PlanEditor(props: PlanEditorProps): JSX.Element {
  const { dsg, onChange, onTick, readOnly = false, seconds } = props;
  const first = useMemo(() => opened(dsg), []);
  const [broken, setBroken] = useState(first.broken);
  const latest = useRef(resumed(dsg) ?? initial(first.doc));
  const [state, setState] = useState(latest.current);
  const [target, setTarget] = useState<FactTarget | "object" | null>(null);
  // What `dsg` may be without being another plan: the last one given out, and those before it while that one is awaited.
  const given = useRef<readonly Dsg[]>([dsg]);
  const doc = shown(state);
  const tick = Math.max(0, Math.min(doc.ticks - 1, Math.floor(props.tick)));

  const act: Act = useCallback((action) => {
    latest.current = reduce(latest.current, action);
    setState(latest.current);
    return latest.current;
  }, []);

  useEffect(() => {
    const own = given.current.findLast((each) => each === dsg || (broken === null && same(each, dsg)));
    if (own !== undefined) {
      if (own === given.current.at(-1)) given.current = [own];
      return;
    }
    given.current = [dsg];
    const next = opened(dsg);
    setBroken(next.broken);
    act({ do: "open", doc: next.doc });
  }, [dsg]);

  useEffect(() => {
    if (state.version === 0) return;
    const next = emitted(state.history.doc);
    given.current = [...given.current, next];
    left.set(next, state);
    onChange(next);
  }, [state.version]);

  const graph = useMemo(() => emitted(doc), [doc]);

  function onKeyDown(event: KeyboardEvent): void {
    if (readOnly || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    if (event.target instanceof HTMLInputElement) return; // text has an undo of its own
    const key = event.key.toLowerCase();
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    act({ do: key === "y" || event.shiftKey ? "redo" : "undo" });
  }

  if (broken !== null) {
    return (
      <p class="plan-broken" role="alert">
        This plan cannot be shown. {broken}
      </p>
    );
  }
  return (
    <section class="plan" aria-label="Plan" onKeyDown={onKeyDown}>
      {!readOnly && <Toolbar state={state} doc={doc} act={act} onAdd={setTarget} tick={tick} />}
      <div class="plan-body">
        <Timeline
          doc={doc}
          tick={tick}
          onTick={onTick}
          seconds={seconds}
          readOnly={readOnly}
          note={state.note}
          dragged={state.draft?.at ?? null}
          act={act}
          onEdit={setTarget}
        />
        <SceneGraph dsg={graph} tick={tick} seconds={seconds} />
      </div>
      <p class="plan-unseen" role="status" aria-live="polite">
        {state.said}
      </p>
      {target === "object" && <AddObject doc={doc} act={act} onClose={() => setTarget(null)} />}
      {target !== null && target !== "object" && (
        <FactForm doc={doc} target={target} scale={{ ticks: doc.ticks, seconds }} act={act} onClose={() => setTarget(null)} />
      )}
    </section>
  );
}
