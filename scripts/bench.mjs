/** @file `npm run bench NAME [arguments]`: builds the library and bench/, then runs bench/NAME.ts. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { build, install, requireNode, root, run } from "./steps.mjs";

requireNode();
const [name, ...rest] = process.argv.slice(2);
const names = readdirSync(join(root, "bench"))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -3));
if (name === undefined || !existsSync(join(root, "bench", `${name}.ts`))) {
  console.error(`quern: give the name of a benchmark: npm run bench ${names.join(" | ")}`);
  process.exit(2);
}
install();
const out = ".cache/bench";
const code = build({ out, project: "tsconfig.bench.json", folders: ["src", "bench"] });
process.exit(code === 0 ? run(process.execPath, [join(out, "bench", `${name}.js`), ...rest]) : code);
