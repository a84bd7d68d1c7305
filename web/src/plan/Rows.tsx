import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { memo } from "./memo";
import { Bar } from "./Bar";
import type { FactTarget } from "./FactForm";
import { PlanIcon } from "./PlanIcon";
import type { Row } from "./model/document";
import { removeFact, removeObject, renameFact, renameObject, veto } from "./model/edits";
import { imagined, text } from "./model/types";
import { SAID_BY } from "./model/words";
import { type Act, type RowId, rowName, type State } from "./state";

const refusal = (state: State): string | null => state.note?.text ?? null;

interface Shared {
  ticks: number;
  seconds: number | undefined;
  readOnly: boolean;
  active: boolean;
  dragged: boolean;
  note: string | null;
  act: Act;
  onEdit: (target: FactTarget) => void;
  onTick: (tick: number) => void;
}

interface FactRowProps extends Shared {
  row: Row;
  /** What its subject and object are called; "" where there is none. */
  subject: string;
  object: string;
}

export const FactRow = memo(function FactRow(props: FactRowProps): JSX.Element {
  const { row, subject, object, active, readOnly, act } = props;
  const { fact, key, vetoed } = row;
  const [renaming, setRenaming] = useState(false);
  const said = text(fact);
  const told = [subject, said, object].filter(Boolean).join(" ");
  const id: RowId = { fact: key };
  const at = rowName(id);
  const scale = { ticks: props.ticks, seconds: props.seconds };
  const canVeto = imagined(fact) && !readOnly;
  const remove = () => act({ do: "edit", at, edit: (doc) => removeFact(doc, key) });
  const toggle = () => act({ do: "edit", at, edit: (doc) => veto(doc, [key], !vetoed) });

  function onKeyDown(event: KeyboardEvent): void {
    if (readOnly || renaming || event.altKey || event.ctrlKey || event.metaKey) return;
    const button = (event.target as HTMLElement).tagName === "BUTTON";
    if (event.key === "Delete") remove();
    else if (event.key === "v" && canVeto) toggle();
    else if (!vetoed && (event.key === "F2" || (event.key === "Enter" && !button))) setRenaming(true);
    else return;
    event.preventDefault();
  }
  return (
    <div
      role="row"
      class="plan-row plan-fact"
      data-row={at}
      data-source={fact.source}
      data-vetoed={vetoed}
      aria-label={vetoed ? `${told}, vetoed` : undefined}
      onKeyDown={onKeyDown}
    >
      <div role="rowheader" class="plan-side">
        <span class="plan-words">
          <Name
            value={said}
            label={`Rename ${told}`}
            fixed={readOnly || vetoed}
            active={active}
            renaming={renaming}
            onRenaming={setRenaming}
            onRename={(value) => refusal(act({ do: "edit", at: "name", edit: (doc) => renameFact(doc, key, value, scale) }))}
          />
          {object && <span class="plan-with">{object}</span>}
        </span>
        {!readOnly && (
          <span class="plan-actions">
            {!vetoed && (
              <ActButton name="edit" label={`Edit ${told}`} active={active} onClick={() => props.onEdit({ key })} />
            )}
            {canVeto && (
              <ActButton
                name={vetoed ? "back" : "veto"}
                label={vetoed ? `Bring back ${told}` : `Veto ${told}`}
                active={active}
                onClick={toggle}
              />
            )}
            {!imagined(fact) && <ActButton name="delete" label={`Delete ${told}`} active={active} onClick={remove} />}
          </span>
        )}
        <span class="plan-source">{vetoed ? "vetoed" : SAID_BY[fact.source]}</span>
      </div>
      <div role="gridcell" class="plan-lane">
        <Bar {...props} id={id} told={told} span={fact} scale={scale} fixed={readOnly || vetoed} />
      </div>
    </div>
  );
});

interface ObjectRowProps extends Shared {
  id: string;
  label: string;
  /** Its label, with the id where others have the same one. */
  name: string;
  start: number;
  end: number;
  facts: number;
  open: boolean;
  onToggle: (id: string, open: boolean) => void;
  /** Only vetoed facts mention it: it goes with them. */
  gone: boolean;
}

