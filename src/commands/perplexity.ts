import { perplexityOptions } from "../eval/perplexity-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Say how well a model predicts texts: nats and bits a token, perplexity, bits per byte (comparable across tokenizers), a " +
    "line a file and the total. Each text begins with the model's beginning-of-text token, or its end-of-text token where it " +
    "has none; every token of the text is predicted once, the end of the text is not. Long texts go through in windows of T " +
    "tokens that begin every N: a window counts the tokens that no window before it has counted, so that all but the first " +
    "T see at least T − N tokens before them.",
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
