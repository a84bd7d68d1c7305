import type { JSX } from "preact";
import { connection } from "../api/client";
import { signedIn, signOut } from "../session";
import { activeVideos } from "../activity";
import { formatRoute, route, type Route } from "../router";
import { useStore } from "../store";
import { theme, THEMES, type Theme } from "../theme";

const VIEWS: { to: Route; name: string }[] = [
  { to: { view: "create" }, name: "Create" },
  { to: { view: "gallery" }, name: "Gallery" },
  { to: { view: "compare", left: null, right: null }, name: "Compare" },
];

export function Header(): JSX.Element {
  const here = useStore(route);
  const state = useStore(connection);
  const chosen = useStore(theme);
  const active = useStore(activeVideos);
  const signed = useStore(signedIn);
  return (
    <header class="top">
      <a class="brand" href="#/create">
        <svg viewBox="0 0 32 32" aria-hidden="true" focusable="false">
          <rect width="32" height="32" rx="7" />
          <path d="M7 10h11M11 16h14M7 22h8" />
        </svg>
        DysenVDM
      </a>
      <nav aria-label="Views">
        {VIEWS.map(({ to, name }) => (
          <a key={name} href={formatRoute(to)} aria-current={here.view === to.view ? "page" : undefined}>
            {name}
            {to.view === "gallery" && active > 0 && (
              <span class="count">
                {active}
                <span class="spoken"> under way</span>
              </span>
            )}
          </a>
        ))}
      </nav>
      <div class="top-end">
        <label class="theme">
          <span class="spoken">Colours</span>
          <select value={chosen} onChange={(event) => theme.set(event.currentTarget.value as Theme)}>
            {THEMES.map((name) => (
              <option key={name} value={name}>
                {name[0]!.toUpperCase() + name.slice(1)}
              </option>
            ))}
          </select>
        </label>
        {state === "up" && signed && (
          <button
            type="button"
            class="quiet"
            onClick={() => void signOut()}
          >
            Sign out
          </button>
        )}
      </div>
    </header>
  );
}
