import { createStore, remembered } from "./store";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const saved = remembered.read<Theme>("theme");
export const theme = createStore<Theme>(saved && THEMES.includes(saved) ? saved : "system");

function apply(chosen: Theme): void {
  if (chosen === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = chosen;
}

apply(theme.get());
theme.watch((chosen) => {
  apply(chosen);
  remembered.write("theme", chosen === "system" ? null : chosen);
});
