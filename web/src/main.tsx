import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/create.css";
import "./styles/player.css";
import "./styles/gallery.css";
import { render } from "preact";
import { watchActivity } from "./activity";
import { App } from "./app";

render(<App />, document.getElementById("app")!);
watchActivity();
