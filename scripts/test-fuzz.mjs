/**
 * @file `npm run test:fuzz`: runs every file reader on 500 mutated inputs, in a process with limits; the last line is
 * `N passed, N failed`. `-- --inputs N --seed S --reader NAME` selects the inputs, `--keep FOLDER` keeps them. `--build` only
 * builds.
 */
import { join } from "node:path";
import { build, install, requireNode, run } from "./steps.mjs";

requireNode();
const onlyBuilds = process.argv.includes("--build");
// Tests call this with --build while other tests run, so nothing may be installed then.
if (!onlyBuilds) install();
const out = ".cache/fuzz";
const code = build({ out, project: "tsconfig.fuzz.json", folders: ["src", "test/fuzz"] });
if (code !== 0 || onlyBuilds) process.exit(code);
process.exit(run(process.execPath, [join(out, "test", "fuzz", "main.js"), ...process.argv.slice(2)]));
