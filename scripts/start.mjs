/**
 * @file `npm start`: installs and builds what is missing, then runs the speedrun recipe with the arguments given
 * (`npm start -- --fast`).
 */
import { build, install, requireNode, run } from "./steps.mjs";

requireNode();
install();
const code = build();
if (code !== 0) process.exit(code);
// The recipe saves at Ctrl-C and says so; this process has nothing to save and waits for it.
process.on("SIGINT", () => {});
process.exit(run(process.execPath, ["dist/recipes/speedrun.js", ...process.argv.slice(2)]));
