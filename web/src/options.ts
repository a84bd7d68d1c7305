/** What the server offers: planners and models, asked once and again after it was away. */
import { useEffect } from "preact/hooks";
import { api, connection } from "./api/client";
import type { Model, Planner } from "./api/types";
import { createStore, useStore } from "./store";

export interface Options {
  planners: Planner[];
  models: Model[];
}

const options = createStore<Options | null>(null);

async function load(): Promise<void> {
  try {
    const [planners, models] = await Promise.all([api.planners(), api.models()]);
    options.set({ planners: planners.data, models: models.data });
  } catch {
    // `connection` says why; the next time that it is up they are asked again.
  }
}

export function useOptions(): Options | null {
  useEffect(() => {
    if (!options.get()) void load();
    return connection.watch((state) => state === "up" && void load());
  }, []);
  return useStore(options);
}
