/**
 * @file The speedrun: from raw text to a model that answers questions, on this machine, in minutes.
 *
 *     npm start                          about fifteen minutes
 *     npm start -- --fast                about two minutes, with little text
 *     npm start -- --minutes 40          a better model
 *     npm start -- --stage pretrain      only the base model
 *
 * First the base model: raw text → clean documents → no duplicates, no spam (by a classifier trained first), no overlap with
 * the held-out text → the mix and its funnel → tokenizer → token shards → a transformer sized for the time → training → bits
 * per byte on held-out text of each source, compared with compressors and an n-gram model → samples → a report.
 * Then the chat model (`speedrun-align.ts`): fine-tuning on questions made of WordNet → preferences between its own answers →
 * DPO, and a reward model with PPO → GRPO with a verifiable reward → a table of all of them on held-out questions, and
 * benchmarks beside chance.
 * Without a C compiler the model is smaller.
 */
import { join } from "node:path";
import { z } from "zod";
import { examineMachine } from "../src/backends/index.js";
import { defineCommand } from "../src/commands/command.js";
import { runProcess } from "../src/commands/process.js";
import { type OnProgress, writeFileAtomic } from "../src/documents/index.js";
import { pretrain, shortenedLine } from "../src/train/index.js";
import { alignSpeedrun, scoreSpeedrun } from "./speedrun-align.js";
import { benchmarkSpeedrun, benchmarkTable } from "./speedrun-benchmarks.js";
import { type ModelScore, scoreTable } from "./speedrun-evaluation.js";
import { makeSpeedrunCorpus, readRawText, type SpeedrunCorpus } from "./speedrun-text.js";

const STAGES = ["pretrain", "align"] as const;

/** Minutes in all, and their parts: text and pretraining, post-training, its evaluation. */
const MINUTES = { usual: 15, fast: 2 };
const PARTS = { pretrain: 8 / 15, align: 6 / 15, evaluate: 1 / 15 };
/** Held-out questions of each task. */
const QUESTIONS = { usual: 300, fast: 60 };

