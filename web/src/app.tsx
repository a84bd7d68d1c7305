import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { dismiss, notes, spoken } from "./announce";
import { connection } from "./api/client";
import { CompareView } from "./compare/CompareView";
import { CreateView } from "./create/CreateView";
import { GalleryView } from "./gallery/GalleryView";
import { Header } from "./parts/Header";
import { Icon } from "./parts/icons";
import { SignIn } from "./parts/SignIn";
import { VideoView } from "./player/VideoView";
import { route, type Route } from "./router";
import { useStore } from "./store";

const TITLES = { create: "Create", gallery: "Gallery", video: "Video", compare: "Compare" } as const;

export function App(): JSX.Element {
  const here = useStore(route);
  const state = useStore(connection);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    document.title = `${TITLES[here.view]} · DysenVDM`;
    if (first.current) first.current = false;
    else {
      main.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  }, [here.view, here.view === "video" ? here.id : null]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        Skip to the content
      </a>
      <Header />
      {state === "away" && (
        <div class="banner" role="alert">
          The server does not answer. Trying again; what you typed is kept.
        </div>
      )}
      {state === "signed-out" ? (
        <SignIn />
      ) : (
        <main ref={main} id="main" tabIndex={-1} aria-label={TITLES[here.view]}>
          <View here={here} />
        </main>
      )}
      <footer class="foot">
        <a href="plan.html">Plan editor for files</a>
        <a href="docs">API reference</a>
      </footer>
      <Told />
    </>
  );
}

function View({ here }: { here: Route }): JSX.Element {
  switch (here.view) {
    case "gallery":
      return <GalleryView />;
    case "video":
      return <VideoView id={here.id} key={here.id} />;
    case "compare":
      return <CompareView left={here.left} right={here.right} />;
    default:
      return <CreateView />;
  }
}

function Told(): JSX.Element {
  const said = useStore(spoken);
  const shown = useStore(notes);
  return (
    <>
      <div class="spoken" role="status" aria-live="polite">
        {said}
      </div>
      <div class="notes" role="log" aria-live="polite" aria-label="Notes">
        {shown.map((each) => (
          <div key={each.key} class={`note ${each.tone}`}>
            <span>{each.text}</span>
            <button type="button" class="quiet icon-only" aria-label="Dismiss" onClick={() => dismiss(each.key)}>
              <Icon name="close" />
            </button>
          </div>
        ))}
      </div>
    </>
  );
}
