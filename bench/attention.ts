/**
 * @file Benchmarks causal attention, forward and backward, as a share of the measured peak.
 *   npm run bench attention [-- --rounds 15]
 */
import { examineMachine } from "../src/backends/index.js";
import { benchmark } from "../src/train/index.js";
import { flags, machineLine } from "./measure.js";

const { rounds } = flags({ rounds: 15 });
const sizes = [
  { preset: "llama-3m", batch: 16, sequence: 256 },
  { preset: "gpt2-124m", batch: 4, sequence: 256 },
  { preset: "gpt2-124m", batch: 1, sequence: 1024 },
] as const;
const results = [];
for (const threads of [...new Set([1, (await examineMachine({ measure: false })).threads])]) {
  for (const size of sizes) {
    const result = await benchmark({ what: "attention", ...size, threads, steps: rounds });
    if (!("kernels" in result)) throw new Error("not the attention benchmark");
    for (const { what, seconds, gflops, share } of result.kernels) {
      results.push({ ...size, threads, what, seconds, gflops, share });
      const figures = `${(1000 * seconds).toFixed(2)} ms  ${gflops.toFixed(0)} GFLOP/s  ${(100 * share).toFixed(1)} %`;
      console.log(`${threads} threads  ${what}  ${figures}`);
    }
  }
}
console.log(await machineLine());
console.log(JSON.stringify({ bench: "attention", results }));
