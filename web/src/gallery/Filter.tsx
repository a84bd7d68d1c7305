import type { JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import type { Status } from "../api/types";
import { Icon } from "../parts/icons";

const STATES: Record<string, { name: string; statuses: readonly Status[] }> = {
  all: { name: "All", statuses: [] },
  completed: { name: "Finished", statuses: ["completed"] },
  active: { name: "Under way", statuses: ["queued", "in_progress"] },
  rest: { name: "Failed or cancelled", statuses: ["failed", "cancelled"] },
};

export interface Filtering {
  text: string;
  setText: (text: string) => void;
  state: string;
  setState: (state: string) => void;
  /** What to ask the server for: the text when typing paused. */
  search: string;
  statuses: readonly Status[];
  clear: () => void;
}

export function useFilter(): Filtering {
  const [text, setText] = useState("");
  const [search, setSearch] = useState("");
  const [state, setState] = useState("all");
  useEffect(() => {
    const timer = setTimeout(() => setSearch(text.trim()), 250);
    return () => clearTimeout(timer);
  }, [text]);
  const clear = (): void => {
    setText("");
    setState("all");
  };
  return { text, setText, state, setState, search, statuses: STATES[state]?.statuses ?? [], clear };
}

export function Filter({ filter }: { filter: Filtering }): JSX.Element {
  const search = useId();
  const state = useId();
  return (
    <div class="filter" role="search">
      <label class="spoken" for={search}>
        Search in prompts
      </label>
      <span class="search">
        <Icon name="search" />
        <input
          id={search}
          type="search"
          placeholder="Search in prompts"
          value={filter.text}
          onInput={(event) => filter.setText(event.currentTarget.value)}
        />
      </span>
      <label class="spoken" for={state}>
        Show
      </label>
      <select id={state} value={filter.state} onChange={(event) => filter.setState(event.currentTarget.value)}>
        {Object.entries(STATES).map(([id, { name }]) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    </div>
  );
}
