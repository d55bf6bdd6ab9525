import { QuernError } from "../errors.js";
import { generateOptions } from "../infer/generate-options.js";
import type { PromptResult } from "../infer/index.js";
import { defineCommand } from "./command.js";
import { readStandardInput } from "./standard-input.js";

export default defineCommand({
  description:
    "Continue one or many prompts with a trained model. Prints only the continuation, as it is generated; with several " +
    "completions, each follows a line with its number. A completion ends at the model's end tokens, including those of " +
    "generation_config.json. The sampling settings of that file are ignored.",
  options: generateOptions,
  examples: [
    'quern generate --model runs/first --prompt "Call me"',
    'quern generate --model runs/first --prompt "The sea" --temperature 0',
    "quern generate --model runs/first --prompts questions.jsonl --n 4 --json",
    'quern generate --model model.gguf --prompt "The capital of France is" --top-logits 5',
  ],
  async run(options, { signal, onProgress, json, named, write, print, log }) {
    const { prompts, n, topLogits } = options;
    if (options.prompt === undefined && prompts === undefined) {
      throw new QuernError(`give ${named("prompt")} or ${named("prompts")} (see quern generate --help)`, {
        exitCode: 2,
      });
    }
    if (options.prompt !== undefined && prompts !== undefined) {
      throw new QuernError(`give ${named("prompt")} or ${named("prompts")}, not both`, { exitCode: 2 });
    }
    const { generate } = await import("../infer/index.js");
    const prompt = options.prompt === "-" ? (await readStandardInput()).replace(/\r?\n$/, "") : options.prompt;
    const isStream = prompts === undefined && n === 1;
    const completions = json || topLogits === undefined;
    return generate({
      ...options,
      prompt,
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
  },
});

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