const speedrun = defineCommand({
  description:
    "Train a chat model from scratch in minutes: raw text, cleaning, tokenizer, pretraining, fine-tuning, preferences, reinforcement learning, evaluation.",
  options: z.object({
    minutes: z
      .number()
      .positive()
      .optional()
      .describe("time budget in minutes, for everything (default 15)")
      .meta({ value: "M" }),
    fast: z.boolean().default(false).describe("finish in about two minutes: one novel, some mail, a small model"),
    text: z
      .array(z.string())
      .min(1)
      .optional()
      .describe("train on these files or folders, uncleaned, instead of the starter corpus")
      .meta({ value: "PATH" }),
    stage: z
      .enum(STAGES)
      .optional()
      .describe("stop after pretraining, or after post-training without its evaluation (default: do everything)"),
    base: z.string().optional().describe("base model to post-train, instead of pretraining one").meta({ value: "RUN" }),
    out: z.string().optional().describe("folder of the run (default runs/speedrun-<time>)").meta({ value: "RUN" }),
    seed: z.int().min(0).default(0).describe("seed of all random numbers"),
  }),
  async run({ minutes, fast, text, stage, base, out, seed }, { print, signal, onProgress }) {
    const started = performance.now();
    const run = out ?? join("runs", `speedrun-${new Date().toISOString().slice(0, 19).replace(/[T:]/g, "-")}`);

    const whole = minutes ?? (fast ? MINUTES.fast : MINUTES.usual);
    const parts = [
      ...(base === undefined ? [PARTS.pretrain] : []),
      ...(stage === "pretrain" ? [] : [PARTS.align]),
      ...(stage === undefined ? [PARTS.evaluate] : []),
    ];
    const promised = whole * parts.reduce((total, part) => total + part, 0);
    const calls = { signal, onProgress };
    const finish = <T extends object>(result: T) => {
      const seconds = secondsSince(started);
      print(`done in ${(seconds / 60).toFixed(1)} of ${Number(promised.toFixed(1))} minutes`);
      return { ...result, seconds, minutes: seconds / 60, promised };
    };

    // 1. The machine that every figure below refers to.
    print((await examineMachine({ measure: false })).line);

    // 2. A base model, from raw text.
    const made =
      base === undefined
        ? await makeBase({ run, fast, text, seed, minutes: whole * PARTS.pretrain, print, ...calls })
        : undefined;
    const bitsPerByte = made && {
      model_bits_per_byte: made.result.bits_per_byte,
      ngram_bits_per_byte: made.result.ngram_bits_per_byte,
    };
    const pretrained = { ...made, ...bitsPerByte };
    if (stage === "pretrain") {
      print(`try it: npx quern generate --model ${run} --prompt "The "`);
      return finish(pretrained);
    }

    // 3. Fine-tuning, preferences and reinforcement learning.
    print("\npost-training");
    const candidates = await alignSpeedrun({
      ...{ base: base ?? run, out: `${run}-align`, minutes: whole * PARTS.align, seed, print },
      ...calls,
    });
    const models = Object.fromEntries(candidates.map(({ name, model }) => [name, model]));
    // Without right answers to learn from, it is the fine-tuned one.
    const best = models.GRPO ?? models.SFT;
    if (stage === "align") {
      print(`try it: npx quern chat --model ${best}`);
      return finish({ ...pretrained, models });
    }

    // 4. All models on held-out questions.
    const scores = await scoreSpeedrun(candidates, fast ? QUESTIONS.fast : QUESTIONS.usual, calls);
    print("\nheld-out questions, with 95 % intervals");
    for (const line of scoreTable(scores)) print(line);
    printAnswers(scores, print);

    // 5. Benchmarks, beside chance, of the base model, the fine-tuned one and the one that followed it.
    const shown = candidates.filter(({ name, model }) => name === "base" || name === "SFT" || model === best);
    const benchmarks = await benchmarkSpeedrun(shown, calls);
    const bits = made === undefined ? [] : [...(made.result.sources ?? []), { ...made.result, source: "all" }];
    print("\nevaluation, with 95 % intervals");
    const names = shown.map(({ name }) => name);
    for (const line of benchmarkTable(names, bits, benchmarks, scores)) print(line);
    await writeFileAtomic(
      join(`${run}-align`, "scores.json"),
      `${JSON.stringify({ seed, models, scores, benchmarks }, null, 1)}\n`,
    );
    print(`\ntry it: npx quern chat --model ${best}`);
    return finish({ ...pretrained, models, scores, benchmarks });
  },
});

