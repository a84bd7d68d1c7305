import type { ComponentChildren, JSX } from "preact";

/** A message in the place that it is about. A danger is read out at once. */
export function Notice(props: {
  tone: "danger" | "warn" | "info";
  title?: string;
  children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class={`notice ${props.tone}`} role={props.tone === "danger" ? "alert" : "status"}>
      {props.title && <strong>{props.title}</strong>}
      {props.children && <div>{props.children}</div>}
    </div>
  );
}

/** What stands where there is nothing yet. */
export function Empty(props: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <p class="empty-title">{props.title}</p>
      {props.children}
    </div>
  );
}
