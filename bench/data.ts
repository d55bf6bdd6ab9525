/**
 * @file Runs all benchmarks of the data stage, each in its own process: extraction (quality and speed), archives, filters, workers
 * and memory. The last line is JSON.
 *
 *     QUERN_SHARED=… QUERN_PYTHON=… npm run bench:data [-- --rounds 3]
 *
 * Each file documents its requirements. A benchmark reports what is missing and leaves it out.
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
  // A failed benchmark does not stop the others, but sets the exit code.
  if (last === undefined) failed = true;
  results[name] = last === undefined ? null : JSON.parse(last);
}
console.log(JSON.stringify({ bench: "data", machine: await machineLine(), rounds, ...results }));
if (failed) process.exitCode = 1;
