/**
 * @file The speedrun: train a language model from raw text on this machine, in minutes.
 *
 *     npm start                    about eight minutes
 *     npm start -- --fast          under a minute, with little text
 *     npm start -- --minutes 20    a better model
 *
 * The steps, top to bottom: raw text → clean documents → no duplicates, no spam (by a classifier trained first), no overlap
 * with the held-out text → the mix and its funnel → tokenizer → token shards → a transformer sized for the time → training →
 * bits per byte on held-out text of each source, compared with compressors and an n-gram model → samples → a report.
 * Without a C compiler the model is smaller.
 */
import { join } from "node:path";
import { z } from "zod";
import { examineMachine } from "../src/backends/index.js";
import { defineCommand } from "../src/commands/command.js";
import { runProcess } from "../src/commands/process.js";
import { pretrain } from "../src/train/index.js";
import { makeSpeedrunCorpus, readRawText, type SpeedrunCorpus } from "./speedrun-text.js";

const speedrun = defineCommand({
  description:
    "Train a language model from scratch in minutes: raw text, cleaning, tokenizer, training, evaluation, samples, report.",
  options: z.object({
    minutes: z
      .number()
      .positive()
      .optional()
      .describe("time budget in minutes, for everything (default 8)")
      .meta({ value: "M" }),
    fast: z.boolean().default(false).describe("finish in under a minute: one novel, some mail, a small model"),
    text: z
      .array(z.string())
      .min(1)
      .optional()
      .describe("train on these files or folders, uncleaned, instead of the starter corpus")
      .meta({ value: "PATH" }),
    out: z.string().optional().describe("folder of the run (default runs/speedrun-<time>)").meta({ value: "RUN" }),
    seed: z.int().min(0).default(0).describe("seed of all random numbers"),
  }),
  async run({ minutes, fast, text, out, seed }, { print, signal, onProgress }) {
    const started = performance.now();
    const run = out ?? join("runs", `speedrun-${new Date().toISOString().slice(0, 19).replace(/[T:]/g, "-")}`);

    // 1. The machine that every figure below refers to.
    print((await examineMachine({ measure: false })).line);

    // 2. Text: speeches, a novel, a dictionary and raw mail, downloaded once and cleaned; or the user's own text, unchanged.
    let made: SpeedrunCorpus | undefined;
    if (text === undefined) {
      const raw = await readRawText({ fast, signal, onProgress });
      made = await makeSpeedrunCorpus(raw.documents, raw.sortedMail, `${run}-text`, { signal, onProgress });
      printCorpus(made, print);
    }

    // 3. Tokenizer, shards, training, evaluation: one library call that writes one run folder.
    const promised = minutes ?? (fast ? 0.75 : 8);
    // Downloading and cleaning count towards the budget, but a slow network must not leave training without time.
    const left = Math.max(promised / 2, promised - secondsSince(started) / 60);
    const done = await pretrain({
      text: made === undefined ? text : [made.corpus.documents],
      heldOut: made?.heldOut,
      out: run,
      minutes: left,
      seed,
      signal,
      onProgress,
    });

    // 4. Results.
    const { plan, result } = done;
    const { model } = plan;
    const tokens = plan.steps * plan.batch * plan.sequence * plan.accumulate;
    print(
      `model: ${(plan.parameters / 1e6).toFixed(1)}M parameters (${model.layers} layers of width ${model.width}, ` +
        `${model.vocabSize} tokens), trained on ${(tokens / 1e6).toFixed(1)}M tokens in ${done.trainingSeconds.toFixed(0)} s`,
    );
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
    print(`try it: npx quern generate --model ${run} --prompt "The "`);
    const seconds = secondsSince(started);
    print(`done in ${(seconds / 60).toFixed(1)} of ${promised} minutes`);
    return { ...done, seconds };
  },
});

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
      summary: "train a language model from scratch in minutes",
      load: async () => ({ default: speedrun }),
    },
  ],
  ["speedrun", ...process.argv.slice(2)],
);
