/** How the server lays out its sprite sheets (see serving/workers): all frames up to 64, ten to a row at most. */
import type { VideoJob } from "../api/types";
import { sizeOf } from "../recipe";
import type { Sheet } from "./frames";

const MOST = 64;
const COLUMNS = 8;

export function sheetOf(job: VideoJob): Sheet {
  const size = sizeOf(job.size);
  const tiles = Math.min(job.num_frames, MOST);
  const columns = Math.min(tiles, COLUMNS);
  return { columns, rows: Math.ceil(tiles / columns), tiles, aspect: size ? size.width / size.height : 1 };
}
