/** A job's events, live: reconnects by itself, and goes on after the last event that came. */
import { eventsAddress } from "./client";

export interface JobEvent {
  kind: string;
  number: number;
  /** Of the job, in per cent. */
  progress: number;
  /** What the worker said. */
  data: Record<string, unknown>;
}

const FINAL = ["completed", "failed", "cancelled", "deleted"];
const KINDS = ["queued", "claimed", "stage", "step", "preview", "requeued", ...FINAL];

/** Calls back until the job is done or the returned function is called. `onLost` when the stream breaks for good. */
export function followEvents(
  kind: "plans" | "videos",
  id: string,
  onEvent: (event: JobEvent) => void,
  onLost: () => void,
): () => void {
  const source = new EventSource(eventsAddress(kind, id));
  for (const name of KINDS)
    source.addEventListener(name, (message) => {
      const event = readEvent(name, (message as MessageEvent<string>).data);
      if (FINAL.includes(name)) source.close();
      onEvent(event);
    });
  // The browser connects again after a broken line, but gives up on an error status (a restart behind a proxy).
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) onLost();
  };
  return () => source.close();
}

export function readEvent(kind: string, text: string): JobEvent {
  const event: JobEvent = { kind, number: 0, progress: 0, data: {} };
  try {
    const said = JSON.parse(text) as { number?: unknown; progress?: unknown; data?: unknown } | null;
    if (typeof said?.number === "number") event.number = said.number;
    if (typeof said?.progress === "number") event.progress = said.progress;
    if (typeof said?.data === "object" && said.data) event.data = said.data as Record<string, unknown>;
  } catch {
    // Not from our server: an event without content.
  }
  return event;
}
