/**
 * @file Training on answers that are labelled good or bad one by one: examples → tokens → log-probabilities of the reference,
 * computed once → the run (`run.ts`). `quern dpo --loss kto` comes here.
 */
import { join } from "node:path";
import type { z } from "zod";
import type { Program } from "../backends/index.js";
import { counted } from "../counted.js";
import { QuernError } from "../errors.js";
import type { TrainingBatch } from "../train/index.js";
import { longestOf, rowsOf } from "./data/batches.js";
import { type EncodedText, encodeAnswer } from "./data/encode.js";
import { type Content, type Example, type ExampleOf, readExamples } from "./data/examples.js";
import { previewTexts } from "./data/preview.js";
import { isLearned, truncate } from "./data/truncate.js";
import type { dpoOptions } from "./dpo-options.js";
import { exampleBatches } from "./example-batches.js";
import { UNPAIRED_DEFAULTS, type UnpairedLossName } from "./losses/kto.js";
import { ktoTrainer, needsKl, unpairedScoreEntry } from "./losses/kto-trainer.js";
import { learningRateFor, refuseMemory } from "./plan.js";
import { dropoutValues, openPolicy, type Policy } from "./policy.js";
import { cached, chunks, withOtherModel } from "./precomputed.js";
import type { Context, Task } from "./task.js";

type Checked = z.output<typeof dpoOptions>;

interface Labelled {
  readonly text: EncodedText;
  readonly label: boolean;
}

/** An answer with its label; a pair is a good answer and a bad one. */
function answersOf(example: Example): readonly {
  readonly example: ExampleOf<"unpaired" | "preference">;
  readonly answer: Content;
  readonly label: boolean;
}[] {
  if (example.form === "unpaired") return [{ example, answer: example.completion, label: example.label }];
  if (example.form !== "preference") throw new TypeError(`a ${example.form} example has no labelled answer`);
  return [
    { example, answer: example.chosen, label: true },
    { example, answer: example.rejected, label: false },
  ];
}

/** Prepares a run of `dpo` with a loss of unpaired answers. @throws QuernError for data without labels, or of one label */
export async function prepareUnpaired(context: Context<Checked>, loss: UnpairedLossName): Promise<Task> {
  const { o, base, note, signal, folder } = context;
  if (o.data === undefined) throw new QuernError("--data is missing: the answers to learn from", { exitCode: 2 });
  const { beta = UNPAIRED_DEFAULTS.beta, desirableWeight = 1, undesirableWeight = 1 } = o;
  const options = { beta, desirableWeight, undesirableWeight };
  const read = (paths: readonly string[]) =>
    readExamples(paths, ["unpaired", "preference"], { strict: o.strict, signal });
  const { examples, report, form } = await read(o.data);
  note(
    `${counted(examples.length, "example")}: ${form === "unpaired" ? "labelled answers" : "preferences, each two answers"}`,
  );
  for (const [reason, count] of Object.entries(report.skipped)) note(`skipped ${count}: ${reason}`);
  const isChat = examples.some((example) => answersOf(example).some(({ answer }) => typeof answer !== "string"));
  const policy = await openPolicy(base, o, { isChat, note });
  const { config } = policy;
  refuseMemory(policy);

  const limit = Math.min(o.maxLength ?? 1024, config.sequence);
  const encode = async (list: readonly Example[], what: string): Promise<Labelled[]> => {
    const encoded: Labelled[] = [];
    const counts = { truncated: 0, dropped: 0, empty: 0 };
    for (const { example, answer, label } of list.flatMap(answersOf)) {
      const whole = await encodeAnswer(example.prompt, answer, example, policy);
      const text = truncate(whole, limit, o.truncate ?? "right");
      if (text === null) counts.dropped += 1;
      else if (!isLearned(text)) counts.empty += 1;
      else encoded.push({ text, label });
      if (text !== null && text !== whole) counts.truncated += 1;
    }
    if (counts.truncated > 0) note(`${counted(counts.truncated, what)} truncated to the maximum length`);
    if (counts.dropped > 0) note(`${counted(counts.dropped, what)} dropped: longer than the maximum length`);
    if (counts.empty > 0) note(`${counted(counts.empty, what)} dropped: no token is left`);
    if (encoded.length > 0) return encoded;
    throw new QuernError(`no answer is left of ${counted(list.length, "example")}; check --max-length`, {
      exitCode: 2,
    });
  };
  const answers = await encode(examples, "answer");
  noteBalance(answers, options, note);
  const heldOut =
    o.evalData === undefined ? null : await encode((await read(o.evalData)).examples, "evaluation answer");
  const all = [...answers, ...(heldOut ?? [])];
  const B = o.batch ?? 8;
  const others = needsKl(loss) ? [answers, heldOut ?? []].flatMap((part) => mismatched(part, B, limit)) : [];
  if (needsKl(loss) && (B < 2 || answers.length < 2)) {
    throw new QuernError(
      "kto estimates the KL from answers to other prompts; give --batch 2 or more, and two examples",
      {
        exitCode: 2,
      },
    );
  }
  const sequence = longestOf([...all.map(({ text }) => text), ...others]);
  const shape = { batch: B, sequence };
  const trainer = ktoTrainer(policy, shape, loss, options);
  const entry = (model: Pick<Policy, "config" | "weights">) => unpairedScoreEntry(model, shape, loss);

  const rowsFor = (numbers: readonly number[]): TrainingBatch => {
    const filled = (texts: readonly EncodedText[]) =>
      rowsOf([...texts, ...Array.from({ length: B - texts.length }, () => EMPTY)], sequence);
    const own = filled(numbers.map((i) => all[i].text));
    if (!needsKl(loss)) return own;
    const other = filled(numbers.map((i) => others[i]));
    return { ...own, other_ids: other.ids, other_targets: other.targets };
  };
  /** Log-probabilities under the reference: of the answers, then of the mismatched ones. */
  let reference = new Float32Array(2 * all.length);
  const withReference = (numbers: readonly number[]): TrainingBatch => {
    const row = (value: (i: number) => number) =>
      Float32Array.from({ length: B }, (_, r) => (r < numbers.length ? value(numbers[r]) : 0));
    return {
      ...rowsFor(numbers),
      labels: row((i) => (all[i].label ? 1 : 0)),
      reference: row((i) => reference[i]),
      ...(needsKl(loss) && { other_reference: row((i) => reference[all.length + i]) }),
    };
  };
  const scoreAll = async (program: Program, dropout = {}): Promise<Float32Array<ArrayBuffer>> => {
    const scores = new Float32Array(2 * all.length);
    for (const numbers of chunks(all.length, B)) {
      signal?.throwIfAborted();
      context.onProgress?.({ task: "score reference", done: numbers[0], total: all.length, unit: "answer" });
      await program.run("score", { ...rowsFor(numbers), ...dropout });
      const read = async (name: string, at: number) => {
        const rows = await program.read(name);
        for (const [row, i] of numbers.entries()) scores[at + i] = rows[row];
      };
      await read("log_probabilities", 0);
      if (needsKl(loss)) await read("other_log_probabilities", all.length);
    }
    return scores;
  };

  return {
    model: config,
    trainer,
    rows: needsKl(loss) ? 2 * B : B,
    sequence,
    batch: B,
    examples: answers.length,
    identity: [
      answers.map(({ text, label }) => [Array.from(text.ids), Array.from(text.learned), label]),
      loss,
      options,
    ],
    ...learningRateFor(1e-6, policy),
    reasons: {
      ...learningRateFor(1e-6, policy).reasons,
      sequence: "the longest answer with its prompt",
      batch: counted(B, "answer"),
    },
    warnings: [],
    writeWeights: ({ program }) => policy.writeWeights(program),
    async begin(training) {
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
        training: answers.length,
        heldOut: heldOut?.length ?? null,
        rows: withReference,
      },
      tokens: (n) => all[n].text.ids.length + (others[n]?.ids.length ?? 0),
    }),
    format: ({ program }) => policy.format(program),
    preview: (count) =>
      previewTexts(
        answers.map(({ text }) => text),
        count,
        policy.tokenizer,
      ),
    close: async () => {},
  };
}

