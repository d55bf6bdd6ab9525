/**
 * @file Preference optimisation, top to bottom: pairs → tokens → log-probabilities of the reference, computed once → the run
 * (`run.ts`).
 */
import { join } from "node:path";
import type { z } from "zod";
import type { Program } from "../backends/index.js";
import { counted } from "../counted.js";
import { QuernError } from "../errors.js";
import type { TrainingBatch } from "../train/index.js";
import { longestOf, rowsOf } from "./data/batches.js";
import { type EncodedPair, type EncodedText, encodePair } from "./data/encode.js";
import { type Example, type ExampleOf, readExamples } from "./data/examples.js";
import { encodePairs } from "./data/pairs.js";
import { type Preview, previewPairs } from "./data/preview.js";
import { truncatePair } from "./data/truncate.js";
import { dpoOptions, MIXTURES } from "./dpo-options.js";
import { exampleBatches } from "./example-batches.js";
import { prepareUnpaired } from "./kto.js";
import { UNPAIRED_LOSSES, type UnpairedLossName } from "./losses/kto.js";
import {
  PREFERENCE_DEFAULTS,
  type PreferenceLossName,
  type PreferenceOptions,
  WITHOUT_REFERENCE,
} from "./losses/preference.js";
import { preferenceTrainer, scoreEntry, type WeightedLoss } from "./losses/preference-trainer.js";
import { learningRateFor, refuseMemory } from "./plan.js";
import { dropoutValues, openPolicy, type Policy } from "./policy.js";
import { cached, withOtherModel } from "./precomputed.js";
import { previewAlignment, runAlignment } from "./run.js";
import type { AlignCalls, AlignResult, Context, Previewed, Task } from "./task.js";

export type DpoOptions = z.input<typeof dpoOptions> & AlignCalls;
type Checked = z.output<typeof dpoOptions>;

/**
 * Trains a model on pairs of a chosen and a rejected answer, by DPO or one of its relatives; writes a run folder whose
 * checkpoints are Hugging Face models.
 * @throws QuernError for data of another form, losses that do not fit their options, a reference with another vocabulary
 */
export function dpo(options: DpoOptions): Promise<AlignResult> {
  const inputs = ({ model, reference, data = [], evalData = [] }: Checked) => [model, reference, ...data, ...evalData];
  return runAlignment("dpo", dpoOptions, options, inputs, prepareDpo);
}

/** Returns the first pairs of a run of `dpo` as the model sees them. */
export const previewDpo = (options: Previewed<DpoOptions>, count: number): Promise<readonly Preview[]> =>
  previewAlignment(dpoOptions, options, count, prepareDpo);

