/** Which cards of a long list are drawn: those in the window, and some rows around them. */
export interface Grid {
  columns: number;
  /** Pixels, with the gap. */
  cardWidth: number;
  rowHeight: number;
  /** Pixels of all rows. */
  height: number;
}

export function layOut(count: number, width: number, gap: number, least: number, rowHeight: number): Grid {
  const columns = Math.max(1, Math.floor((width + gap) / (least + gap)));
  const rows = Math.ceil(count / columns);
  return {
    columns,
    cardWidth: (width + gap) / columns,
    rowHeight: rowHeight + gap,
    height: Math.max(0, rows * (rowHeight + gap) - gap),
  };
}

/** Indexes [first, end) of the cards to draw; `top` is where the window begins in the list, in pixels (may be < 0). */
export function visible(grid: Grid, count: number, top: number, windowHeight: number, around = 2): [number, number] {
  const first = Math.max(0, Math.floor(top / grid.rowHeight) - around) * grid.columns;
  const end = Math.max(0, Math.ceil((top + windowHeight) / grid.rowHeight) + around) * grid.columns;
  return [Math.min(first, count), Math.min(Math.max(first, end), count)];
}
