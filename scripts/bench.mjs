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
if (code !== 0) process.exit(code);
const start = (part, args) => run(process.execPath, [join(out, "bench", `${part}.js`), ...args]);
let result = start(name, rest);
// The tables of inference: beside llama.cpp, of the server, and of constrained decoding.
if (name === "inference" && result === 0) {
  const file = rest.find((word) => word.endsWith(".gguf"));
  result = start("serve", [file, "--memory", "200"]);
  if (result === 0 && process.env.QUERN_SHARED !== undefined) result = start("grammar", []);
  else if (result === 0) console.log("not measured: masks of JSON Schemas; QUERN_SHARED names no folder of schemas");
}
process.exit(result);
