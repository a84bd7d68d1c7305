import { useEffect, useState } from "preact/hooks";

/** A value that components can watch. */
export interface Store<T> {
  get: () => T;
  set: (next: T | ((old: T) => T)) => void;
  watch: (listener: (value: T) => void) => () => void;
}

export function createStore<T>(initial: T): Store<T> {
  let value = initial;
  const listeners = new Set<(value: T) => void>();
  return {
    get: () => value,
    set(next) {
      const changed = next instanceof Function ? next(value) : next;
      if (Object.is(changed, value)) return;
      value = changed;
      for (const listener of [...listeners]) listener(value);
    },
    watch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function useStore<T>(store: Store<T>): T {
  const [value, setValue] = useState(store.get);
  useEffect(() => {
    setValue(() => store.get()); // it may have changed between drawing and here
    return store.watch((next) => setValue(() => next));
  }, [store]);
  return value;
}

/** What this browser remembers; a browser that forbids it (private windows) just forgets. */
export const remembered = {
  read<T>(key: string): T | null {
    try {
      return JSON.parse(localStorage.getItem(`dysenvdm.${key}`) ?? "null") as T | null;
    } catch {
      return null;
    }
  },
  write(key: string, value: unknown): void {
    try {
      if (value === null) localStorage.removeItem(`dysenvdm.${key}`);
      else localStorage.setItem(`dysenvdm.${key}`, JSON.stringify(value));
    } catch {
      // Full or forbidden: nothing that the person could mend here.
    }
  },
};
