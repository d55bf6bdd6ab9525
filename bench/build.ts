/**
 * @file Time to compile a training program of Llama 3.3M, with an empty cache and with a warm one.
 *   npm run bench build
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineModel } from "../src/model/index.js";
import { ADAMW_DEFAULTS, compileTrainer, languageModelTrainer } from "../src/train/index.js";
import { flags, machineLine, median } from "./measure.js";

const { rounds } = flags({ rounds: 3 });
const config = defineModel({ layers: 4, width: 192, heads: 6, vocabSize: 8192, sequence: 256 });

async function build(): Promise<number> {
  const start = performance.now();
  const trainer = languageModelTrainer(config, { batch: 16, sequence: 256 });
  const { program } = await compileTrainer(trainer, { optimizer: ADAMW_DEFAULTS, accumulate: 1 });
  program.dispose();
  return (performance.now() - start) / 1000;
}

const cold: number[] = [];
const cached: number[] = [];
for (let round = 0; round < rounds; round++) {
  const folder = await mkdtemp(join(tmpdir(), "quern-bench-"));
  process.env.QUERN_CACHE = folder;
  cold.push(await build());
  cached.push(await build());
  await rm(folder, { recursive: true, force: true });
}
console.log(
  `trace, differentiate, fuse, emit, build: ${median(cold).toFixed(2)} s cold, ${median(cached).toFixed(2)} s cached`,
);
console.log(await machineLine());
console.log(JSON.stringify({ bench: "build", cold: median(cold), cached: median(cached) }));
