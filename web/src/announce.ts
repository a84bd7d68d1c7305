/** What screen readers are told, and short notes that everybody sees. */
import { createStore } from "./store";

export interface Note {
  key: number;
  text: string;
  tone: "ok" | "danger";
}

/** Spoken without being shown; drawn once into the live region of the shell. */
export const spoken = createStore("");
export const notes = createStore<Note[]>([]);

let last = 0;

export function say(text: string): void {
  spoken.set(text);
}

export function note(text: string, tone: Note["tone"] = "ok"): void {
  const key = ++last;
  notes.set((old) => [...old.slice(-2), { key, text, tone }]);
  setTimeout(() => dismiss(key), tone === "danger" ? 12000 : 5000);
}

export function dismiss(key: number): void {
  notes.set((old) => old.filter((each) => each.key !== key));
}
