/**
 * @file The plan of pretraining: all that decides its numbers, fixed before the first step. The same plan, text, machine
 * and threads give the same bits.
 */
import { QuernError } from "../../errors.js";
import { countParameters, defineModel, type ModelConfig, trainingFlopsPerToken } from "../../model/index.js";
import type { TextOrder } from "../data/loader.js";
import { optimizerOf } from "../optimizer/optimizer.js";
import type { Schedule } from "../optimizer/schedule.js";
import { identityOf, type RunPlan, validationInterval } from "../run/plan.js";
import {
  batchFor,
  type Derived,
  flopsOfModel,
  headsFor,
  learningRateFor,
  MOST_READINGS,
  sizesForFlops,
  vocabularyFor,
  widthOfDepth,
} from "./dial.js";
import type { CheckedPretrainOptions } from "./pretrain-options.js";

/** What pretraining adds to the plan of every trainer. */
export interface PretrainPlan extends RunPlan {
  readonly model: ModelConfig;
  readonly parameters: number;
  readonly training_flops_per_token: number;
  /** Computes each layer again in the backward pass instead of keeping it. */
  readonly recompute: boolean;
  /** Rows hold several documents, which do not see each other; the same of every run. */
  readonly packed: true;
  readonly order: TextOrder;
  readonly training_tokens: number;
  readonly heldout_tokens: number;
  /** SHA-256 of the token shards' header, which holds the checksums of all tokens. */
  readonly dataset: string;
}

/** A name for what a plan trains: its checkpoints carry it. */
export function pretrainIdentity(plan: PretrainPlan): string {
  // Shuffled text is the default, and not named.
  return identityOf(plan, plan.model, plan.dataset, ...(plan.order === "given" ? [plan.order] : []));
}

/** The sizes of a run before anything is built, and why. */
export interface Sizes {
  readonly model: ModelConfig;
  readonly sequence: number;
  readonly batch: number;
  readonly accumulate: number;
  readonly learningRate: number;
  /** Floating-point operations of the whole run, as far as they are known before it. */
  readonly flops: number;
  readonly reasons: Readonly<Record<string, string>>;
}

const OVERRIDDEN = "as given";

/** Collects values with their reasons; overrides win. */
function withReasons() {
  const reasons: Record<string, string> = {};
  const choose = <T>(name: string, override: T | undefined, derive: () => Derived<T>): T => {
    const { value, reason } = override === undefined ? derive() : { value: override, reason: OVERRIDDEN };
    reasons[name] = reason;
    return value;
  };
  return { reasons, choose };
}

/** What there is to spend, in floating-point operations; null where only a number of steps was given, or nothing is known. */
export function budgetOf(
  { flops, depth, minutes, steps }: Pick<CheckedPretrainOptions, "flops" | "depth" | "minutes" | "steps">,
  peakFlops: number | null,
): number | null {
  if (flops !== undefined) return flops;
  if (depth !== undefined) return flopsOfModel({ layers: depth, width: widthOfDepth(depth) });
  // Training reaches about half of the peak.
  if (steps === undefined && peakFlops !== null) return (minutes ?? DEFAULT_MINUTES) * 60 * peakFlops * 0.5;
  return null;
}

export const DEFAULT_MINUTES = 3;

/** Where no budget is known, sizes are those for an hour of a laptop. */
const UNKNOWN_BUDGET = 4e14;

/**
 * Sizes for a budget and a text; every one that the options give stays.
 * @param textBytes of the training text; a guess where it is not known
 * @param vocabSize of the tokenizer where there is one already
 * @param base a model that is trained further: its sizes are not chosen
 * @throws QuernError for sizes that do not fit each other
 */
export function chooseSizes(
  o: CheckedPretrainOptions,
  budget: number | null,
  textBytes: number,
  { vocabSize, base }: { readonly vocabSize?: number; readonly base?: ModelConfig } = {},
): Sizes {
  const { reasons, choose } = withReasons();
  const flopsForSizes = budget ?? UNKNOWN_BUDGET;
  const model = base ?? chooseModel(o, flopsForSizes, textBytes, vocabSize, choose);
  if (base !== undefined) reasons.model = `the model of ${o.from}`;
  const sequence = choose("sequence", o.sequence, () =>
    model.sequence < 256
      ? { value: model.sequence, reason: "all that the model takes" }
      : { value: 256, reason: "about a page of text; attention over more costs more than it teaches a small model" },
  );
  if (sequence > model.sequence) {
    throw new QuernError(`a sequence of ${sequence} tokens is more than the ${model.sequence} that the model takes`, {
      exitCode: 2,
    });
  }
  const flops = budget ?? flopsOfModel(model);
  const { batch, accumulate } = batchFor(flops, sequence, o, textBytes || Number.POSITIVE_INFINITY);
  const sequences = {
    batch: choose("batch", o.batch, () => batch),
    accumulate: choose("accumulate", o.accumulate, () => accumulate),
  };
  const tokens = sequences.batch * sequences.accumulate * sequence;
  const learningRate = choose("learningRate", o.learningRate, () => learningRateFor(flops, tokens, base !== undefined));
  return { model, sequence, ...sequences, learningRate, flops, reasons };
}

