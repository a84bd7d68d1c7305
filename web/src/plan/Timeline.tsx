// Rows per object, under each its facts; bars over ticks. One row at a time is in the tab order (roving tabindex): up and
// down change the row, Tab goes through its parts, left and right move what is focused.

import type { JSX } from "preact";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { FactTarget } from "./FactForm";
import { type Doc, orphans } from "./model/document";
import { endOf, startOf } from "./model/limits";
import { namesOf } from "./model/words";
import { memo } from "./memo";
import { FactRow, ObjectRow } from "./Rows";
import { Ruler } from "./Ruler";
import type { Act, Note, RowId } from "./state";
import { rowName } from "./state";

export interface TimelineProps {
  doc: Doc;
  tick: number;
  onTick: (tick: number) => void;
  seconds: number | undefined;
  readOnly: boolean;
  note: Note | null;
  /** The row whose bar is being dragged. */
  dragged: string | null;
  act: Act;
  onEdit: (target: FactTarget) => void;
}

const ZOOMS = [1, 2, 4, 8];
const CROWD = 400; // more facts than this begin folded away under their objects

export const Timeline = memo(function Timeline(props: TimelineProps): JSX.Element {
  const { doc, tick, seconds, readOnly, note } = props;
  const names = useMemo(() => namesOf(doc.objects), [doc.objects]);
  const gone = useMemo(() => orphans(doc), [doc]);
  const [folded, setFolded] = useState<ReadonlyMap<string, boolean>>(new Map());
  const crowd = doc.rows.length > CROWD;
  const closed = useMemo(
    () => new Set(doc.objects.map((thing) => thing.id).filter((id) => folded.get(id) ?? crowd)),
    [doc.objects, folded, crowd],
  );
  const [active, setActive] = useState<string | null>(null);
  const [zoom, setZoom] = useState(1);
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => rowsOf(doc, closed), [doc, closed]);
  const current = rows.includes(active ?? "") ? active : (rows[0] ?? null);
  useFocusKept(scroller, rows, current);

  const toggle = useCallback((id: string, open: boolean) => setFolded((old) => new Map(old).set(id, !open)), []);

  function onKeyDown(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    if (target instanceof HTMLInputElement || event.altKey || event.ctrlKey || event.metaKey) return;
    const row = target.closest<HTMLElement>("[data-row]");
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!row || step === undefined) return;
    event.preventDefault();
    const next = rows[rows.indexOf(row.dataset.row!) + step];
    if (next) focusPart(scroller.current!, next, target.dataset.part ?? "whole");
  }

  useLayoutEffect(() => {
    // The cursor stays in sight, also when the picture is made wider.
    const box = scroller.current!;
    const cursor = box.querySelector<HTMLElement>(".plan-cursor")!.offsetLeft;
    const side = box.querySelector<HTMLElement>(".plan-side")!;
    const hidden = side.offsetWidth < box.clientWidth / 2 ? side.offsetWidth : 0; // on a phone it stands above the bars
    const [from, to] = [box.scrollLeft + hidden, box.scrollLeft + box.clientWidth - 24];
    if (cursor < from || cursor > to) box.scrollLeft = cursor - hidden - (box.clientWidth - hidden) / 2;
  }, [zoom, tick]);

  const shared = { ticks: doc.ticks, seconds, readOnly, act: props.act, onEdit: props.onEdit, onTick: props.onTick };
  return (
    <div class="plan-timeline">
      <div class="plan-scroll" ref={scroller} onKeyDown={onKeyDown}>
        <div class="plan-sheet" style={{ "--zoom": zoom, "--ticks": doc.ticks, "--tick": tick }}>
          <div class="plan-cursor" aria-hidden="true" />
          <div
            role="grid"
            aria-label={`Timeline of ${doc.ticks} ticks`}
            aria-readonly={readOnly}
            onFocusCapture={(event) => {
              const row = (event.target as HTMLElement).closest<HTMLElement>("[data-row]");
              if (row) setActive(row.dataset.row!);
            }}
          >
            <div role="row" class="plan-row plan-head">
              <div role="columnheader" class="plan-side">
                <span class="plan-unseen">Objects and facts</span>
                <Zoom zoom={zoom} onZoom={setZoom} />
              </div>
              <div role="columnheader" class="plan-lane">
                <Ruler ticks={doc.ticks} tick={tick} seconds={seconds} onTick={props.onTick} />
              </div>
            </div>
            {doc.objects.map((thing) => {
              const facts = doc.rows.filter((row) => row.fact.subject === thing.id);
              const name = rowName({ object: thing.id });
              return (
                <div role="rowgroup" key={thing.id} class="plan-object">
                  <ObjectRow
                    {...shared}
                    id={thing.id}
                    label={thing.label}
                    name={names.get(thing.id)!}
                    start={startOf(thing)}
                    end={endOf(thing, doc.ticks)}
                    facts={facts.length}
                    open={!closed.has(thing.id)}
                    onToggle={toggle}
                    gone={gone.has(thing.id)}
                    active={current === name}
                    dragged={props.dragged === name}
                    note={note?.at === name ? note.text : null}
                  />
                  {!closed.has(thing.id) &&
                    facts.map((row) => {
                      const at = rowName({ fact: row.key });
                      return (
                        <FactRow
                          {...shared}
                          key={row.key}
                          row={row}
                          subject={names.get(row.fact.subject)!}
                          object={row.fact.object === undefined ? "" : names.get(row.fact.object)!}
                          active={current === at}
                          dragged={props.dragged === at}
                          note={note?.at === at ? note.text : null}
                        />
                      );
                    })}
                </div>
              );
            })}
          </div>
        </div>
      </div>
      {doc.objects.length === 0 && <p class="plan-empty">Nothing is in this plan yet. Begin by adding an object.</p>}
      <Legend readOnly={readOnly} />
    </div>
  );
});