export const ObjectRow = memo(function ObjectRow(props: ObjectRowProps): JSX.Element {
  const { id, label, name, active, readOnly, act, gone } = props;
  const [renaming, setRenaming] = useState(false);
  const at = rowName({ object: id });
  const remove = () => act({ do: "edit", at, edit: (doc) => removeObject(doc, id) });

  function onKeyDown(event: KeyboardEvent): void {
    if (readOnly || renaming || event.altKey || event.ctrlKey || event.metaKey) return;
    const button = (event.target as HTMLElement).tagName === "BUTTON";
    if (event.key === "Delete") remove();
    else if (event.key === "F2" || (event.key === "Enter" && !button)) setRenaming(true);
    else return;
    event.preventDefault();
  }
  return (
    <div role="row" class="plan-row plan-thing" data-row={at} data-vetoed={gone} onKeyDown={onKeyDown}>
      <div role="rowheader" class="plan-side">
        <button
          type="button"
          class="plan-fold"
          data-part="fold"
          tabIndex={active ? 0 : -1}
          aria-expanded={props.open}
          aria-label={`Facts about ${name}`}
          disabled={props.facts === 0}
          onClick={() => props.onToggle(id, !props.open)}
        >
          <PlanIcon name={props.open ? "down" : "right"} />
        </button>
        <span class="plan-words">
          <Name
            value={label}
            label={`Rename ${name}`}
            fixed={readOnly}
            active={active}
            renaming={renaming}
            onRenaming={setRenaming}
            onRename={(value) => refusal(act({ do: "edit", at: "name", edit: (doc) => renameObject(doc, id, value) }))}
          />
          {name !== label && <span class="plan-id">{id}</span>}
          {gone && <span class="plan-source">vetoed</span>}
        </span>
        {!readOnly && (
          <span class="plan-actions">
            <ActButton
              name="add"
              label={`Add a fact about ${name}`}
              active={active}
              onClick={() => props.onEdit({ subject: id })}
            />
            <ActButton name="delete" label={`Delete ${name} and its facts`} active={active} onClick={remove} />
          </span>
        )}
      </div>
      <div role="gridcell" class="plan-lane">
        <Bar
          {...props}
          id={{ object: id }}
          told={`${name} is there`}
          span={props}
          scale={{ ticks: props.ticks, seconds: props.seconds }}
          fixed={readOnly}
        />
      </div>
    </div>
  );
});

function ActButton(props: { name: "edit" | "veto" | "back" | "delete" | "add"; label: string; active: boolean; onClick: () => void }): JSX.Element {
  return (
    <button
      type="button"
      class="plan-act"
      data-part={props.name === "back" ? "veto" : props.name}
      tabIndex={props.active ? 0 : -1}
      aria-label={props.label}
      title={props.label}
      onClick={props.onClick}
    >
      <PlanIcon name={props.name} />
    </button>
  );
}

/** A text that becomes a field when it is to be changed. What is refused is said under the field, which stays. */
function Name(props: {
  value: string;
  label: string;
  fixed: boolean;
  active: boolean;
  renaming: boolean;
  onRenaming: (renaming: boolean) => void;
  /** Gives back why not, or null. */
  onRename: (value: string) => string | null;
}): JSX.Element {
  const { renaming, value, label, onRenaming } = props;
  const field = useRef<HTMLInputElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const backToButton = useRef(false);
  const closing = useRef(false);
  const [refused, setRefused] = useState<string | null>(null);
  useLayoutEffect(() => {
    closing.current = false;
    setRefused(null);
    if (renaming) {
      field.current?.focus();
      field.current?.select();
    } else if (backToButton.current) button.current?.focus();
    backToButton.current = false;
  }, [renaming]);

  function close(focus: boolean): void {
    backToButton.current = focus;
    closing.current = true; // a field that is taken away is blurred too
    onRenaming(false);
  }
  function finish(focus: boolean): void {
    if (closing.current) return;
    const typed = field.current!.value;
    const why = typed === value ? null : props.onRename(typed);
    setRefused(why);
    if (why === null) close(focus);
  }
  if (props.fixed) return <span class="plan-name">{value}</span>;
  if (!renaming) {
    return (
      <button
        ref={button}
        type="button"
        class="plan-name"
        data-part="name"
        tabIndex={props.active ? 0 : -1}
        aria-label={label}
        title={label}
        onClick={() => onRenaming(true)}
      >
        {value}
      </button>
    );
  }
  return (
    <span class="plan-renaming">
      <input
        ref={field}
        data-part="name"
        aria-label={label}
        aria-invalid={refused !== null}
        defaultValue={value}
        autocomplete="off"
        onKeyDown={(event) => {
          if (event.key === "Enter") finish(true);
          else if (event.key === "Escape") close(true);
          else return;
          event.preventDefault();
          event.stopPropagation();
        }}
        onBlur={() => finish(false)}
      />
      {refused !== null && <span class="plan-refused">{refused}</span>}
    </span>
  );
}
