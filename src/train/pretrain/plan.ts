/**
 * @file The plan of pretraining: every setting that determines its results, fixed before the first step. The same plan,
 * text, machine and threads give the same bits.
 */
import { QuernError } from "../../errors.js";
import {
  activationBytes,
  countParameters,
  defineModel,
  type ModelConfig,
  trainingFlopsPerToken,
} from "../../model/index.js";
import type { TextOrder } from "../data/loader.js";
import { type OptimizerKind, optimizerOf } from "../optimizer/optimizer.js";
import type { Schedule } from "../optimizer/schedule.js";
import { identityOf, type RunPlan, validationInterval } from "../run/plan.js";
import {
  batchFor,
  type Derived,
  type DialLaw,
  flopsOfModel,
  headsFor,
  learningRateFor,
  MAX_USEFUL_EPOCHS,
  optimizerFor,
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
  /** Tokens whose logits training computes (sampled-head.ts); absent for the whole vocabulary. */
  readonly candidates?: number;
  /** Whether the backward pass recomputes each layer instead of storing its activations. */
  readonly recompute: boolean;
  /** Rows contain pieces of several documents, which do not attend to each other; true for every run. */
  readonly packed: true;
  readonly order: TextOrder;
  readonly training_tokens: number;
  readonly heldout_tokens: number;
  /** SHA-256 of the token shards' header, which contains the checksums of all tokens. */
  readonly dataset: string;
}

/** Returns the identity of a run, which its checkpoints store. */
export function pretrainIdentity(plan: PretrainPlan): string {
  // The default order and the whole head are left out, as in the identities of runs that had no other.
  const order = plan.order === "given" ? [plan.order] : [];
  return identityOf(
    plan,
    plan.model,
    plan.dataset,
    ...order,
    ...(plan.candidates === undefined ? [] : [plan.candidates]),
  );
}

