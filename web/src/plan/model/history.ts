// Undo and redo, by keeping the plans: they share what is the same.

import type { Doc } from "./document";

interface Step {
  readonly doc: Doc;
  /** What the edit that led away from `doc` did. */
  readonly said: string;
}

export interface History {
  readonly doc: Doc;
  readonly past: readonly Step[];
  readonly future: readonly Step[];
}

const DEPTH = 300;

export const begin = (doc: Doc): History => ({ doc, past: [], future: [] });

/** `joined`: part of the edit before, such as the next step of a held key; undone with it. */
export function commit(history: History, doc: Doc, said: string, joined = false): History {
  if (doc === history.doc) return history;
  const past = joined && history.past.length > 0 ? history.past : [...history.past, { doc: history.doc, said }].slice(-DEPTH);
  return { doc, past, future: [] };
}

export function undo(history: History): History {
  const step = history.past.at(-1);
  if (!step) return history;
  const future = [{ doc: history.doc, said: step.said }, ...history.future];
  return { doc: step.doc, past: history.past.slice(0, -1), future };
}

export function redo(history: History): History {
  const [step, ...future] = history.future;
  if (!step) return history;
  return { doc: step.doc, past: [...history.past, { doc: history.doc, said: step.said }], future };
}
