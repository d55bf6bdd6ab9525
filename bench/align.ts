/**
 * @file Post-training compared with TRL and transformers on the same cores. Rounds alternate (Quern, peer, Quern, …), each in its
 * own process, and the table has medians.
 *   QUERN_TORCH_PYTHON=/path/to/python npm run bench:align [-- --only llama-3m --rounds 3 --steps 8 --threads 2 --dtype fp32]
 * The Python has torch 2.13, transformers 5.24, trl 1.16 and peft 0.21; without it the peers' columns say "not measured".
 * Rows: SFT and DPO of Llama 3.3M; the same of a Llama with the shape of SmolLM2-135M and LoRA 16; rollouts; what PPO's steps
 * spend their time on; memory of LoRA beside full training. `--only tiny` tries all of them with a tiny model.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BenchModel, makeModel, type SIZES } from "./align-data.js";
import type { Measured, RolloutJob, TrainingJob } from "./align-job.js";
import { machineLine, median, runPeer, torchPython } from "./measure.js";

type ModelName = keyof typeof SIZES;
type Job = TrainingJob | RolloutJob;

interface Row {
  readonly name: string;
  readonly model: ModelName;
  readonly job: (model: BenchModel) => Job;
  /** The peer's script; null where there is none. */
  readonly peer: string | null;
  /** Ratio to the peer. */
  readonly least?: number;
  readonly aim?: number;
  /** Whether the memory is bounded: 1.2 × weights and activations. */
  readonly bounded?: boolean;
}

const only = option("only");
const rounds = Number(option("rounds") ?? 3);
const steps = Number(option("steps") ?? 8);
const threads = Number(option("threads") ?? 2);
const dtype = option("dtype") === "bf16" ? "bf16" : "fp32";
const scratch = mkdtempSync(join(tmpdir(), "quern-bench-align-"));
const common = (model: BenchModel) => ({ model: model.folder, scratch, threads, dtype }) as const;

const trained = (work: "sft" | "dpo", model: ModelName, batch: number, tokens: number, lora?: number): Row => ({
  name: `${work} ${model}${lora === undefined ? "" : ` LoRA ${lora}`} B${batch} T${tokens}`,
  model,
  job: (made) => ({
    ...common(made),
    work,
    data: work === "sft" ? made.texts : made.pairs,
    batch,
    tokens,
    steps,
    lora,
  }),
  peer: "bench/peers/trl_train.py",
  ...(model === "llama-3m" ? { least: 2.5, aim: 4 } : model === "llama-135m" && lora ? { least: 1.3, aim: 2 } : {}),
});
const sampled = (model: ModelName, prompts: number, samples: number, tokens: number): Row => ({
  name: `rollouts ${model} ${prompts} prompts × ${samples} × ${tokens} tokens`,
  model,
  job: (made) => ({ ...common(made), work: "rollouts", prompts: made.promptIds.slice(0, prompts), samples, tokens }),
  peer: "bench/peers/trl_rollouts.py",
  ...(model === "llama-3m" && { least: 5, aim: 10 }),
});
const reinforced = (model: ModelName, batch: number, tokens: number, lora?: number): Row => ({
  name: `ppo ${model}${lora === undefined ? "" : ` LoRA ${lora}`} B${batch}, 64 + ${tokens} tokens`,
  model,
  job: (made) => ({ ...common(made), work: "ppo", data: made.prompts, batch, tokens, steps, lora }),
  peer: null,
  bounded: lora !== undefined,
});
const rows: readonly Row[] = [
  trained("sft", "llama-3m", 8, 256),
  trained("dpo", "llama-3m", 8, 256),
  sampled("llama-3m", 64, 8, 64),
  reinforced("llama-3m", 16, 64),
  trained("sft", "llama-135m", 4, 256, 16),
  trained("dpo", "llama-135m", 4, 256, 16),
  reinforced("llama-135m", 4, 64, 16),
  reinforced("llama-135m", 4, 64),
  trained("sft", "llama-135m", 4, 256),
  ...(only === "tiny"
    ? [
        trained("sft", "tiny", 2, 64),
        trained("dpo", "tiny", 2, 128, 4),
        sampled("tiny", 4, 2, 8),
        reinforced("tiny", 2, 8, 4),
        reinforced("tiny", 2, 8),
      ]
    : []),
];

