/**
 * @file Reward models, top to bottom: pairs of answers → tokens → a transformer with a head of one score → the run
 * (`run.ts`). `reward-model.ts` scores texts with the result.
 */
import type { z } from "zod";
import type { Program } from "../backends/index.js";
import { counted } from "../counted.js";
import { QuernError } from "../errors.js";
import { openTextModel, type TextModel } from "../infer/index.js";
import { countParameters, initialValues, lastToken, SCORE, scoreParameter, withoutHead } from "../model/index.js";
import { variable } from "../tensor/index.js";
import type { Tokenizer } from "../tokenizer/index.js";
import { type TrainingBatch, type TrainingProgram, trainable } from "../train/index.js";
import { longestOf, rowsOf } from "./data/batches.js";
import { type EncodedPair, type EncodedText, encodePair } from "./data/encode.js";
import { type Example, type ExampleOf, readExamples } from "./data/examples.js";
import { encodePairs, isEqual } from "./data/pairs.js";
import { type Preview, previewPairs } from "./data/preview.js";
import { endOfCompletion } from "./data/templates.js";
import { truncatePair } from "./data/truncate.js";
import { exampleBatches } from "./example-batches.js";
import { rewardTrainer } from "./losses/reward.js";
import { learningRateFor, refuseMemory } from "./plan.js";
import { adapterBaseOf, openPolicy } from "./policy.js";
import { classifierFormat, rewardAdapterFormat } from "./reward-checkpoint.js";
import { rewardOptions } from "./reward-options.js";
import { type PairRewards, pairLosses, pairStatistics } from "./reward-statistics.js";
import { previewAlignment, runAlignment } from "./run.js";
import type { AlignCalls, AlignResult, Context, Previewed, Task } from "./task.js";

export type RewardOptions = z.input<typeof rewardOptions> & AlignCalls;
type Checked = z.output<typeof rewardOptions>;

/**
 * Trains a reward model on pairs of a chosen and a rejected answer; writes a run folder whose checkpoints are sequence
 * classifiers. It starts from a language model, or from a reward model whose head is kept.
 * @throws QuernError for data of another form, or pairs of which none can be used
 */
export function reward(options: RewardOptions): Promise<AlignResult> {
  const inputs = ({ model, data = [], evalData = [] }: Checked) => [model, ...data, ...evalData];
  return runAlignment("reward", rewardOptions, options, inputs, prepareReward, openAny);
}

/** Returns the first pairs of a run of `reward` as the model sees them. */
export const previewReward = (options: Previewed<RewardOptions>, count: number): Promise<readonly Preview[]> =>
  previewAlignment(rewardOptions, options, count, prepareReward, openAny);

const openAny = (path: string) => openTextModel(path, { classifier: true });

