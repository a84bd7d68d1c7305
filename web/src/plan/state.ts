// The editor's state: the plan with its history, what is being dragged, and what there is to say.

import type { Dsg } from "../dsg";
import { type Doc, emitted, objectOf, open, rowOf } from "./model/document";
import { changeFact, changePresence, type Field, type Outcome } from "./model/edits";
import { begin, commit, type History, redo, undo } from "./model/history";
import { clamp, endOf, factLimits, type Part, presenceLimits, type Span, startOf } from "./model/limits";
import type { Scale } from "./model/words";

/** A row of the timeline: a fact by its key, or an object by its id. */
export type RowId = { readonly fact: number } | { readonly object: string };

export const rowName = (id: RowId): string => ("fact" in id ? `fact-${id.fact}` : `object-${id.object}`);

export const sameRow = (a: RowId | null, b: RowId | null): boolean => a && b ? rowName(a) === rowName(b) : a === b;

/** Why something was not done, and where to say it. */
export interface Note {
  readonly at: string;
  readonly text: string;
  readonly field?: Field | undefined;
}

export interface State {
  readonly history: History;
  /** The plan as it would be if the pointer were let go now. */
  readonly draft: { readonly doc: Doc; readonly said: string; readonly at: string } | null;
  readonly note: Note | null;
  readonly said: string;
  /** Grows with every change that the person made; 0 for a plan as it came. */
  readonly version: number;
}

export type Action =
  | { readonly do: "open"; readonly doc: Doc }
  | { readonly do: "edit"; readonly at: string; readonly edit: (doc: Doc) => Outcome; readonly quiet?: boolean }
  | { readonly do: "drag"; readonly at: RowId; readonly part: Part; readonly to: Span; readonly seconds: number | undefined }
  | {
      readonly do: "nudge";
      readonly at: RowId;
      readonly part: Part;
      readonly by: number;
      readonly seconds: number | undefined;
      readonly joined: boolean;
    }
  | { readonly do: "drop" | "cancel" | "undo" | "redo" | "hush" };

/** Does it at once and gives back the state after it. */
export type Act = (action: Action) => State;

export const initial = (doc: Doc): State => ({ history: begin(doc), draft: null, note: null, said: "", version: 0 });

export const shown = (state: State): Doc => state.draft?.doc ?? state.history.doc;

export function spanOf(doc: Doc, id: RowId): Span {
  if ("fact" in id) return rowOf(doc, id.fact)!.fact;
  const thing = objectOf(doc, id.object)!;
  return { start: startOf(thing), end: endOf(thing, doc.ticks) };
}

/** The plan with the bar as near to `wanted` as the rules allow, and what stopped it. */
function moved(doc: Doc, id: RowId, part: Part, wanted: Span, scale: Scale): { outcome: Outcome; why: string | null } {
  const limits = "fact" in id ? factLimits(doc, id.fact, scale) : presenceLimits(doc, id.object, scale);
  const { span, why } = clamp(wanted, part, limits);
  if ("object" in id) return { outcome: changePresence(doc, id.object, span.start, span.end, scale), why };
  return { outcome: changeFact(doc, id.fact, { ...rowOf(doc, id.fact)!.fact, ...span }, scale), why };
}

export function reduce(state: State, action: Action): State {
  const { history } = state;
  switch (action.do) {
    case "open":
      return initial(action.doc);
    case "edit":
      return settled(state, action.at, action.edit(history.doc), false, action.quiet ?? false);
    case "drag": {
      const scale = { ticks: history.doc.ticks, seconds: action.seconds };
      const { outcome, why } = moved(history.doc, action.at, action.part, action.to, scale);
      const at = rowName(action.at);
      if (outcome.refused !== undefined) return { ...state, note: { at, text: outcome.refused } };
      return { ...state, draft: { doc: outcome.doc, said: outcome.said, at }, note: why ? { at, text: why } : null };
    }
    case "nudge": {
      const { start, end } = spanOf(history.doc, action.at);
      const to = {
        start: action.part === "end" ? start : start + action.by,
        end: action.part === "start" ? end : end + action.by,
      };
      const scale = { ticks: history.doc.ticks, seconds: action.seconds };
      const { outcome, why } = moved(history.doc, action.at, action.part, to, scale);
      // What moved is read out as the slider's value; only what stopped it is to be said.
      const next = settled(state, rowName(action.at), outcome, action.joined, true);
      return why && next.note === null ? { ...next, note: { at: rowName(action.at), text: why }, said: why } : next;
    }
    case "drop":
      if (!state.draft) return state;
      return settled({ ...state, draft: null }, state.draft.at, state.draft, false, false);
    case "cancel":
      return { ...state, draft: null, note: null };
    case "undo":
    case "redo": {
      const next = action.do === "undo" ? undo(history) : redo(history);
      if (next === history) return { ...state, said: `Nothing to ${action.do}` };
      const step = action.do === "undo" ? next.future[0] : next.past.at(-1);
      const said = `${action.do === "undo" ? "Undone" : "Done again"}: ${step!.said}`;
      return { history: next, draft: null, note: null, said, version: state.version + 1 };
    }
    case "hush":
      return state.note ? { ...state, note: null } : state;
  }
}

function settled(state: State, at: string, outcome: Outcome | { doc: Doc; said: string }, joined: boolean, quiet: boolean): State {
  if ("refused" in outcome && outcome.refused !== undefined) {
    return { ...state, draft: null, note: { at, text: outcome.refused, field: outcome.field }, said: outcome.refused };
  }
  const { doc, said } = outcome as { doc: Doc; said: string };
  if (doc === state.history.doc) return { ...state, draft: null, note: null };
  const history = commit(state.history, doc, said, joined);
  return { history, draft: null, note: null, said: quiet ? "" : said, version: state.version + 1 };
}

/** Whether two plans are read as the same one: the page may give back a copy of what it was told. */
export function same(one: Dsg, other: Dsg): boolean {
  try {
    return JSON.stringify(emitted(open(one))) === JSON.stringify(emitted(open(other)));
  } catch {
    return false;
  }
}
