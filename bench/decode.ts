/**
 * @file Decoding 124M, one text: tokens a second, and the speed at which the weights are read as a share of what the memory
 * gives. The memory's speed is measured beside every round.
 *   npm run bench decode [-- --rounds 5 --steps 64]
 */
import { examineMachine } from "../src/backends/index.js";
import { benchmark } from "../src/train/index.js";
import { flags, machineLine, median } from "./measure.js";

const { rounds, steps } = flags({ rounds: 5, steps: 64 });
const results = [];
for (const threads of [...new Set([1, (await examineMachine({ measure: false })).threads])]) {
  const shares: number[] = [];
  const rates: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const result = await benchmark({ what: "decode", preset: "gpt2-124m", threads, steps });
    if (!("bandwidth_share" in result)) throw new Error("another benchmark ran");
    rates.push(result.tokens_per_second);
    if (result.bandwidth_share !== null) shares.push(result.bandwidth_share);
  }
  const share = shares.length === 0 ? null : median(shares);
  results.push({ threads, tokens_per_second: median(rates), bandwidth_share: share });
  const told = share === null ? "memory not measured" : `${(100 * share).toFixed(0)} % of the memory's speed`;
  console.log(`${threads} threads: ${median(rates).toFixed(1)} tokens/s, ${told}`);
}
console.log(await machineLine());
console.log(JSON.stringify({ bench: "decode", preset: "gpt2-124m", results }));