interface BaseOptions {
  readonly run: string;
  readonly fast: boolean;
  readonly text: readonly string[] | undefined;
  readonly minutes: number;
  readonly seed: number;
  readonly print: (line?: string) => void;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** Pretrains the base model and prints its results. */
async function makeBase({ run, fast, text, minutes, seed, print, signal, onProgress }: BaseOptions) {
  const started = performance.now();

  // 1. Text: speeches, a novel, a dictionary and raw mail, downloaded once and cleaned; or the user's own text, unchanged.
  let made: SpeedrunCorpus | undefined;
  if (text === undefined) {
    const raw = await readRawText({ fast, signal, onProgress });
    made = await makeSpeedrunCorpus(raw.documents, raw.sortedMail, `${run}-text`, { signal, onProgress });
    printCorpus(made, print);
  }

  // 2. Tokenizer, shards, training, evaluation: one library call that writes one run folder.
  // Downloading and cleaning count towards the budget, but a slow network must not leave training without time.
  const left = Math.max(minutes / 2, minutes - secondsSince(started) / 60);
  const done = await pretrain({
    text: made === undefined ? [...(text as readonly string[])] : [made.corpus.documents],
    heldOut: made?.heldOut,
    out: run,
    minutes: left,
    seed,
    signal,
    onProgress,
  });

  // 3. Results.
  const { plan, result } = done;
  const { model } = plan;
  const steps = done.shortened?.steps ?? plan.steps;
  const tokens = steps * plan.batch * plan.sequence * plan.accumulate;
  print(
    `model: ${(plan.parameters / 1e6).toFixed(1)}M parameters (${model.layers} layers of width ${model.width}, ` +
      `${model.vocabSize} tokens), trained on ${(tokens / 1e6).toFixed(1)}M tokens in ${done.trainingSeconds.toFixed(0)} s`,
  );
  if (done.shortened !== null) print(shortenedLine(done.shortened));
  for (const { prompt, before, after } of result.samples ?? []) {
    print(`\n${prompt} …`);
    print(`  before: ${oneLine(before)}`);
    print(`  after:  ${oneLine(after)}`);
  }
  const rows = [...(result.sources ?? []), { ...result, source: "all" }];
  const wide = Math.max(...rows.map(({ source }) => source.length)) + 9;
  print("\nbits per byte on held-out text (lower is better)");
  const columns = [
    ["model", "bits_per_byte"],
    ["5-gram", "ngram_bits_per_byte"],
    ["xz", "xz_bits_per_byte"],
    ["brotli", "brotli_bits_per_byte"],
    ["gzip", "gzip_bits_per_byte"],
  ] as const;
  // Without the xz program there is no xz column.
  const known = columns.filter(([, key]) => result[key] !== undefined);
  print(" ".repeat(wide + 1) + known.map(([name]) => name.padStart(8)).join(""));
  for (const row of rows) {
    const size = `${((row.heldout_bytes ?? 0) / 1e6).toFixed(2)} MB`;
    const figures = known.map(([, key]) => (row[key] ?? Number.NaN).toFixed(3).padStart(8));
    print(`${row.source}${size.padStart(wide - row.source.length)} ${figures.join("")}`);
  }
  print(`report: ${done.report}`);
  return done;
}

/** Prints each model's answers to one question of each task. */
function printAnswers(scores: readonly ModelScore[], print: (line?: string) => void): void {
  const wide = Math.max(...scores.map(({ name }) => name.length));
  const questions = scores[0].examples.length;
  const tasks = Object.keys(scores[0].accuracy_by_task).length;
  for (let task = 0; task < tasks; task++) {
    const i = Math.floor((task * questions) / tasks);
    print(`\n${scores[0].examples[i].question}`);
    for (const { name, examples } of scores) {
      print(`  ${name.padEnd(wide)}  ${examples[i].right ? "✓" : " "} ${oneLine(examples[i].answer)}`);
    }
  }
}

/** Prints the funnel from raw documents to the mix, the accuracy of the spam classifier, and the shares of the mix. */
function printCorpus({ corpus, spamClassifier }: SpeedrunCorpus, print: (line?: string) => void): void {
  const wide = Math.max(...corpus.steps.map(({ step }) => step.length));
  print(`${"".padEnd(wide)}  documents in    kept   MB out`);
  for (const { step, documents, bytes } of corpus.steps) {
    const figures = [String(documents.in).padStart(14), String(documents.kept).padStart(8)];
    print(`${step.padEnd(wide)}${figures.join("")}${(bytes.out / 1e6).toFixed(1).padStart(9)}`);
  }
  print(
    `spam classifier: ${(100 * spamClassifier.right).toFixed(1)} % accuracy on ${spamClassifier.tested} held-out mails ` +
      `(always "ham": ${(100 * spamClassifier.commonest).toFixed(1)} %), trained on ${spamClassifier.trained}`,
  );
  const parts = corpus.mix.groups.map(
    ({ name, share, bytesWritten }) => `${name} ${(bytesWritten / 1e6).toFixed(1)} MB, ${(100 * share).toFixed(0)} %`,
  );
  print(`mix, each document once: ${parts.join("; ")}`);
  print(`corpus report: ${corpus.report}`);
}

const secondsSince = (started: number) => (performance.now() - started) / 1000;
const oneLine = (text = "") => text.replace(/\s+/g, " ").trim();

await runProcess(
  [
    {
      words: "speedrun",
      summary: "train a chat model from scratch in minutes",
      load: async () => ({ default: speedrun }),
    },
  ],
  ["speedrun", ...process.argv.slice(2)],
);
