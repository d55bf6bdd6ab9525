/** @file The runs of a sweep: budgets × sizes, or sizes × tokens, and each with every varied setting. */

import type { z } from "zod";
import { countParameters, trainingFlopsPerToken } from "../../model/index.js";
import {
  bestParams,
  chooseSizes,
  diskFor,
  flopsForTokens,
  type pretrainOptions,
  type Sizes,
  stepsFor,
  vocabularyFor,
  weightsForParams,
} from "../../train/index.js";
import { shapesAround, toPowerOfTwo } from "./shapes.js";
import type { Varied } from "./variations.js";

/** A run of a sweep, before it starts. */
export interface SweepRun {
  /** Name of its folder in `runs/`. */
  readonly name: string;
  readonly flops: number;
  readonly params: number;
  readonly layers: number;
  readonly width: number;
  readonly sequence: number;
  readonly batch: number;
  readonly accumulate: number;
  readonly learningRate: number;
  readonly seed: number;
  readonly steps: number;
  /** Trained on. */
  readonly tokens: number;
  /** Index of its mixture among those varied. */
  readonly mixture?: number;
  /** Warm-up steps, if they are not the default. */
  readonly warmup?: number;
  /**
   * The run whose steps before its decay are this one's, too: a WSD run continues there (Hägele et al., arXiv:2405.18392). Without
   * it the run starts from its first step.
   */
  readonly after?: { readonly run: string; readonly step: number };
}

export interface GridRequest {
  /** Budgets, unless `tokens` vary. */
  readonly flops: readonly number[];
  readonly sizes: number;
  readonly varied: Varied;
  readonly vocabSize: number;
  /** Bytes of the training text. */
  readonly textBytes: number;
  readonly sequence?: number;
  readonly seed: number;
  /** With `wsd`, the token counts of a size share one long run up to their decays. */
  readonly schedule?: string;
}

/** All runs share one optimizer: a law of two would be none. */
export const SWEEP_OPTIMIZER = "muon";

type Given = z.output<typeof pretrainOptions>;

/** What all runs of a size have in common, and its part of their names. */
interface Setting {
  readonly given: Given;
  readonly seed: number;
  readonly mixture?: number;
  readonly label: string;
}

/** Weights in the layers of the best size for a budget; the embedding table counts as params, as in the dial. */
const centerOf = (flops: number, vocabSize: number) => weightsForParams(bestParams(flops), "all", vocabSize);

/** Width at which the table of a sweep's vocabulary takes at most half of the params of the best size. */
const TABLE_WIDTH = 64;

/** Returns the vocabulary of a sweep: a power of two that leaves params for the layers, at most that of one large run. */
export function sweepVocabulary(largest: number, textBytes: number): number {
  const most = 2 ** Math.floor(Math.log2(bestParams(largest) / 2 / TABLE_WIDTH));
  return Math.min(vocabularyFor(largest, textBytes).value, Math.max(LEAST_VOCABULARY, most));
}

const LEAST_VOCABULARY = 512;

/** Returns all runs; batch and learning rate follow the dial for the budget of each. */
export function gridOf(request: GridRequest): SweepRun[] {
  const { flops, sizes, varied, vocabSize, textBytes, schedule } = request;
  const runs = new Map<string, SweepRun>();
  const add = (run: SweepRun) => runs.set(run.name, run);
  const sized = ({ given }: Setting, budget: number) => chooseSizes(given, budget, textBytes, { vocabSize });
  if (varied.tokens === undefined) {
    for (const budget of flops) {
      const best = centerOf(budget, vocabSize);
      for (const setting of settingsOf(request, sizes === 1 ? best : toPowerOfTwo(best))) {
        add(runOf(`c${short(budget)}`, setting, sized(setting, budget), budget));
      }
    }
    return [...runs.values()];
  }
  const tokens = varied.tokens.toSorted((a, b) => a - b);
  const middle = Math.sqrt(tokens[0] * tokens[tokens.length - 1]);
  for (const setting of settingsOf(request, centerOf(flopsForTokens(middle), vocabSize))) {
    const { model, sequence } = sized(setting, 1e12);
    const budgetOf = (count: number) => count * trainingFlopsPerToken(model, sequence);
    if (schedule === "wsd") for (const run of sharedRuns(tokens, setting, sized(setting, budgetOf(middle)))) add(run);
    else {
      for (const count of tokens) {
        add(runOf(`d${short(count)}`, setting, sized(setting, budgetOf(count)), budgetOf(count)));
      }
    }
  }
  return [...runs.values()];
}

