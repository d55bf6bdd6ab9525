import { perplexityOptions } from "../eval/perplexity-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Measure how well a model predicts text: nats and bits per token, perplexity, and bits per byte (comparable across " +
    "tokenizers), for each file and in total. Each text starts with the model's beginning-of-text token, or its end-of-text " +
    "token if it has none. Every token is scored once; the end of the text is not scored. Long texts are read in windows of " +
    "T tokens, one every N tokens. A window scores only tokens that earlier windows did not, so after the first T tokens " +
    "each has at least T − N tokens of context.",
  options: perplexityOptions,
  positional: ["files"],
  examples: [
    "quern perplexity --model runs/first notes.txt more/",
    "quern perplexity --model runs/first notes.txt --sequence 256 --stride 256",
  ],
  async run(options, { signal, onProgress, print, log }) {
    const { perplexity } = await import("../eval/index.js");
    const result = await perplexity({ ...options, signal, onProgress });
    for (const warning of result.warnings) log(`warning: ${warning}`);
    const rows = [...result.files, ...(result.files.length > 1 ? [{ file: "total", ...result.total }] : [])];
    const wide = Math.max(4, ...rows.map(({ file }) => file.length));
    print(`${"file".padEnd(wide)}      tokens       bytes  nats/token  bits/token  perplexity  bits/byte`);
    for (const row of rows) {
      const numbers = [
        [row.tokens, 12, 0],
        [row.bytes, 12, 0],
        [row.nats_per_token, 12, 4],
        [row.bits_per_token, 12, 4],
        [row.perplexity, 12, 2],
        [row.bits_per_byte, 11, 4],
      ] as const;
      print(
        row.file.padEnd(wide) + numbers.map(([value, room, digits]) => value.toFixed(digits).padStart(room)).join(""),
      );
    }
    const { readLines } = await import("../documents/index.js");
    for (const line of readLines(result)) print(line);
    return result;
  },
});
