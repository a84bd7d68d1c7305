/** How many videos are under way, asked now and then while somebody looks; and whether the server is there. */
import { api, connection, request } from "./api/client";
import { createStore } from "./store";

export const activeVideos = createStore(0);
const PAUSE = 5000;
const AWAY_PAUSE = 2000;

async function look(): Promise<void> {
  if (!document.hidden && connection.get() !== "signed-out")
    try {
      if (connection.get() === "away") await request("healthz");
      const list = await api.videos({ statuses: ["queued", "in_progress"], limit: 100 });
      activeVideos.set(list.data.length);
    } catch {
      // `connection` already says so, and the shell shows it.
    }
  setTimeout(look, connection.get() === "away" ? AWAY_PAUSE : PAUSE);
}

export function watchActivity(): void {
  void look();
}