function rowsOf(doc: Doc, closed: ReadonlySet<string>): string[] {
  return doc.objects.flatMap((thing) => {
    const id: RowId = { object: thing.id };
    const facts = doc.rows.filter((row) => row.fact.subject === thing.id);
    return [rowName(id), ...(closed.has(thing.id) ? [] : facts.map((row) => rowName({ fact: row.key })))];
  });
}

/** The same part of that row, or its first one. */
function focusPart(root: HTMLElement, row: string, part: string): void {
  const element = root.querySelector<HTMLElement>(`[data-row="${row}"]`);
  const found = element?.querySelector<HTMLElement>(`[data-part="${part}"]`) ?? element?.querySelector<HTMLElement>("[data-part]");
  found?.focus();
  found?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** When the focused row goes away, the focus moves to the one that takes its place, not to the top of the page. */
function useFocusKept(root: { current: HTMLDivElement | null }, rows: readonly string[], current: string | null): void {
  const before = useRef({ rows, inside: false, row: current });
  useLayoutEffect(() => {
    const was = before.current;
    if (was.inside && was.row && !rows.includes(was.row) && !root.current!.contains(document.activeElement)) {
      const next = rows[Math.min(was.rows.indexOf(was.row), rows.length - 1)];
      if (next) focusPart(root.current!, next, "whole");
    }
    before.current = { ...before.current, rows };
  }, [rows]);
  useEffect(() => {
    const element = root.current!;
    const note = () => {
      const row = document.activeElement?.closest<HTMLElement>("[data-row]");
      before.current = { ...before.current, inside: !!row && element.contains(row), row: row?.dataset.row ?? null };
    };
    // A removed element takes the focus with it without a word, so that the last one told stays known.
    document.addEventListener("focusin", note);
    return () => document.removeEventListener("focusin", note);
  }, []);
}

function Zoom({ zoom, onZoom }: { zoom: number; onZoom: (zoom: number) => void }): JSX.Element {
  const at = ZOOMS.indexOf(zoom);
  return (
    <span class="plan-zoom" role="group" aria-label="Zoom">
      <button type="button" aria-label="Zoom out" disabled={at === 0} onClick={() => onZoom(ZOOMS[at - 1]!)}>
        −
      </button>
      <span aria-live="polite">{zoom}×</span>
      <button type="button" aria-label="Zoom in" disabled={at === ZOOMS.length - 1} onClick={() => onZoom(ZOOMS[at + 1]!)}>
        +
      </button>
    </span>
  );
}

function Legend({ readOnly }: { readOnly: boolean }): JSX.Element {
  return (
    <div class="plan-legend">
      <ul aria-label="Who said a fact">
        {(["prompt", "plan", "user", "imagined", "polished"] as const).map((source) => (
          <li key={source} data-source={source}>
            <span class="plan-swatch" aria-hidden="true" />
            {source === "user" ? "you" : source}
          </li>
        ))}
      </ul>
      {!readOnly && (
        <details>
          <summary>Keys</summary>
          <dl>
            <dt>↑ ↓</dt>
            <dd>another row</dd>
            <dt>Tab</dt>
            <dd>name, edit, delete, start, bar and end of a row</dd>
            <dt>← →</dt>
            <dd>move the bar, its start or its end by a tick; with Shift by ten</dd>
            <dt>Home End</dt>
            <dd>as far as it can go</dd>
            <dt>Enter, F2</dt>
            <dd>rename</dd>
            <dt>V</dt>
            <dd>veto an imagined fact, or bring it back</dd>
            <dt>Delete</dt>
            <dd>delete</dd>
            <dt>Ctrl Z, Ctrl Y</dt>
            <dd>undo, redo</dd>
            <dt>Esc</dt>
            <dd>give up dragging or renaming</dd>
          </dl>
        </details>
      )}
    </div>
  );
}