async function prepareDpo(context: Context<Checked>): Promise<Task> {
  const { o, base, note, signal, folder } = context;
  const unpaired = unpairedLossOf(o);
  if (unpaired !== null) return prepareUnpaired(context, unpaired);
  if (o.data === undefined) throw new QuernError("--data is missing: the preferences to learn from", { exitCode: 2 });
  const losses = lossesOf(o);
  const options = preferenceOptions(o, losses);
  const read = (paths: readonly string[]) => readExamples(paths, ["preference"], { strict: o.strict, signal });
  const { examples, report } = await read(o.data);
  note(`${counted(examples.length, "example")}: preferences`);
  for (const [reason, count] of Object.entries(report.skipped)) note(`skipped ${count}: ${reason}`);
  const isChat = examples.some((example) => example.form === "preference" && typeof example.chosen !== "string");
  const policy = await openPolicy(base, o, { isChat, note });
  const { config } = policy;
  refuseMemory(policy);

  const limit = Math.min(o.maxLength ?? 1024, config.sequence);
  const encode = (list: readonly Example[], what: string) =>
    encodePairs(list as readonly ExampleOf<"preference">[], what, note, async (example) => {
      const whole = await encodePair(example, policy);
      const cut = truncatePair(whole, limit, o.truncate ?? "right");
      return { whole, cut };
    });
  const pairs = await encode(examples, "preference");
  const heldOut = o.evalData === undefined ? null : await encode((await read(o.evalData)).examples, "evaluation pair");
  const all = [...pairs, ...(heldOut ?? [])];
  const sequence = longestOf(all.flatMap(({ chosen, rejected }) => [chosen, rejected]));
  const B = o.batch ?? 8;
  const { lengthAlpha = 1 } = o;
  const weighted = lengthAlpha < 1;
  const shape = { pairs: B, sequence, weighted };
  const trainer = preferenceTrainer(policy, shape, losses, options);

  /** Rows of a batch: chosen answers, then rejected ones; empty rows fill it up. */
  const rowsFor = (chosen: readonly EncodedPair[]): TrainingBatch => {
    const fill = Array.from({ length: B - chosen.length }, () => EMPTY);
    const texts = [...chosen.map((pair) => pair.chosen), ...fill, ...chosen.map((pair) => pair.rejected), ...fill];
    const rows = rowsOf(texts, sequence);
    return weighted ? { ...rows, weights: lengthWeights(rows.targets, B, sequence, lengthAlpha) } : rows;
  };
  const usesReference = losses.some(({ name }) => !WITHOUT_REFERENCE.has(name));
  /** Log-probabilities of both answers of each pair, training pairs first: chosen at 2i, rejected at 2i + 1. */
  let reference = new Float32Array(2 * all.length);
  const withReference = (numbers: readonly number[]): TrainingBatch => {
    const values = new Float32Array(2 * B);
    for (const [row, i] of numbers.entries()) {
      values[row] = reference[2 * i];
      values[B + row] = reference[2 * i + 1];
    }
    return { ...rowsFor(numbers.map((i) => all[i])), reference: values };
  };
  const scoreAll = async (program: Program, dropout = {}): Promise<Float32Array<ArrayBuffer>> => {
    const scores = new Float32Array(2 * all.length);
    for (let first = 0; first < all.length; first += B) {
      signal?.throwIfAborted();
      context.onProgress?.({ task: "score reference", done: first, total: all.length, unit: "pair" });
      const numbers = Array.from({ length: Math.min(B, all.length - first) }, (_, i) => first + i);
      await program.run("score", { ...rowsFor(numbers.map((i) => all[i])), ...dropout });
      const rows = await program.read("log_probabilities");
      for (const [row, i] of numbers.entries()) {
        scores[2 * i] = rows[row];
        scores[2 * i + 1] = rows[B + row];
      }
    }
    return scores;
  };
  const entry = (model: Pick<Policy, "config" | "weights">) => scoreEntry(model, shape);

  return {
    model: config,
    trainer,
    rows: 2 * B,
    sequence,
    batch: B,
    examples: pairs.length,
    identity: [pairs.map(({ chosen, rejected }) => [chosen, rejected].map(plain)), losses, options, lengthAlpha],
    ...learningRateFor(1e-6, policy),
    reasons: {
      ...learningRateFor(1e-6, policy).reasons,
      sequence: "the longest answer with its prompt",
      batch: counted(B, "pair"),
    },
    warnings: [],
    writeWeights: ({ program }) => policy.writeWeights(program),
    async begin(training) {
      if (!usesReference) return;
      const cache = folder === null ? null : join(folder, "cache", "reference.safetensors");
      reference = await cached(cache, 2 * all.length, training, () =>
        o.reference === undefined
          ? scoreAll(training.program, dropoutValues(policy, 0))
          : withOtherModel(o.reference, config.vocabSize, { entry, training, target: context.target }, scoreAll),
      );
    },
    ...exampleBatches({
      ...{
        policy,
        options: o,
        batch: B,
        training: pairs.length,
        heldOut: heldOut?.length ?? null,
        rows: withReference,
      },
      tokens: (n) => all[n].chosen.ids.length + all[n].rejected.ids.length,
    }),
    format: ({ program }) => policy.format(program),
    preview: (count) => previewPairs(pairs, count, policy.tokenizer),
    close: async () => {},
  };
}

const EMPTY: EncodedText = { ids: [0], learned: new Uint8Array(1) };
const plain = ({ ids, learned }: EncodedText) => [Array.from(ids), Array.from(learned)];

