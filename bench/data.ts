/**
 * @file The whole data stage against its peers: extraction (quality and speed), archives, filters, workers and memory, one
 * benchmark after the other, each in a process of its own; one JSON line last.
 *
 *     QUERN_SHARED=… QUERN_PYTHON=… npm run bench:data [-- --rounds 3]
 *
 * What each needs stands in its own file; what is missing is left out and said.
 */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { flags, machineLine } from "./measure.js";

const { rounds } = flags({ rounds: 3 });
const results: Record<string, unknown> = {};
let failed = false;
for (const name of ["data-extract", "data-archive", "data-clean"]) {
  console.log(`\n${name}`);
  const file = join(dirname(fileURLToPath(import.meta.url)), `${name}.js`);
  const { stdout, status } = spawnSync(process.execPath, [file, "--rounds", String(rounds)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 1 << 26,
  });
  const lines = stdout.trimEnd().split("\n");
  const last = status === 0 ? lines.pop() : undefined;
  console.log(lines.join("\n"));
  // One that cannot run does not keep the others from it, but it is not forgotten.
  if (last === undefined) failed = true;
  results[name] = last === undefined ? null : JSON.parse(last);
}
console.log(JSON.stringify({ bench: "data", machine: await machineLine(), rounds, ...results }));
if (failed) process.exitCode = 1;