const EMPTY: EncodedText = { ids: [0], learned: new Uint8Array(1) };

/**
 * Each prompt with the answer before it, within blocks of the size of a batch: pairs that do not match, of which the KL is
 * estimated. The first prompt of a block has its last answer; a block of one prompt has the answer before it.
 */
function mismatched(answers: readonly Labelled[], block: number, longest: number): EncodedText[] {
  return answers.map(({ text }, i) => {
    const first = i - (i % block);
    const size = Math.min(block, answers.length - first);
    const partner = size === 1 ? Math.max(0, i - 1) : i > first ? i - 1 : first + size - 1;
    const other = answers[partner].text;
    const [start, from] = [text, other].map(({ learned }) => learned.indexOf(1));
    const slice = (ids: ArrayLike<number>, begin: number, end: number) =>
      Array.prototype.slice.call(ids, begin, end) as number[];
    const ids = [...slice(text.ids, 0, start), ...slice(other.ids, from, other.ids.length)].slice(0, longest);
    return { ids, learned: new Uint8Array(ids.length).fill(1, Math.min(start, ids.length)) };
  });
}

/** Suggests weights where one label is far more frequent (Ethayarajh et al., arXiv:2402.01306, eq. 8). */
function noteBalance(
  answers: readonly Labelled[],
  { desirableWeight, undesirableWeight }: { readonly desirableWeight: number; readonly undesirableWeight: number },
  note: (line: string) => void,
): void {
  const good = answers.filter(({ label }) => label).length;
  const bad = answers.length - good;
  note(`${counted(good, "answer is", "answers are")} labelled good, ${bad} bad`);
  if (good === 0 || bad === 0) {
    throw new QuernError(`all answers are labelled ${good === 0 ? "bad" : "good"}; the loss needs both`, {
      exitCode: 2,
    });
  }
  const ratio = (good * desirableWeight) / (bad * undesirableWeight);
  if (ratio >= 0.75 && ratio <= 4 / 3) return;
  const better = Number(((bad * undesirableWeight) / good).toPrecision(2));
  note(`the labels weigh ${ratio.toFixed(2)} : 1; --desirable-weight ${better} balances them`);
}
