/** @file The chat page of `quern serve`: starts it. */
import { render } from "preact";
import { App } from "./app.js";
import { loadModels } from "./models.js";

render(<App />, document.getElementById("app") as HTMLElement);
void loadModels();
