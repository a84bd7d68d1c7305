/** A job's events, live: reconnects by itself, and goes on after the last event that came. */
import { eventsAddress } from "./client";

export interface JobEvent {
  kind: string;
  data: Record<string, unknown>;
}

const KINDS = ["queued", "claimed", "stage", "step", "preview", "requeued", "completed", "failed", "cancelled", "expired"];
const FINAL = ["completed", "failed", "cancelled", "expired"];

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
  try {
    const data: unknown = JSON.parse(text);
    return { kind, data: typeof data === "object" && data !== null ? (data as Record<string, unknown>) : {} };
  } catch {
    return { kind, data: {} };
  }
}
