import { benchOptions } from "../train/bench/bench-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Measure training, decoding, inference or kernels: tokens/s, GFLOP/s, share of the measured peak (model FLOP utilisation) and process " +
    "memory. Figures differ between machines, so compare ratios within one run.",
  options: benchOptions,
  positional: ["what"],
  computes: true,
  examples: [
    "quern bench train --preset gpt2-124m --batch 4 --sequence 256 --steps 10",
    "quern bench decode --preset gpt2-124m --threads 2",
    "quern bench inference --model model.gguf --type stored --streams 8 --prompt-tokens 512",
    "quern bench shakespeare --text tinyshakespeare.txt --seeds 1",
  ],
  async run(options, { signal, onProgress, print }) {
    const { benchmark } = await import("../train/index.js");
    const result = await benchmark({ ...options, signal, onProgress });
    const { kernels, ...figures } = { kernels: undefined, ...result };
    for (const { what, gflops, share, seconds } of kernels ?? []) {
      print(`${what}: ${(1000 * seconds).toFixed(2)} ms, ${gflops.toFixed(0)} GFLOP/s, ${(100 * share).toFixed(0)} %`);
    }
    for (const [name, value] of Object.entries(figures)) {
      print(`${name.padEnd(24)}  ${typeof value === "number" ? Number(value.toPrecision(5)) : value}`);
    }
    return result;
  },
});
