/** @file A small training that any number of ranks can divide, to compare them with a single rank. */
import { createPolicy } from "../../../src/align/policy.js";
import {
  defineModel,
  initialise,
  initialLora,
  loraPairs,
  parametersOf,
  tokenLosses,
} from "../../../src/model/index.js";
import { sum } from "../../../src/tensor/index.js";
import type { Ranks } from "../../../src/train/distributed/ranks.js";
import {
  ADAMW_DEFAULTS,
  batchesOf,
  compileTrainer,
  countedTargets,
  languageModelTrainer,
  type OptimizerOptions,
  type Schedule,
  step,
  storedState,
  type Trainer,
  type TrainingProgram,
  type ZeroStage,
} from "../../../src/train/index.js";
import { gradientName } from "../../../src/train/optimizer/optimizer.js";

export const [ROWS, SEQUENCE] = [12, 8];
export const model = defineModel({ layers: 1, width: 16, heads: 2, vocabSize: 40, sequence: SEQUENCE });
export const schedule: Schedule = {
  kind: "constant",
  ...{ learningRate: 0.01, warmupSteps: 0, decaySteps: 0, finalShare: 1 },
};

const adapters = { rank: 4, alpha: 8, targets: ["q_proj", "down_proj"], dropout: 0, rankStabilized: false };

/** Trains adapters on two of the projections. */
function loraTrainer(batch: number): Trainer {
  const { config, weights, trainable } = createPolicy(model, adapters);
  return {
    ...{ batch: languageModelTrainer(config, { batch, sequence: SEQUENCE, packed: true }).batch, trainable },
    objective: ({ ids, targets, segments }) => ({
      losses: {
        token: {
          sum: sum(tokenLosses(config, weights, ids, targets, { segments })),
          count: sum(countedTargets(targets)),
        },
      },
    }),
  };
}

/** Rows of a step, each with two documents; later rows have fewer counted targets, so that ranks count different numbers. */
function rowsOf(batch: number) {
  return {
    load: async (index: number) => {
      const values = Array.from({ length: batch * SEQUENCE }, (_, i) => {
        const number = index * batch + Math.floor(i / SEQUENCE);
        const row = number % ROWS;
        const id = (7 * row + 3 * (i % SEQUENCE) + Math.floor(number / ROWS)) % 40;
        return {
          id,
          target: i % SEQUENCE < row % SEQUENCE ? -100 : (id + 1) % 40,
          segment: Number(i % SEQUENCE > (3 * row) % SEQUENCE),
        };
      });
      const ids = Int32Array.from(values, ({ id }) => id);
      const [targets, segments] = (["target", "segment"] as const).map((key) =>
        Int32Array.from(values, (value) => value[key]),
      );
      return { ids, targets, segments };
    },
  };
}

export interface Result {
  /** Of the first step; with stage 2, no rank has it. */
  readonly gradient: Float32Array;
  readonly norms: readonly (number | null)[];
  readonly losses: readonly (number | null)[];
  readonly weights: Buffer;
  /** Of the optimizer, whole on rank 0. */
  readonly state: Buffer;
  /** Bytes of the variables of this rank: weights, gradients and the optimizer's state. */
  readonly bytes: number;
}

export interface Setting {
  /** Rows of a batch, and batches of a step of all ranks. */
  readonly batch: number;
  readonly accumulate: number;
  readonly dtype?: "fp32" | "bf16";
  readonly zero?: ZeroStage;
  readonly optimizer?: OptimizerOptions;
  readonly steps?: number;
  /** Trains adapters instead of all weights. */
  readonly lora?: boolean;
}

/** Trains on one of the ranks. */
export async function trainOn(
  ranks: Ranks,
  { batch, accumulate, dtype = "fp32", zero, optimizer = ADAMW_DEFAULTS, steps = 50, lora = false }: Setting,
): Promise<Result> {
  const trainer = lora ? loraTrainer(batch) : languageModelTrainer(model, { batch, sequence: SEQUENCE, packed: true });
  const training = await compileTrainer(trainer, {
    ...{ optimizer, accumulate, ranks, dtype, zero },
    ...{ cpu: { threads: 1 }, portionBytes: 1024 },
  });
  for (const parameter of parametersOf(model)) {
    training.program.write(parameter.name, (values) => initialise(parameter, 1, values));
  }
  if (lora) {
    for (const { a } of loraPairs(model, adapters)) training.program.write(a.name, initialLora(a, 1));
  }
  const source = batchesOf(rowsOf(batch), accumulate, ranks);
  let gradient = new Float32Array();
  const [norms, losses]: (number | null)[][] = [[], []];
  for (let index = 0; index < steps; index++) {
    const result = await step(training, await source.load(index), { step: index, steps, schedule });
    if (index === 0 && zero !== 2) gradient = await variablesOf(training, gradientName);
    norms.push(result.gradientNorm);
    losses.push(result.loss);
  }
  const weights = Buffer.from((await variablesOf(training, (name) => name)).buffer);
  const state: Buffer[] = [];
  for (const { read } of storedState(training)) state.push(Buffer.from((await read()).slice().buffer));
  training.dispose();
  return { gradient, norms, losses, weights, state: Buffer.concat(state), bytes: training.bytes };
}

async function variablesOf({ program, trainable }: TrainingProgram, nameOf: (parameter: string) => string) {
  const all: number[] = [];
  for (const { name } of trainable) all.push(...(await program.read(nameOf(name))));
  return Float32Array.from(all);
}
