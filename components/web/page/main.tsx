import { render } from "preact";
import { App } from "./app.tsx";
import { refuseStrayClicks } from "./double-click.ts";
import { refuseStrayFiles } from "./drag.ts";

addEventListener("dragover", refuseStrayFiles);
addEventListener("click", refuseStrayClicks, { capture: true });
const root = document.getElementById("app");
if (root) render(<App />, root);