async function prepareReward(context: Context<Checked>): Promise<Task> {
  const { o, base, note, signal } = context;
  if (o.data === undefined) throw new QuernError("--data is missing: the preferences to learn from", { exitCode: 2 });
  const read = (paths: readonly string[]) => readExamples(paths, ["preference"], { strict: o.strict, signal });
  const { examples, report } = await read(o.data);
  note(`${counted(examples.length, "example")}: preferences`);
  for (const [reason, count] of Object.entries(report.skipped)) note(`skipped ${count}: ${reason}`);
  const isChat = examples.some((example) => example.form === "preference" && typeof example.chosen !== "string");
  const policy = await openPolicy(trunkOf(base), o, { isChat, note });
  const { config, lora, tokenizer, ends } = policy;
  refuseMemory(policy);
  const { readScore } = base.model;
  note(readScore === undefined ? "a new head for the score" : "the head is that of the reward model");
  const padding = lora === null ? paddingOf(base, tokenizer) : (base.model.padding ?? null);

  const limit = Math.min(o.maxLength ?? 1024, config.sequence);
  const encode = (list: readonly Example[], what: string) =>
    encodePairs(list as readonly ExampleOf<"preference">[], what, note, async (example) => {
      const whole = await encodePair(example, policy);
      return { whole, cut: truncatePair(whole, limit, o.truncate ?? "drop") };
    });
  const pairs = await encode(examples, "preference");
  const held = o.evalData === undefined ? null : await encode((await read(o.evalData)).examples, "evaluation pair");
  // Equal answers have equal rewards: they say nothing about the accuracy.
  const heldOut = held?.filter(({ chosen, rejected }) => !isEqual(chosen.ids, rejected.ids)) ?? null;
  if (heldOut?.length === 0) throw new QuernError("all evaluation pairs have equal answers", { exitCode: 2 });
  const sequence = longestOf([...pairs, ...(heldOut ?? [])].flatMap(({ chosen, rejected }) => [chosen, rejected]));
  const B = o.batch ?? 8;

  const head = variable(SCORE, scoreParameter(config).shape);
  const learning = [...policy.trainable, trainable(head, { kind: "table" })];
  const trainer = rewardTrainer({ ...policy, trainable: learning }, head, { pairs: B, sequence }, o.center ?? 0);
  /** Rows of a batch: chosen answers, then rejected ones; empty rows fill it up. */
  const batchOf = (list: readonly EncodedPair[]): TrainingBatch => {
    const fill = Array.from({ length: B - list.length }, () => EMPTY);
    const half = (part: "chosen" | "rejected") => [...list.map((pair) => pair[part]), ...fill];
    const texts = [...half("chosen"), ...half("rejected")];
    const places = texts.map((text, row) => (text === EMPTY ? -1 : row * sequence + lastToken(text.ids, padding)));
    const margin = Float32Array.from({ length: B }, (_, i) => list[i]?.margin ?? 0);
    return { ids: rowsOf(texts, sequence).ids, places: Int32Array.from(places), margin };
  };
  const all = [...pairs, ...(heldOut ?? [])];
  const batches = exampleBatches({
    ...{ policy, options: o, batch: B, training: pairs.length, heldOut: heldOut?.length ?? null },
    rows: (numbers) => batchOf(numbers.map((n) => all[n])),
    tokens: (n) => all[n].chosen.ids.length + all[n].rejected.ids.length,
  });
  let rewards: readonly PairRewards[] | null = null;
  const scoreHeldOut = async (program: Program, list: readonly EncodedPair[]): Promise<PairRewards[]> => {
    const found: PairRewards[] = [];
    for (const batch of batches.evaluation?.() ?? []) {
      context.onProgress?.({ task: "score held-out pairs", done: found.length, total: list.length, unit: "pair" });
      await program.run("score", batch);
      const scores = await program.read("scores");
      for (const [i, { margin }] of list.slice(found.length, found.length + B).entries()) {
        found.push({ chosen: scores[i], rejected: scores[B + i], margin });
      }
    }
    return found;
  };

  return {
    model: config,
    parameters: countParameters(config) + config.width,
    trainer,
    rows: 2 * B,
    sequence,
    batch: B,
    examples: pairs.length,
    identity: [
      pairs.map(({ chosen, rejected, margin }) => [chosen, rejected].map(plain).concat([[margin]])),
      o.center ?? 0,
    ],
    ...learningRateFor(1e-5, policy),
    reasons: {
      ...learningRateFor(1e-5, policy).reasons,
      sequence: "the longest answer with its prompt",
      batch: counted(B, "pair"),
    },
    warnings: [],
    async writeWeights({ program }) {
      await policy.writeWeights(program);
      const values = readScore === undefined ? initialValues(scoreParameter(config), o.seed ?? 0) : await readScore();
      program.write(SCORE, values);
    },
    ...batches,
    ...(heldOut !== null && {
      async evaluate({ program }: TrainingProgram) {
        rewards = await scoreHeldOut(program, heldOut);
        return pairLosses(rewards, o.center ?? 0);
      },
      async summarize({ program }: TrainingProgram) {
        // Of the last evaluation, which was after the last step; a finished run that is resumed has none.
        rewards ??= await scoreHeldOut(program, heldOut);
        const margins = rewards.map(({ chosen, rejected }) => chosen - rejected);
        return { ...pairStatistics(margins), equal_pairs: (held?.length ?? 0) - margins.length };
      },
    }),
    format: ({ program }) => {
      const files = { config, tokenizer, ends, padding };
      return lora === null
        ? classifierFormat(program, files)
        : rewardAdapterFormat(program, files, { lora, base: adapterBaseOf(base, o.model as string) });
    },
    preview: (count) => previewPairs(pairs, count, tokenizer),
    close: async () => {},
  };
}

const EMPTY: EncodedText = { ids: [0], learned: new Uint8Array(1) };
const plain = ({ ids }: EncodedText) => Array.from(ids);

/** A language model without its head, as a reward model has it. */
const trunkOf = (base: TextModel): TextModel => ({
  ...base,
  model: { ...base.model, config: withoutHead(base.model.config) },
});

/**
 * The token that pads batches: the one that the model names, else the tokenizer's, else the end of the text. transformers reads
 * the score at the last token that is another.
 */
function paddingOf({ model }: TextModel, tokenizer: Tokenizer): number | null {
  const { pad_token: named } = tokenizer.parts.config ?? {};
  const content =
    typeof named === "string" ? named : (named as { readonly content?: string } | null | undefined)?.content;
  const known = [model.padding ?? undefined, content === undefined ? undefined : tokenizer.idOf(content)];
  return known.find((id) => id !== undefined && id < model.config.vocabSize) ?? endOfCompletion(tokenizer) ?? null;
}
