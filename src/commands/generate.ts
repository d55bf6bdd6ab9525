import type { z } from "zod";
import { rankingOptions } from "../align/best-of-options.js";
import { QuernError } from "../errors.js";
import { generateOptions } from "../infer/generate-options.js";
import type { PromptResult } from "../infer/index.js";
import { type CommandContext, defineCommand } from "./command.js";
import { readStandardInput } from "./standard-input.js";

const bestOfOptions = generateOptions.extend(rankingOptions.shape);

export default defineCommand({
  description:
    "Continue one or many prompts with a trained model. Prints only the continuation, as it is generated; with several " +
    "completions, each follows a line with its number. A completion ends at the model's end tokens, including those of " +
    "generation_config.json. The sampling settings of that file are ignored. With --best-of, rewards rank the completions; " +
    "their prompts may have further keys, such as answer, for the rewards.",
  options: bestOfOptions,
  computes: true,
  examples: [
    'quern generate --model runs/first --prompt "Call me"',
    'quern generate --model runs/first --prompt "The sea" --temperature 0',
    "quern generate --model runs/first --prompts questions.jsonl --n 4 --json",
    'quern generate --model model.gguf --prompt "The capital of France is" --top-logits 5',
    "quern generate --model runs/sft --prompts gsm8k.jsonl --best-of 16 --reward numeric --keep-above 0 --out good.jsonl",
  ],
  async run(options, context) {
    const { prompt: given, prompts } = options;
    const { named } = context;
    if (given === undefined && prompts === undefined) {
      throw new QuernError(`give ${named("prompt")} or ${named("prompts")} (see quern generate --help)`, {
        exitCode: 2,
      });
    }
    if (given !== undefined && prompts !== undefined) {
      throw new QuernError(`give ${named("prompt")} or ${named("prompts")}, not both`, { exitCode: 2 });
    }
    const prompt = given === "-" ? (await readStandardInput()).replace(/\r?\n$/, "") : given;
    if (options.bestOf !== undefined) return rankCompletions({ ...options, prompt, bestOf: options.bestOf }, context);
    for (const key of ["reward", "rewardWeights", "rewardTimeout", "keepAbove", "out"] as const) {
      if (options[key] !== undefined) {
        throw new QuernError(`${named(key)} needs ${named("bestOf")} N, the completions per prompt`, { exitCode: 2 });
      }
    }
    return printCompletions({ ...options, prompt }, context);
  },
});

type Options = z.output<typeof bestOfOptions>;

async function printCompletions(options: Options, context: CommandContext): Promise<object> {
  const { bestOf, reward, rewardWeights, rewardTimeout, allowCode, keepAbove, out, force, ...generating } = options;
  const { signal, onProgress, json, write, print, log } = context;
  const { prompts, n, topLogits } = options;
  const { generate } = await import("../infer/index.js");
  const isStream = prompts === undefined && n === 1;
  const completions = json || topLogits === undefined;
  return generate({
    ...generating,
    completions,
    signal,
    onProgress: isStream && !json ? undefined : onProgress,
    onWarning: (warning) => log(`warning: ${warning}`),
    onText: (piece) => {
      if (isStream) write(piece);
    },
    onResult: ({ completions, top_logits }, index) => {
      const place = prompts === undefined ? [] : [`prompt ${index + 1}`];
      if (!json && top_logits !== undefined) {
        if (place.length > 0) print(`--- ${place[0]}`);
        printTable(top_logits, print);
      } else if (!isStream) {
        for (const [i, { text }] of completions.entries()) {
          print(`--- ${[...place, ...(n > 1 ? [`completion ${i + 1}`] : [])].join(", ")}`);
          write(`${text}\n`);
        }
      } else print();
    },
  });
}

/** Prints the best completion of each prompt. */
async function rankCompletions(
  options: Options & { readonly bestOf: number },
  { signal, onProgress, named, write, print, log }: CommandContext,
): Promise<object> {
  const { reward, n, topLogits, ...ranking } = options;
  if (reward === undefined) {
    throw new QuernError(`${named("bestOf")} needs ${named("reward")}, which says what is best`, { exitCode: 2 });
  }
  if (n !== 1 || topLogits !== undefined) {
    throw new QuernError(`give ${named("bestOf")} without ${named(n === 1 ? "topLogits" : "n")}`, { exitCode: 2 });
  }
  if (options.keepAbove !== undefined && options.out === undefined) {
    throw new QuernError(`${named("keepAbove")} needs ${named("out")} FILE, where it writes`, { exitCode: 2 });
  }
  const { bestOf } = await import("../align/index.js");
  const result = await bestOf({
    ...ranking,
    reward,
    signal,
    onProgress,
    onWarning: (warning) => log(`warning: ${warning}`),
    onResult: ({ completions: [best] }, index) => {
      print(`--- ${options.prompts === undefined ? "" : `prompt ${index + 1}, `}reward ${short(best.reward)}`);
      write(`${best.text}\n`);
    },
  });
  log(`mean reward ${short(result.reward)}, of the best of ${options.bestOf} ${short(result.best_reward)}`);
  if (result.out !== undefined) log(`${result.rows} completions written to ${result.out}`);
  return result;
}

const short = (value: number) => String(Number(value.toPrecision(4)));

function printTable(tokens: NonNullable<PromptResult["top_logits"]>, print: (line: string) => void): void {
  const rows = tokens.map(({ id, text, logit, logprob }) => {
    return [String(id), JSON.stringify(text), logit.toFixed(2), logprob.toFixed(2)];
  });
  const table = [["id", "token", "logit", "logprob"], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column].length)));
  for (const row of table) {
    const cells = row.map((cell, i) => (i === 1 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])));
    print(cells.join("  ").trimEnd());
  }
}
