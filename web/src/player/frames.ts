/** Frames, seconds and the pictures of a sprite sheet. */
export function frameAt(seconds: number, fps: number, frames: number): number {
  return clamp(Math.floor(seconds * fps + 1e-3), 0, frames - 1);
}

/** The middle of a frame: there a player shows just this frame, whatever way it rounds. */
export function secondsOf(frame: number, fps: number): number {
  return (frame + 0.5) / fps;
}

export function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), Math.max(least, most));
}

/** A picture made of `tiles` frames, evenly taken from the video, row by row. */
export interface Sheet {
  columns: number;
  rows: number;
  tiles: number;
  /** Width by height of one tile. */
  aspect: number;
}

/** Where a frame's picture is in a sheet, in percent as `background-position` takes them. */
export function spritePosition(frame: number, frames: number, sheet: Sheet): { x: number; y: number } {
  const tile = clamp(Math.floor((frame * sheet.tiles) / Math.max(frames, 1)), 0, sheet.tiles - 1);
  return {
    x: sheet.columns > 1 ? ((tile % sheet.columns) / (sheet.columns - 1)) * 100 : 0,
    y: sheet.rows > 1 ? (Math.floor(tile / sheet.columns) / (sheet.rows - 1)) * 100 : 0,
  };
}

export function clock(seconds: number): string {
  const whole = Math.max(0, seconds);
  const minutes = Math.floor(whole / 60);
  return `${minutes}:${(whole - 60 * minutes).toFixed(1).padStart(4, "0")}`;
}