const here = dirname(fileURLToPath(import.meta.url));
const python = torchPython();
const models = new Map<ModelName, BenchModel>();
const results: Record<string, unknown>[] = [];
try {
  for (const row of rows) {
    if (only !== undefined && !row.name.includes(only)) continue;
    const model = models.get(row.model) ?? (await makeModel(scratch, row.model));
    models.set(row.model, model);
    results.push(measure(row, row.job(model)));
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const processor = cpus()[0]?.model.trim() || "an unknown CPU";
console.log(
  `\nPost-training in ${dtype} with ${threads} threads on ${processor}; medians of ${rounds} alternating rounds`,
);
for (const result of results) console.log(String(result.line));
const machine = await machineLine();
console.log(machine);
console.log(JSON.stringify({ bench: "align", dtype, threads, rounds, steps, processor, machine, results }));

function measure({ name, peer, least, aim, bounded = false }: Row, job: Job) {
  const [ours, theirs]: Measured[][] = [[], []];
  for (let round = 0; round < rounds; round++) {
    ours.push(runQuern(job));
    if (python !== null && peer !== null) theirs.push(runPeer<Measured>(python, peer, [JSON.stringify(job)]));
    const rates = [ours, theirs].map((each) => each.at(-1)?.tokens_per_second.toFixed(0) ?? "not measured");
    console.log(`${name}, round ${round + 1}: Quern ${rates[0]} tokens/s, peer ${rates[1]}`);
  }
  const middle = (list: readonly Measured[], of: (each: Measured) => number) =>
    list.length === 0 ? null : median(list.map(of));
  const rate = middle(ours, (each) => each.tokens_per_second) as number;
  const memory = Math.max(...ours.map((each) => each.peak_rss_mb));
  const peerRate = middle(theirs, (each) => each.tokens_per_second);
  const peerMemory = middle(theirs, (each) => each.peak_rss_mb);
  const ratio = peerRate === null ? null : rate / peerRate;
  const { weights_mb = 0, activations_mb = 0 } = ours[0];
  const most = bounded ? Math.round(1.2 * (weights_mb + activations_mb)) : null;
  const part = (key: "rollouts" | "scoring" | "updates") => middle(ours, ({ shares }) => shares?.[key] ?? 0) as number;
  const shares =
    ours[0].shares === undefined
      ? null
      : { rollouts: part("rollouts"), scoring: part("scoring"), updates: part("updates") };
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  const goal = least === undefined ? "" : ` (at least ${least} ×, aim ${aim} ×)`;
  const texts = [
    `${name}: ${rate.toFixed(0)} tokens/s`,
    ...(peer === null
      ? []
      : [
          ratio === null
            ? "peer not measured"
            : `peer ${(peerRate as number).toFixed(0)}, ${ratio.toFixed(2)} ×${goal}`,
        ]),
    ...(shares === null
      ? []
      : [
          `rollouts ${percent(shares.rollouts)}, scoring ${percent(shares.scoring)}, updates ${percent(shares.updates)} of a step`,
        ]),
    `${memory} MB at the peak${peerMemory === null ? "" : `, peer ${peerMemory.toFixed(0)} MB`}`,
    ...(weights_mb > 0 ? [`weights ${weights_mb} MB, activations ${activations_mb} MB`] : []),
    ...(most === null ? [] : [`at most ${most} MB (1.2 ×)`]),
  ];
  return {
    ...{
      name,
      tokens_per_second: rate,
      peer_tokens_per_second: peerRate,
      ratio,
      least: least ?? null,
      aim: aim ?? null,
    },
    ...{ peak_rss_mb: memory, peer_peak_rss_mb: peerMemory, weights_mb, activations_mb, most_rss_mb: most, shares },
    line: texts.join("; "),
  };
}

function runQuern(job: Job): Measured {
  const output = execFileSync(process.execPath, [join(here, "align-job.js"), JSON.stringify(job)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  return JSON.parse(output.trim().split("\n").at(-1) as string) as Measured;
}

function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}
