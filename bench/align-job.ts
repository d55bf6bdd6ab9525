/**
 * @file One measurement of bench/align.ts in its own process, whose memory it reports: the job is JSON in argv, the output one
 * JSON line.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { dpo, ppo, sft } from "../src/align/index.js";
import { createDecoder } from "../src/infer/index.js";
import { activationBytes, countParameters, openModel } from "../src/model/index.js";
import { median } from "./measure.js";

interface Common {
  /** A Hugging Face folder. */
  readonly model: string;
  /** Where runs are written. */
  readonly scratch: string;
  readonly threads: number;
  readonly dtype: "fp32" | "bf16";
}

export interface TrainingJob extends Common {
  readonly work: "sft" | "dpo" | "ppo";
  readonly data: string;
  /** Texts, pairs or prompts of a batch, and tokens of a row or a completion. */
  readonly batch: number;
  readonly tokens: number;
  readonly steps: number;
  /** Rank of the adapters; absent for a training of all parameters. */
  readonly lora?: number;
}

export interface RolloutJob extends Common {
  readonly work: "rollouts";
  readonly prompts: readonly (readonly number[])[];
  readonly samples: number;
  readonly tokens: number;
}

export interface Measured {
  /** Median over the steps after the first. */
  readonly tokens_per_second: number;
  readonly peak_rss_mb: number;
  readonly weights_mb?: number;
  /** What the forward pass stores for the backward pass. */
  readonly activations_mb?: number;
  readonly shares?: { readonly rollouts: number; readonly scoring: number; readonly updates: number };
}

async function training(job: TrainingJob): Promise<Measured> {
  const { work, model, scratch, threads, dtype, data, batch, tokens, steps, lora } = job;
  const out = join(scratch, `${work}-${process.pid}`);
  const common = { model, out, batch, steps, threads, dtype, lora, learningRate: 1e-4, force: true, saveEvery: steps };
  const result =
    work === "sft"
      ? await sft({ ...common, data: [data], maxLength: tokens, lossOn: "all" })
      : work === "dpo"
        ? await dpo({ ...common, data: [data], maxLength: tokens })
        : await ppo({ ...common, prompts: [data], reward: ["length:target=100"], tokens, updates: 1, minEntropy: 0 });
  const lines = readFileSync(join(out, "metrics.jsonl"), "utf8").trim().split("\n");
  const rates = lines
    .map((line) => (JSON.parse(line) as { readonly tokens_per_second?: number }).tokens_per_second)
    .filter((rate) => rate !== undefined)
    .slice(1);
  const { plan } = result;
  return {
    tokens_per_second: median(rates),
    peak_rss_mb: peakMemory(),
    weights_mb: Math.round((4 * countParameters(plan.model)) / 1e6),
    activations_mb: Math.round(activationBytes(plan.model, plan.batch, plan.sequence) / 1e6),
    ...(result.time_shares && { shares: result.time_shares }),
  };
}

async function rollouts({ model, threads, dtype, prompts, samples, tokens }: RolloutJob): Promise<Measured> {
  const { config, readParameter, close } = await openModel(model);
  const decoder = createDecoder(config, readParameter, {
    cpu: { threads },
    dtype,
    kvDtype: dtype === "bf16" ? "bf16" : "f32",
  });
  const run = (count: number) =>
    Promise.all(
      prompts.map((prompt, i) =>
        decoder.generate({
          prompt,
          tokens: count,
          n: samples,
          temperature: 1,
          topK: 0,
          seed: i * samples,
          endOfText: [],
        }),
      ),
    );
  await run(2); // compiles
  decoder.reset();
  const start = performance.now();
  const drawn = await run(tokens);
  const seconds = (performance.now() - start) / 1000;
  const count = drawn.flat().reduce((total, completion) => total + completion.tokens.length, 0);
  decoder.dispose();
  await close();
  return { tokens_per_second: count / seconds, peak_rss_mb: peakMemory() };
}

/** Most resident memory so far, in MB. Linux keeps the peak of this process alone; maxRSS may be that of its parent. */
function peakMemory(): number {
  const status = existsSync("/proc/self/status") ? readFileSync("/proc/self/status", "utf8") : "";
  const peak = /VmHWM:\s+(\d+) kB/.exec(status)?.[1];
  return Math.round((peak === undefined ? process.resourceUsage().maxRSS : Number(peak)) / 1024);
}

const job = JSON.parse(process.argv[2]) as TrainingJob | RolloutJob;
console.log(JSON.stringify(job.work === "rollouts" ? await rollouts(job) : await training(job)));
