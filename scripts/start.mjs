/**
 * @file `npm start`: installs dependencies and builds if needed, then runs the speedrun recipe with the given arguments
 * (`npm start -- --fast`).
 */
import { build, install, requireNode, run } from "./steps.mjs";

requireNode();
install();
const code = build();
if (code !== 0) process.exit(code);
// On Ctrl-C the recipe saves its state; this process ignores the signal and waits for it.
process.on("SIGINT", () => {});
process.exit(run(process.execPath, ["dist/recipes/speedrun.js", ...process.argv.slice(2)]));