/** The loss of unpaired answers that the options name; null for pairs. @throws QuernError for one in a mixture */
function unpairedLossOf({ loss = [], desirableWeight, undesirableWeight }: Checked): UnpairedLossName | null {
  const found = loss.find((name): name is UnpairedLossName => name in UNPAIRED_LOSSES);
  if (found === undefined) {
    if (desirableWeight === undefined && undesirableWeight === undefined) return null;
    throw new QuernError("--desirable-weight and --undesirable-weight need --loss kto or apo_zero_unpaired", {
      exitCode: 2,
    });
  }
  if (loss.length === 1) return found;
  throw new QuernError(`the loss ${found} takes answers without pairs; it cannot be mixed with others`, {
    exitCode: 2,
  });
}

/** The mixture that the options name. @throws QuernError for weights that are not one per loss */
function lossesOf({ loss = ["sigmoid"], lossWeights }: Checked): WeightedLoss[] {
  if (lossWeights !== undefined && lossWeights.length !== loss.length) {
    throw new QuernError(
      `--loss-weights has ${counted(lossWeights.length, "weight")} for ${counted(loss.length, "loss", "losses")}`,
      { exitCode: 2 },
    );
  }
  const losses = loss.flatMap((name, i): WeightedLoss[] => {
    const weight = lossWeights?.[i] ?? 1;
    const parts: Readonly<Record<string, number>> =
      name in MIXTURES ? MIXTURES[name as keyof typeof MIXTURES] : { [name]: 1 };
    return Object.entries(parts).map(([part, share]) => ({
      name: part as PreferenceLossName | "sft",
      weight: weight * share,
    }));
  });
  const twice = losses.find(({ name }, i) => losses.findIndex((other) => other.name === name) < i);
  if (twice === undefined) return losses;
  throw new QuernError(`--loss names ${twice.name} twice`, { exitCode: 2 });
}

function preferenceOptions(o: Checked, losses: readonly WeightedLoss[]): PreferenceOptions {
  const { beta = losses.some(({ name }) => name === "simpo") ? 2 : PREFERENCE_DEFAULTS.beta } = o;
  const { labelSmoothing = 0, fDivergence = PREFERENCE_DEFAULTS.fDivergence, alpha = PREFERENCE_DEFAULTS.alpha } = o;
  const { gamma = PREFERENCE_DEFAULTS.gamma, discopopTau = PREFERENCE_DEFAULTS.discopopTau } = o;
  if (labelSmoothing === 0 && losses.some(({ name }) => name === "exo_pair")) {
    throw new QuernError("the loss exo_pair needs --label-smoothing above 0", { exitCode: 2 });
  }
  const { weighting = false } = o;
  const sorting = losses.find(({ name }) => name === "aot" || name === "aot_unpaired");
  if (weighting && sorting !== undefined) {
    throw new QuernError(
      `the loss ${sorting.name} sorts the pairs of a batch and cannot weigh each; leave out --weighting`,
      {
        exitCode: 2,
      },
    );
  }
  return { beta, labelSmoothing, fDivergence, alpha, gamma, discopopTau, weighting };
}

/**
 * Weights of the tokens of each answer: 1 up to the length of the shorter answer of the pair, `alpha` beyond it (LD-DPO: Liu
 * et al., arXiv:2409.06411).
 */
export function lengthWeights(targets: Int32Array, B: number, T: number, alpha: number): Float32Array {
  const weights = new Float32Array(targets.length);
  const lengthOf = (row: number) => targets.subarray(row * T, (row + 1) * T).reduce((n, id) => n + (id < 0 ? 0 : 1), 0);
  for (let row = 0; row < 2 * B; row++) {
    const shared = Math.min(lengthOf(row), lengthOf((row + B) % (2 * B)));
    let seen = 0;
    for (let t = row * T; t < (row + 1) * T; t++) {
      if (targets[t] < 0) continue;
      weights[t] = seen < shared ? 1 : alpha;
      seen += 1;
    }
  }
  return weights;
}
