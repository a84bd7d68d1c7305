/** The form as it stands, remembered over reloads together with the jobs that it started. */
import { createStore, remembered } from "../store";
import { EMPTY, restoreDraft, type Draft } from "../recipe";

export const draft = createStore<Draft>(restoreDraft(remembered.read("draft")));
/** The plan being made, and the video made last; null: none. */
export const planJob = createStore<string | null>(idOf(remembered.read("plan-job")));
export const videoJob = createStore<string | null>(idOf(remembered.read("video-job")));
/** A picture cannot be remembered: it is gone after a reload. */
export const firstFrame = createStore<File | null>(null);

let timer: ReturnType<typeof setTimeout> | undefined;
const write = (): void => remembered.write("draft", draft.get());
draft.watch(() => {
  clearTimeout(timer);
  timer = setTimeout(write, 300);
});
addEventListener("pagehide", write);
planJob.watch((id) => remembered.write("plan-job", id));
videoJob.watch((id) => remembered.write("video-job", id));

function idOf(saved: unknown): string | null {
  return typeof saved === "string" ? saved : null;
}

export function change(part: Partial<Draft>): void {
  draft.set((old) => ({ ...old, ...part }));
}

export function load(next: Draft): void {
  planJob.set(null);
  videoJob.set(null);
  firstFrame.set(null);
  draft.set(next);
}

export function clear(): void {
  load(EMPTY);
}