/** Sizes around the weights, each with every varied setting. */
function settingsOf({ sizes, varied, vocabSize, sequence, seed }: GridRequest, weights: number): Setting[] {
  return shapesAround(weights, sizes).flatMap(({ layers, width }) =>
    (varied.batch ?? [undefined]).flatMap((batch) =>
      (varied.lr ?? [undefined]).flatMap((learningRate) =>
        (varied.seed ?? [seed]).flatMap((runSeed) =>
          (varied.mix ?? [undefined]).map((mixture, index): Setting => {
            const parts = [
              `l${layers}w${width}`,
              ...(varied.batch === undefined ? [] : [`b${batch}`]),
              ...(learningRate === undefined ? [] : [`lr${short(learningRate)}`]),
              ...(varied.seed === undefined ? [] : [`s${runSeed}`]),
              ...(mixture === undefined ? [] : [`m${index}`]),
            ];
            const given = {
              layers,
              width,
              sequence,
              batch,
              learningRate,
              vocabSize,
              optimizer: SWEEP_OPTIMIZER,
            } as Given;
            return { given, seed: runSeed, label: parts.join("-"), ...(mixture !== undefined && { mixture: index }) };
          }),
        ),
      ),
    ),
  );
}

function runOf(name: string, setting: Setting, sizes: Sizes, budget: number): SweepRun {
  return sizedRun(`${name}-${setting.label}`, setting, sizes, stepsFor(budget, sizes));
}

function sizedRun(name: string, { seed, mixture }: Setting, sizes: Sizes, steps: number): SweepRun {
  const { model, sequence, batch, accumulate, learningRate } = sizes;
  const tokens = steps * batch * accumulate * sequence;
  return {
    name,
    flops: tokens * trainingFlopsPerToken(model, sequence),
    params: countParameters(model),
    ...{ layers: model.layers, width: model.width, sequence, batch, accumulate, learningRate, seed, steps, tokens },
    ...(mixture !== undefined && { mixture }),
  };
}

/** Parts of a WSD run between checkpoints. Its decay is the last of them, so that there is a checkpoint before it. */
const PARTS = 5;

/**
 * Runs of one size with a WSD schedule: each continues from the one before at the beginning of its decay, and has the bits of a run of
 * its own. Their rate and batch are those of the middle token count.
 */
function sharedRuns(tokens: readonly number[], setting: Setting, sizes: Sizes): SweepRun[] {
  const perStep = sizes.batch * sizes.accumulate * sizes.sequence;
  const steps = [...new Set(tokens.map((count) => PARTS * Math.max(1, Math.round(count / perStep / PARTS))))];
  const warmup = Math.min(200, Math.ceil(steps[0] / 20));
  const runs: SweepRun[] = [];
  for (const [i, count] of steps.entries()) {
    const before = runs[i - 1];
    const run = sizedRun(`d${short(count * perStep)}-${setting.label}`, setting, sizes, count);
    runs.push({
      ...{ ...run, warmup },
      ...(before !== undefined && { after: { run: before.name, step: before.steps - before.steps / PARTS } }),
    });
  }
  return runs;
}

/** Steps that a run itself trains. */
export const ownSteps = ({ steps, after }: Pick<SweepRun, "steps" | "after">) => steps - (after?.step ?? 0);

/** FLOPs that a run itself costs; with a shared beginning fewer than `flops`. */
export const ownFlops = (run: SweepRun) => (run.flops * ownSteps(run)) / run.steps;

/** Groups runs that continue from each other, in order; most are alone. */
export function chainsOf(runs: readonly SweepRun[]): SweepRun[][] {
  const chains = new Map<string, SweepRun[]>();
  for (const run of runs) {
    const chain = run.after === undefined ? undefined : chains.get(run.after.run);
    if (chain === undefined) chains.set(run.name, [run]);
    else {
      chain.push(run);
      chains.set(run.name, chain);
    }
  }
  return [...new Set(chains.values())];
}

const short = (value: number) =>
  value >= 1e4
    ? value
        .toExponential(2)
        .replace("e+", "e")
        .replace(/\.?0+e/, "e")
    : String(Number(value.toPrecision(3)));

/** Returns the sizes of a run, as `pretrain` chooses them. */
export function sizesOfRun(run: SweepRun, vocabSize: number): Sizes {
  const { layers, width, sequence, batch, accumulate, learningRate, flops } = run;
  const given = { layers, width, sequence, batch, accumulate, learningRate, optimizer: SWEEP_OPTIMIZER } as Given;
  return chooseSizes(given, flops, 0, { vocabSize });
}

/** Bytes on disk of the run folders: their last checkpoints, and the one being written. */
export function diskOf(runs: readonly SweepRun[], vocabSize: number): number {
  const isShared = new Set(runs.flatMap(({ after }) => after?.run ?? []));
  return runs.reduce((sum, run) => {
    const kept = keptBy(isShared.has(run.name));
    return sum + diskFor(sizesOfRun(run, vocabSize).model, { tokens: 0, bytesPerToken: 2 }, kept + 1);
  }, 0);
}

/** Checkpoints that a run keeps: the last one, and the one before its decay if another run continues there. */
export const keptBy = (isShared: boolean) => (isShared ? 2 : 1);