/** The sizes of a run, chosen before anything is built, and their reasons. */
export interface Sizes {
  readonly model: ModelConfig;
  readonly sequence: number;
  readonly batch: number;
  readonly accumulate: number;
  readonly learningRate: number;
  readonly optimizer: OptimizerKind;
  /** Tokens whose logits training computes; undefined for the whole vocabulary, and until the text's tokens are counted. */
  readonly candidates?: number;
  /** Estimated FLOPs of the whole run. */
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

/** Returns the compute budget in FLOPs; null if only steps are given, or the peak of the machine is needed but unknown. */
export function budgetOf(
  {
    flops,
    depth,
    minutes,
    steps,
    vocabSize,
  }: Pick<CheckedPretrainOptions, "flops" | "depth" | "minutes" | "steps"> & { readonly vocabSize?: number },
  peakFlops: number | null,
  law?: DialLaw,
): number | null {
  if (flops !== undefined) return flops;
  if (depth !== undefined) return flopsOfModel({ layers: depth, width: widthOfDepth(depth), vocabSize }, law);
  // Training reaches about half of the peak.
  if (steps === undefined && peakFlops !== null) return (minutes ?? DEFAULT_MINUTES) * 60 * peakFlops * 0.5;
  return null;
}

export const DEFAULT_MINUTES = 3;

/** Budget for choosing sizes if none is known, in FLOPs: about an hour on a laptop. */
const UNKNOWN_BUDGET = 4e14;

/**
 * Chooses sizes for a budget and a text; sizes in the options win.
 * @param textBytes bytes of the training text, or an estimate
 * @param vocabSize size of an existing tokenizer
 * @param base model of continued training, whose sizes are kept
 * @param law replaces the published constants
 * @param params size wanted, instead of the best one for the budget
 * @param ranks processes that divide the batches of a step; the batches given in the options are those of each
 * @throws QuernError for inconsistent sizes
 */
export function chooseSizes(
  o: CheckedPretrainOptions,
  budget: number | null,
  textBytes: number,
  by: {
    readonly vocabSize?: number;
    readonly base?: ModelConfig;
    readonly law?: DialLaw;
    readonly params?: number;
    readonly ranks?: number;
  } = {},
): Sizes {
  const { base, law, ranks = 1 } = by;
  const { reasons, choose } = withReasons();
  const flopsForSizes = budget ?? UNKNOWN_BUDGET;
  const model = base ?? chooseModel(o, flopsForSizes, textBytes, by, choose);
  if (base !== undefined) reasons.model = `the model of ${o.from}`;
  const sequence = choose("sequence", o.sequence, () =>
    model.sequence < 256
      ? { value: model.sequence, reason: "maximum of the model" }
      : { value: 256, reason: "about a page of text; a small model gains less from longer context than it costs" },
  );
  if (sequence > model.sequence) {
    throw new QuernError(
      `a sequence of ${sequence} tokens exceeds the maximum of the model, ${model.sequence}; lower --sequence`,
      { exitCode: 2 },
    );
  }
  const flops = budget ?? flopsOfModel(model, law);
  const sequencesFor = (optimizer: OptimizerKind) =>
    batchFor(flops, sequence, o, { textBytes: textBytes || Number.POSITIVE_INFINITY, law, optimizer });
  // AdamW's batches are smaller: where Muon costs too much beside its own, it does beside those.
  const wanted = sequencesFor("muon");
  const optimizer = choose("optimizer", o.optimizer, () =>
    optimizerFor(model, wanted.batch.value * wanted.accumulate.value * sequence, sequence, base !== undefined),
  );
  const { batch, accumulate } = optimizer === "muon" ? wanted : sequencesFor(optimizer);
  const perRank = {
    batch: choose("batch", o.batch, () => ({ ...batch, value: Math.max(1, Math.round(batch.value / ranks)) })),
    accumulate: choose("accumulate", o.accumulate, () => accumulate),
  };
  const sequences = { batch: perRank.batch, accumulate: ranks * perRank.accumulate };
  if (ranks > 1) reasons.accumulate = `${perRank.accumulate} for each of ${ranks} ranks (${reasons.accumulate})`;
  const tokens = sequences.batch * sequences.accumulate * sequence;
  const learningRate = choose("learningRate", o.learningRate, () =>
    learningRateFor(flops, tokens, { continued: base !== undefined, law, optimizer }),
  );
  return { model, sequence, ...sequences, learningRate, optimizer, flops, reasons };
}

function chooseModel(
  o: CheckedPretrainOptions,
  flops: number,
  textBytes: number,
  { vocabSize: known, law, params }: { readonly vocabSize?: number; readonly law?: DialLaw; readonly params?: number },
  choose: ReturnType<typeof withReasons>["choose"],
): ModelConfig {
  const vocabulary = known ?? o.vocabSize ?? vocabularyFor(flops, textBytes).value;
  const best = sizesForFlops(flops, textBytes, { law, params, vocabSize: vocabulary });
  const layers = choose("layers", o.layers ?? o.depth, () => best.layers);
  const width = choose("width", o.width, () =>
    o.depth === undefined && o.layers === undefined
      ? best.width
      : o.depth === undefined
        ? { ...best.width, reason: `${best.width.reason}; chosen without regard to the given layers` }
        : {
            value: widthOfDepth(layers),
            reason: "48 per layer (Kaplan et al., arXiv:2001.08361, figure 5), rounded to 32",
          },
  );
  const heads = choose("heads", o.heads, () => headsFor(width));
  const vocabSize = choose("vocabSize", known === o.vocabSize ? known : undefined, () => {
    const wanted = vocabularyFor(flops, textBytes);
    if (known === undefined) return o.vocabSize === undefined ? wanted : { value: o.vocabSize, reason: OVERRIDDEN };
    return { value: known, reason: known === wanted.value ? wanted.reason : "size of the tokenizer" };
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

/**
 * Returns the schedule: linear warm-up over a fifth of the steps (at most 200), then by default cosine decay to 5 % of the
 * rate. With a shorter warm-up, seeds of small runs ended up to .4 nats apart (docs/log.md).
 */
export function scheduleOf(
  o: Pick<CheckedPretrainOptions, "schedule" | "warmup">,
  steps: number,
  learningRate: number,
): Schedule {
  const kind = o.schedule ?? "cosine";
  return {
    kind,
    learningRate,
    warmupSteps: o.warmup ?? Math.min(200, Math.ceil(steps / 5)),
    decaySteps: Math.ceil(steps / 5), // a fifth is enough (Hägele et al., arXiv:2405.18392, section 3)
    // A linear decay works best down to 0 (Bergsma et al., arXiv:2502.15938), and so does the short decay of wsd.
    finalShare: kind === "linear" || kind === "wsd" ? 0 : 0.05,
  };
}

/** FLOPs per token of the forward and backward pass; a sampled head has `candidates` rows. */
export function flopsPerToken({
  model,
  sequence,
  candidates,
}: Pick<Sizes, "model" | "sequence" | "candidates">): number {
  const left = candidates === undefined ? 0 : model.vocabSize - candidates;
  return trainingFlopsPerToken(model, sequence) - 6 * model.width * left;
}

/** Returns the number of steps for a budget in FLOPs, at least one. */
export function stepsFor(flops: number, sizes: Sizes): number {
  const { batch, accumulate, sequence } = sizes;
  const step = flopsPerToken(sizes) * batch * accumulate * sequence;
  return Math.max(1, Math.round(flops / step));
}

/**
 * Makes the plan of a run from its sizes and measurements.
 * @param why the reason for the number of steps
 * @throws QuernError if the run would repeat its text more than a million times
 */
export function makePlan(
  o: CheckedPretrainOptions,
  sizes: Sizes,
  rest: Pick<
    PretrainPlan,
    "threads" | "target" | "precision" | "training_tokens" | "heldout_tokens" | "dataset" | "steps" | "expected"
  >,
  why: string,
): PretrainPlan {
  const { model, sequence, batch, accumulate, learningRate, optimizer, candidates, reasons } = sizes;
  const epochs = (rest.steps * batch * accumulate * sequence) / Math.max(1, rest.training_tokens);
  const tooMany = `the run would train for ${shownCount(epochs)} epochs`;
  if (epochs > MAX_PLANNED_EPOCHS) {
    throw new QuernError(`${tooMany}; give more text, or a smaller budget`, { exitCode: 2 });
  }
  const warnings =
    epochs <= FULL_EPOCHS
      ? []
      : [
          `${tooMany}: up to ${FULL_EPOCHS} teach about as much as new text, and more than ${MAX_USEFUL_EPOCHS} hardly ` +
            "anything (Muennighoff et al., arXiv:2305.16264); give more text, or a smaller budget",
        ];
  return {
    model,
    parameters: countParameters(model),
    training_flops_per_token: flopsPerToken(sizes),
    ...(candidates !== undefined && { candidates }),
    batch,
    sequence,
    accumulate,
    cuts: [],
    schedule: scheduleOf(o, rest.steps, learningRate),
    optimizer: optimizerOf({ ...o, optimizer }),
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

/** Epochs that teach about as much as new text (Muennighoff et al., arXiv:2305.16264). */
const FULL_EPOCHS = 4;
/** More must be a typo. */
const MAX_PLANNED_EPOCHS = 1e6;

const shownCount = (x: number) => (x < 10 ? x.toFixed(1) : Math.round(x).toLocaleString("en"));

/**
 * Returns a lower bound of the training memory in bytes: fp32 weights and gradients, one moment (Muon's) or two
 * (AdamW's), and each layer's stored activations. Ranks divide moments with `zero` 1, and gradients too with 2. The
 * compiled program has the exact number; this bound only rejects impossible runs early.
 */
export function leastMemory(
  { model, batch, sequence, optimizer }: Pick<Sizes, "model" | "batch" | "sequence" | "optimizer">,
  recompute: boolean,
  { zero, ranks }: { readonly zero: number; readonly ranks: number } = { zero: 0, ranks: 1 },
) {
  // With recomputation, only the input of each layer is stored.
  const activations = recompute
    ? 4 * batch * sequence * model.width * model.layers
    : activationBytes(model, batch, sequence);
  const moments = (optimizer === "muon" ? 4 : 8) / (zero >= 1 ? ranks : 1);
  const gradients = 4 / (zero >= 2 ? ranks : 1);
  return Math.ceil((4 + gradients + moments) * countParameters(model)) + activations;
}

/**
 * Returns the bytes on disk: token shards, and the checkpoints including the one being written. All of them contain weights;
 * the newest three also contain optimizer state.
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
