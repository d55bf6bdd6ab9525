/**
 * @file Decoding throughput of one sequence with GPT-2 124M. The rate of reading weights is also a share of the memory
 * bandwidth measured in each round. Then jobs with many prompts, alternating with a single prompt.
 *   npm run bench decode [-- --rounds 5 --steps 64]
 */
import { examineMachine } from "../src/backends/index.js";
import { type BenchOptions, benchmark } from "../src/train/index.js";
import { flags, machineLine, median } from "./measure.js";

const { rounds, steps } = flags({ rounds: 5, steps: 64 });
const { threads: all } = await examineMachine({ measure: false });

async function decode(options: Omit<BenchOptions, "what">) {
  const result = await benchmark({ what: "decode", steps, ...options });
  if (!("bandwidth_share" in result)) throw new Error("not the decode benchmark");
  return result;
}

const results = [];
for (const threads of [...new Set([1, all])]) {
  const shares: number[] = [];
  const rates: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const result = await decode({ preset: "gpt2-124m", threads });
    rates.push(result.tokens_per_second);
    if (result.bandwidth_share !== null) shares.push(result.bandwidth_share);
  }
  const share = shares.length === 0 ? null : median(shares);
  results.push({ threads, tokens_per_second: median(rates), bandwidth_share: share });
  const bandwidth = share === null ? "memory not measured" : `${(100 * share).toFixed(0)} % of the memory bandwidth`;
  console.log(`${threads} threads: ${median(rates).toFixed(1)} tokens/s, ${bandwidth}`);
}

const batches = [];
for (const [preset, batch] of [
  ["llama-3m", 64],
  ["gpt2-124m", 8],
] as const) {
  const one: number[] = [];
  const many: number[] = [];
  for (let round = 0; round < rounds; round++) {
    one.push((await decode({ preset, threads: all })).job_tokens_per_second);
    many.push((await decode({ preset, threads: all, batch })).job_tokens_per_second);
  }
  const rates = { one: median(one), many: median(many), ratio: median(many) / median(one) };
  batches.push({ preset, prompts: batch, tokens: steps + 1, threads: all, ...rates });
  console.log(
    `${preset}: one prompt ${rates.one.toFixed(0)} tokens/s, ${batch} prompts ${rates.many.toFixed(0)}: ${rates.ratio.toFixed(1)} ×`,
  );
}
console.log(await machineLine());
console.log(JSON.stringify({ bench: "decode", preset: "gpt2-124m", results, batches }));
