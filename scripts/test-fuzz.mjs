/**
 * @file `npm run test:fuzz`: 500 mutated inputs for every reader of files, in a process with limits; ends with a line
 * `N passed, N failed`. `-- --inputs N --seed S --reader NAME` reads others, `--keep FOLDER` leaves them there. `--build` only builds.
 */
import { join } from "node:path";
import { build, install, requireNode, run } from "./steps.mjs";

requireNode();
const onlyBuilds = process.argv.includes("--build");
// The tests build while others run: nothing is installed then.
if (!onlyBuilds) install();
const out = ".cache/fuzz";
const code = build({ out, project: "tsconfig.fuzz.json", folders: ["src", "test/fuzz"] });
if (code !== 0 || onlyBuilds) process.exit(code);
process.exit(run(process.execPath, [join(out, "test", "fuzz", "main.js"), ...process.argv.slice(2)]));
