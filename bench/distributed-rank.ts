/**
 * @file One rank of bench/distributed.ts: starts the others, takes optimizer steps on random tokens, and prints its figures as JSON.
 *   node distributed-rank.js --preset gpt2-124m --ranks 2 --batch 2 --sequence 256 --threads 1 --zero 0 --dtype fp32 --steps 5
 */
import type { ComputeDType } from "../src/backends/index.js";
import { initialise, parametersOf } from "../src/model/index.js";
import { PRESETS, type PresetName } from "../src/train/bench/presets.js";
import {
  ADAMW_DEFAULTS,
  compileTrainer,
  joinRanks,
  languageModelTrainer,
  type Ranks,
  startRanks,
  step,
  type ZeroStage,
} from "../src/train/index.js";
import { median } from "./measure.js";

export interface RankFigures {
  /** Of all ranks. */
  readonly tokens_per_second: number;
  /** Share of a step in which rank 0 computes nothing because it exchanges values with others, or waits for them. */
  readonly communication_share: number;
  /** Largest of the ranks. */
  readonly peak_rss_mb: number;
  /** Memory of the program's variables and arena of a rank, in units of 2^20 bytes. */
  readonly plan_mb: number;
  readonly last_loss: number;
  readonly target: string;
}

const given = new Map(process.argv.slice(2).flatMap((word, i, all) => (i % 2 === 0 ? [[word, all[i + 1]]] : [])));
const text = (name: string) => given.get(`--${name}`) as string;
const [count, batch, sequence, threads, zero, steps] = ["ranks", "batch", "sequence", "threads", "zero", "steps"].map(
  (name) => Number(text(name)),
);
const WARMUP = 2;
const SCHEDULE = { kind: "constant", learningRate: 3e-4, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;

async function measure(ranks: Ranks): Promise<RankFigures> {
  const model = PRESETS[text("preset") as PresetName].model(sequence);
  const training = await compileTrainer(languageModelTrainer(model, { batch, sequence }), {
    ...{ optimizer: ADAMW_DEFAULTS, accumulate: 1, dtype: text("dtype") as ComputeDType, cpu: { threads } },
    ...{ ranks, zero: zero as ZeroStage },
  });
  const { program } = training;
  for (const parameter of parametersOf(model)) {
    program.write(parameter.name, (values) => initialise(parameter, 0, values));
  }
  const [seconds, waited]: number[][] = [[], []];
  let last = Number.NaN;
  for (let index = 0; index < WARMUP + steps; index++) {
    const ids = Int32Array.from({ length: batch * sequence }, () => Math.floor(Math.random() * model.vocabSize));
    await ranks.barrier(); // none starts while another is still busy
    const start = performance.now();
    const { loss, communicationSeconds } = await step(
      training,
      [{ ids, targets: ids, segments: new Int32Array(ids.length) }],
      {
        step: index,
        steps: WARMUP + steps,
        schedule: SCHEDULE,
      },
    );
    last = loss as number;
    if (index < WARMUP) continue;
    seconds.push((performance.now() - start) / 1000);
    waited.push(communicationSeconds / (seconds.at(-1) as number));
  }
  const memory = await ranks.gatherNumbers([process.resourceUsage().maxRSS / 1024]);
  const { target, arenaBytes } = program.plan;
  training.dispose();
  return {
    tokens_per_second: (ranks.size * batch * sequence) / median(seconds),
    communication_share: median(waited),
    peak_rss_mb: Math.round(Math.max(...memory.map(([own]) => own))),
    ...{ plan_mb: Math.round(arenaBytes / 2 ** 20), last_loss: last, target },
  };
}

const team = await joinRanks(startRanks(count));
const { rank, figures } = await team.run(async (ranks) => ({ rank: ranks.rank, figures: await measure(ranks) }));
if (rank === 0) console.log(JSON.stringify(figures));
process.exit(0);
