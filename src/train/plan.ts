/**
 * @file The numbers of a run that follow from others: from the text and the time there is, a model that can be trained
 * in it; from a measured step, how many steps there will be.
 */
import { countParameters, defineModel, type ModelConfig, trainingFlopsPerToken } from "../model/index.js";
import { ADAMW_DEFAULTS, type AdamWOptions } from "./adamw.js";
import type { CheckedPretrainOptions } from "./pretrain-options.js";
import type { Schedule } from "./schedule.js";

/** From step `from` on, the run was meant to have `steps` steps; more than one where it turned out too slow. */
export interface Horizon {
  readonly from: number;
  readonly steps: number;
}

/** All that decides the numbers of a run: the same plan, machine and threads give the same bits. */
export interface RunPlan {
  readonly model: ModelConfig;
  readonly parameters: number;
  readonly training_flops_per_token: number;
  readonly batch: number;
  readonly sequence: number;
  readonly accumulate: number;
  readonly steps: number;
  readonly horizons: readonly Horizon[];
  readonly schedule: Schedule;
  readonly optimizer: AdamWOptions;
  readonly seed: number;
  readonly threads: number;
  /** The instruction set's row. */
  readonly target: string;
  readonly training_tokens: number;
  readonly heldout_tokens: number;
}

/** Sizes for a budget, which flags overrule one by one. */
export type DefaultSizes = Pick<ModelConfig, "layers" | "width" | "vocabSize">;

/**
 * Rungs of a ladder: sizes for up to so many floating-point operations of training. Small budgets want small models that
 * see more text (about twenty tokens a weight at best: Hoffmann et al., arXiv:2203.15556), yet a vocabulary that is large
 * for them, since a token of more bytes is more text for one step: on the starter corpus, 1.5e12 operations of 3 layers
 * of 96 gave 2.94, 2.71, 2.53 and 2.47 bits per byte with 1024, 2048, 4096 and 8192 tokens.
 */
const RUNGS: readonly (DefaultSizes & { readonly flops: number })[] = [
  { flops: 5e11, layers: 2, width: 64, vocabSize: 4096 },
  { flops: 1e13, layers: 3, width: 96, vocabSize: 8192 },
  { flops: 1e14, layers: 4, width: 128, vocabSize: 8192 },
  { flops: 4e14, layers: 4, width: 192, vocabSize: 8192 },
  { flops: 3e15, layers: 6, width: 256, vocabSize: 8192 },
  { flops: 3e16, layers: 8, width: 384, vocabSize: 8192 },
  { flops: Number.POSITIVE_INFINITY, layers: 12, width: 512, vocabSize: 16384 },
];

/**
 * Sizes for training with so many floating-point operations on so much text.
 * @param flops of the whole run, or null where they are not known
 */
export function defaultSizes(flops: number | null, textBytes: number): DefaultSizes {
  const { layers, width, vocabSize } = RUNGS.find((rung) => (flops ?? 4e14) <= rung.flops) as DefaultSizes;
  // A token that a text holds a few times only teaches nothing.
  const most = 2 ** Math.max(9, Math.floor(Math.log2(textBytes / 400)));
  return { layers, width, vocabSize: Math.min(vocabSize, most) };
}

/** The model that the options ask for, with defaults for the rest. */
export function modelOf(options: CheckedPretrainOptions, defaults: DefaultSizes, vocabSize: number): ModelConfig {
  const width = options.width ?? defaults.width;
  const heads = options.heads ?? Math.max(1, Math.round(width / 32));
  return defineModel({
    layers: options.layers ?? defaults.layers,
    width,
    heads,
    keyValueHeads: options.keyValueHeads ?? heads,
    vocabSize,
    sequence: options.sequence ?? 256,
  });
}

/** AdamW's best rate falls with the width; at 96, rates from .002 to .004 learn alike and .008 is too high. */
export function defaultLearningRate(width: number): number {
  return Number((0.003 * Math.sqrt(192 / width)).toPrecision(2));
}

/** Linear warm-up over the first twentieth, at most 200 steps, and a cosine down to a twentieth of the rate. */
export function scheduleOf(steps: number, learningRate: number): Schedule {
  return { learningRate, warmupSteps: Math.min(200, Math.ceil(steps / 20)), finalShare: 0.05 };
}

/**
 * Sequences a step. Small models train for a short time, and then many noisy steps teach more than few smooth ones: 0.84M
 * tokens of the starter corpus took 4 layers of 128 to 2.23 bits per byte in steps of 16 sequences, and to 2.02 in steps of
 * 4. The noise that a model bears falls as it gets better (McCandlish et al., arXiv:1812.06162), so larger ones take more.
 */
export function defaultBatch({ width }: Pick<ModelConfig, "width">): number {
  return width <= 128 ? 4 : width <= 256 ? 8 : 16;
}

export function planRun(
  options: CheckedPretrainOptions,
  model: ModelConfig,
  rest: Pick<RunPlan, "threads" | "target" | "training_tokens" | "heldout_tokens" | "steps">,
): RunPlan {
  const { batch = defaultBatch(model), accumulate = 1, seed = 0 } = options;
  const { sequence } = model;
  return {
    model,
    parameters: countParameters(model),
    training_flops_per_token: trainingFlopsPerToken(model, sequence),
    batch,
    sequence,
    accumulate,
    horizons: [{ from: 0, steps: rest.steps }],
    schedule: scheduleOf(rest.steps, options.learningRate ?? defaultLearningRate(model.width)),
    optimizer: ADAMW_DEFAULTS,
    seed,
    ...rest,
  };
}

/** How many steps the run was meant to have at a step: what the learning rate there follows. */
export function stepsAt(plan: RunPlan, step: number): number {
  return plan.horizons.reduce((steps, horizon) => (horizon.from <= step ? horizon.steps : steps), plan.steps);
}

/** The plan with another end from a step on. */
export function withHorizon(plan: RunPlan, from: number, steps: number): RunPlan {
  return { ...plan, steps, horizons: [...plan.horizons, { from, steps }] };
}