function chooseModel(
  o: CheckedPretrainOptions,
  flops: number,
  textBytes: number,
  known: number | undefined,
  choose: ReturnType<typeof withReasons>["choose"],
): ModelConfig {
  const best = sizesForFlops(flops, textBytes);
  const layers = choose("layers", o.layers ?? o.depth, () => best.layers);
  const width = choose("width", o.width, () =>
    o.depth === undefined && o.layers === undefined
      ? best.width
      : o.depth === undefined
        ? { ...best.width, reason: `${best.width.reason}; not for these layers` }
        : {
            value: widthOfDepth(layers),
            reason: "48 a layer (Kaplan et al., arXiv:2001.08361, figure 5), in steps of 32",
          },
  );
  const heads = choose("heads", o.heads, () => headsFor(width));
  const vocabSize = choose("vocabSize", known === o.vocabSize ? known : undefined, () => {
    const wanted = vocabularyFor(flops, textBytes);
    if (known === undefined) return o.vocabSize === undefined ? wanted : { value: o.vocabSize, reason: OVERRIDDEN };
    return { value: known, reason: known === wanted.value ? wanted.reason : "as many as the tokenizer has" };
  });
  return defineModel({
    family: choose("family", o.family, () => ({ value: "llama" as const, reason: "rotary positions need no table" })),
    layers,
    width,
    heads,
    keyValueHeads: o.keyValueHeads,
    hidden: o.hidden,
    vocabSize,
    sequence: o.sequence ?? 256,
  });
}

/** Linear warm-up over the first twentieth, at most 200 steps; then down to a twentieth of the rate, by a cosine unless given. */
export function scheduleOf(
  o: Pick<CheckedPretrainOptions, "schedule" | "warmup">,
  steps: number,
  learningRate: number,
): Schedule {
  const kind = o.schedule ?? "cosine";
  return {
    kind,
    learningRate,
    warmupSteps: o.warmup ?? Math.min(200, Math.ceil(steps / 20)),
    decaySteps: Math.ceil(steps / 5), // a fifth is enough (Hägele et al., arXiv:2405.18392, section 3)
    // A straight line is best taken to nothing (Bergsma et al., arXiv:2502.15938), and so is the short fall of wsd.
    finalShare: kind === "linear" || kind === "wsd" ? 0 : 0.05,
  };
}

/** Steps for a budget of operations: at least one. */
export function stepsFor(
  flops: number,
  model: ModelConfig,
  { batch, accumulate, sequence }: Omit<Sizes, "model">,
): number {
  const step = trainingFlopsPerToken(model, sequence) * batch * accumulate * sequence;
  return Math.max(1, Math.round(flops / step));
}

/** The plan of a run from its sizes and measurements. */
export function makePlan(
  o: CheckedPretrainOptions,
  sizes: Sizes,
  rest: Pick<
    PretrainPlan,
    "threads" | "target" | "precision" | "training_tokens" | "heldout_tokens" | "dataset" | "steps" | "expected"
  >,
  why: string,
): PretrainPlan {
  const { model, sequence, batch, accumulate, learningRate, reasons } = sizes;
  const readings = (rest.steps * batch * accumulate * sequence) / Math.max(1, rest.training_tokens);
  const often = `the text would be read ${shownCount(readings)} times`;
  if (readings > MOST_PLANNED_READINGS) {
    throw new QuernError(`${often}; give more text, or train for less`, { exitCode: 2 });
  }
  const warnings =
    readings <= FULL_READINGS
      ? []
      : [
          `${often}: up to ${FULL_READINGS} teach about as much as new text, and beyond ${MOST_READINGS} hardly anything is learnt ` +
            "(Muennighoff et al., arXiv:2305.16264); give more text, or train for less",
        ];
  return {
    model,
    parameters: countParameters(model),
    training_flops_per_token: trainingFlopsPerToken(model, sequence),
    batch,
    sequence,
    accumulate,
    cuts: [],
    schedule: scheduleOf(o, rest.steps, learningRate),
    optimizer: optimizerOf(o),
    recompute: o.recompute ?? false,
    packed: true,
    seed: o.seed ?? 0,
    order: o.order ?? "shuffled",
    validate_every: validationInterval(rest.steps),
    save_every: o.saveEvery ?? null,
    ...rest,
    reasons: { ...reasons, steps: why, ...(warnings.length > 0 && { epochs: warnings[0] }) },
    warnings,
  };
}

/** Readings of a text that teach about as much as new text (Muennighoff et al., arXiv:2305.16264). */
const FULL_READINGS = 4;
/** More is a slip of the hand. */
const MOST_PLANNED_READINGS = 1e6;

const shownCount = (x: number) => (x < 10 ? x.toFixed(1) : Math.round(x).toLocaleString("en"));

/**
 * Bytes that training takes at least, before anything is built: weights, gradients and two moments in fp32, and what each
 * layer keeps for the backward pass. The compiled plan is exact; this one is in time to refuse what cannot be.
 */
export function leastMemory(
  { model, batch, sequence }: Pick<Sizes, "model" | "batch" | "sequence">,
  recompute: boolean,
) {
  const { layers, width, heads, keyValueHeads, headWidth, hidden } = model;
  // A layer's input, queries, keys, values, what attention gives, and the hidden activations; alone its input if the
  // rest is computed again.
  const kept = recompute ? width : 2 * width + (heads + 2 * keyValueHeads) * headWidth + 2 * hidden;
  return 16 * countParameters(model) + 4 * batch * sequence * kept * layers;
}

/**
 * Bytes on the disk: token shards, the models of the checkpoints that stay, and the optimizer's state of two of them and
 * of one that is being written.
 */
export function diskFor(
  model: ModelConfig,
  shards: { readonly tokens: number; readonly bytesPerToken: number },
  checkpoints: number,
): number {
  const weights = 4 * countParameters(model);
  return (
    shards.tokens * shards.bytesPerToken + (checkpoints + 1) * weights + Math.min(3, checkpoints + 1) * 2 * weights
  );
}
