import { render } from "preact";
import { App } from "./app.tsx";
import { rejectStrayClicks } from "./double-click.ts";
import { rejectStrayFiles } from "./drag.ts";

addEventListener("dragover", rejectStrayFiles);
addEventListener("click", rejectStrayClicks, { capture: true });
const root = document.getElementById("app");
if (root) render(<App />, root);
