import type { JSX } from "preact";

const PATHS = {
  down: "M5 8l5 5 5-5",
  right: "M8 5l5 5-5 5",
  edit: "M13 4l3 3-9 9H4v-3z",
  veto: "M4 10a6 6 0 1 0 12 0a6 6 0 1 0-12 0M6 6l8 8",
  back: "M7 4L4 7l3 3M4 7h8a4 4 0 0 1 0 8H7",
  delete: "M4 6h12M8 6V4h4v2M6 6l1 11h6l1-11",
  add: "M10 4v12M4 10h12",
} as const;

/** Line icons on a grid of 20; the button around one says in words what it does. */
export function PlanIcon({ name }: { name: keyof typeof PATHS }): JSX.Element {
  return (
    <svg class="plan-icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
