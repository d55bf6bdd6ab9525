/**
 * @file The speedrun: from nothing to a language model that speaks, in minutes, on this machine.
 *
 *     npm start                    about eight minutes
 *     npm start -- --fast          under a minute, with little text
 *     npm start -- --minutes 20    a better model
 *
 * The story, top to bottom: raw text, some of it really dirty → clean documents → no duplicates, no spam (by a judge that was
 * learned from sorted mail), nothing that the held-out text has too → the mix, and the funnel of it all → tokenizer → token shards → a transformer sized for the time → training → bits per byte on text it has
 * never seen, of each source, beside compressors and an n-gram model → samples → a report. Without a C compiler it is the
 * same story with a smaller model.
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
    "Train a language model from nothing in minutes: raw text, cleaning, tokenizer, model, verdict, samples, report.",
  options: z.object({
    minutes: z.number().positive().optional().describe("how long all of it may take (default 8)").meta({ value: "M" }),
    fast: z.boolean().default(false).describe("under a minute: one novel and a little mail, a small model"),
    text: z
      .array(z.string())
      .min(1)
      .optional()
      .describe("learn from these files or folders, as they are, instead of the starter corpus")
      .meta({ value: "PATH" }),
    out: z.string().optional().describe("folder of the run (default runs/speedrun-<time>)").meta({ value: "RUN" }),
    seed: z.int().min(0).default(0).describe("seed of everything drawn"),
  }),
  async run({ minutes, fast, text, out, seed }, { print, signal, onProgress }) {
    const started = performance.now();
    const run = out ?? join("runs", `speedrun-${new Date().toISOString().slice(0, 19).replace(/[T:]/g, "-")}`);

    // 1. The machine, which every figure below stands beside.
    print((await examineMachine({ measure: false })).line);

    // 2. Text: speeches, a novel, a dictionary and raw mail, fetched once and made a corpus of; or the user's own, as it is.
    let made: SpeedrunCorpus | undefined;
    if (text === undefined) {
      const raw = await readRawText({ fast, signal, onProgress });
      made = await makeSpeedrunCorpus(raw.documents, raw.sortedMail, `${run}-text`, { signal, onProgress });
      tellCorpus(made, print);
    }

    // 3. Tokenizer, shards, model, training, verdict: one library call, and a folder that holds all of it.
    const promised = minutes ?? (fast ? 0.75 : 8);
    // What fetching and cleaning took is part of the promise; a network may be slower than any of it.
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

    // 4. What came of it.
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
    const rows = [...(result.sources ?? []), { ...result, source: "all of it" }];
    const wide = Math.max(...rows.map(({ source }) => source.length)) + 9;
    print("\nbits per byte of text that it never saw");
    const columns = [
      ["model", "bits_per_byte"],
      ["5-gram", "ngram_bits_per_byte"],
      ["xz", "xz_bits_per_byte"],
      ["brotli", "brotli_bits_per_byte"],
      ["gzip", "gzip_bits_per_byte"],
    ] as const;
    // A machine without the program xz has no such column.
    const known = columns.filter(([, key]) => result[key] !== undefined);
    print(" ".repeat(wide + 1) + known.map(([name]) => name.padStart(8)).join(""));
    for (const row of rows) {
      const size = `${((row.heldout_bytes ?? 0) / 1e6).toFixed(2)} MB`;
      const figures = known.map(([, key]) => (row[key] ?? Number.NaN).toFixed(3).padStart(8));
      print(`${row.source}${size.padStart(wide - row.source.length)} ${figures.join("")}`);
    }
    print(`report: ${done.report}`);
    print(`talk to it: npx quern generate --model ${run} --prompt "The "`);
    const seconds = secondsSince(started);
    print(`done in ${(seconds / 60).toFixed(1)} minutes of ${promised} promised`);
    return { ...done, seconds };
  },
});

/** The funnel from raw documents to the mix, how good the judge of mail is, and what the mix is made of. */
function tellCorpus({ corpus, judge }: SpeedrunCorpus, print: (line?: string) => void): void {
  const wide = Math.max(...corpus.steps.map(({ step }) => step.length));
  print(`${"".padEnd(wide)}  documents in    kept   MB out`);
  for (const { step, documents, bytes } of corpus.steps) {
    const figures = [String(documents.in).padStart(14), String(documents.kept).padStart(8)];
    print(`${step.padEnd(wide)}${figures.join("")}${(bytes.out / 1e6).toFixed(1).padStart(9)}`);
  }
  print(
    `judge of mail: ${(100 * judge.right).toFixed(1)} % of ${judge.tested} mails of other months and threads told rightly ` +
      `(always "wanted": ${(100 * judge.commonest).toFixed(1)} %), learned from ${judge.trained}`,
  );
  const parts = corpus.mix.groups.map(
    ({ name, share, bytesWritten }) => `${name} ${(bytesWritten / 1e6).toFixed(1)} MB, ${(100 * share).toFixed(0)} %`,
  );
  print(`mix, each document once: ${parts.join("; ")}`);
  print(`the funnel, duplicates side by side, quality and the mix as a picture: ${corpus.report}`);
}

const secondsSince = (started: number) => (performance.now() - started) / 1000;
const oneLine = (text = "") => text.replace(/\s+/g, " ").trim();

await runProcess(
  [{ words: "speedrun", summary: "from nothing to a model that speaks", load: async () => ({ default: speedrun }) }],
  ["speedrun", ...process.argv.slice(2)],
);
