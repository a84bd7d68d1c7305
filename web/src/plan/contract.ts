/** What the page asks of the plan's components; `import { PlanEditor, PlanTrack, PlanDiff } from "./plan"`. */
import type { Dsg } from "../dsg";

/** The editable timeline, with the scene graph of the tick under the cursor beside it. */
export interface PlanEditorProps {
  dsg: Dsg;
  onChange: (dsg: Dsg) => void;
  /** The tick under the cursor. */
  tick: number;
  onTick: (tick: number) => void;
  readOnly?: boolean;
  /** The video's length: times are told in seconds then, in ticks otherwise. */
  seconds?: number | undefined;
}

/** The read-only timeline that moves under a player. */
export interface PlanTrackProps {
  dsg: Dsg;
  /** Where the video is, as a fraction of its length, 0 to 1. */
  time: number;
  onSeek: (time: number) => void;
  seconds?: number | undefined;
}

/** What differs between two plans. */
export interface PlanDiffProps {
  before: Dsg;
  after: Dsg;
  seconds?: number | undefined;
  /** What the two are called; "before" and "after" where not given. */
  names?: readonly [string, string] | undefined;
}
