/** Which view an address shows. Views live behind the `#`, so that the server has one page to serve. */
import { createStore } from "./store";

export type Route =
  | { view: "create" }
  | { view: "gallery" }
  | { view: "video"; id: string }
  | { view: "compare"; left: string | null; right: string | null };

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view, id] = path.split("/");
  if (view === "gallery") return { view };
  if (view === "video" && id) return { view, id: decoded(id) };
  if (view === "compare") {
    const asked = new URLSearchParams(query);
    return { view, left: asked.get("left") || null, right: asked.get("right") || null };
  }
  return { view: "create" };
}

export function formatRoute(route: Route): string {
  if (route.view === "video") return `#/video/${encodeURIComponent(route.id)}`;
  if (route.view === "compare") {
    const sides = [["left", route.left], ["right", route.right]].filter((side): side is [string, string] => !!side[1]);
    const query = new URLSearchParams(sides).toString();
    return `#/compare${query && `?${query}`}`;
  }
  return `#/${route.view}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const route = createStore<Route>(parseRoute(location.hash));
addEventListener("hashchange", () => route.set(parseRoute(location.hash)));

export function go(to: Route): void {
  location.hash = formatRoute(to);
}
