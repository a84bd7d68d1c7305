/** Line icons, drawn on a grid of 20; always beside or under a text that names what they do. */
import type { JSX } from "preact";

const PATHS = {
  play: "M6 4l10 6-10 6z",
  pause: "M7 4v12M13 4v12",
  back: "M12 5l-6 5 6 5M4 5v10",
  forward: "M8 5l6 5-6 5M16 5v10",
  loop: "M4 9a5 5 0 0 1 5-4h7M13 2l3 3-3 3M16 11a5 5 0 0 1-5 4H4M7 18l-3-3 3-3",
  download: "M10 3v9M6 9l4 4 4-4M4 17h12",
  trash: "M4 6h12M8 6V4h4v2M6 6l1 11h6l1-11",
  remix: "M13 4l3 3-9 9H4v-3zM11 6l3 3",
  recipe: "M5 3h7l3 3v11H5zM8 9h4M8 12h4",
  compare: "M3 5h6v10H3zM11 5h6v10h-6z",
  dice: "M4 4h12v12H4zM7.5 7.5h.01M12.5 12.5h.01M12.5 7.5h.01M7.5 12.5h.01M10 10h.01",
  close: "M5 5l10 10M15 5L5 15",
  search: "M9 4a5 5 0 1 1 0 10A5 5 0 0 1 9 4zM13 13l4 4",
  full: "M4 8V4h4M12 4h4v4M16 12v4h-4M8 16H4v-4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
