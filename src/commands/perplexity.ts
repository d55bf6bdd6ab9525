import type { TextScore } from "../eval/index.js";
import { perplexityComparisonOptions } from "../eval/perplexity-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Measure how well a model predicts text: nats and bits per token, perplexity, and bits per byte (comparable across " +
    "tokenizers), for each file, each domain and in total. --against scores other models on the same text. --tokenizers shows " +
    "what the model's perplexity would be in other tokens. Each text starts with the model's beginning-of-text token, or its end-of-text " +
    "token if it has none. Every token is scored once; the end of the text is not scored. Long texts are read in windows of " +
    "T tokens, one every N tokens. A window scores only tokens that earlier windows did not, so after the first T tokens " +
    "each has at least T − N tokens of context.",
  options: perplexityComparisonOptions,
  positional: ["files"],
  computes: true,
  examples: [
    "quern perplexity --model runs/first notes.txt more/",
    "quern perplexity --model runs/first notes.txt --sequence 256 --stride 256",
    "quern perplexity --model runs/first held-out.jsonl --by source --against gpt2.gguf --tokenizers o200k --html page.html",
  ],
  async run(options, { signal, onProgress, print, log }) {
    const { comparePerplexity } = await import("../eval/index.js");
    const result = await comparePerplexity({ ...options, signal, onProgress });
    for (const warning of result.warnings) log(`warning: ${warning}`);
    const { models, tokenizers, files, domains, total } = result;
    // A domain that is a whole file has its row already.
    const own = domains.filter(({ domain }) => !files.some(({ file }) => file === domain));
    const rows: Row[] = [
      ...files.map(({ file, ...score }) => [file, score] as const),
      ...(own.length > 1 ? own.map(({ domain, ...score }) => [`  ${domain}`, score] as const) : []),
      ...(files.length > 1 ? [["total", total] as const] : []),
      ...models.slice(1).map((each) => [`total of ${each.model}`, each.total] as const),
    ];
    const wide = Math.max(4, ...rows.map(([name]) => name.length));
    print(`${"file".padEnd(wide)}      tokens       bytes  nats/token  bits/token  perplexity  bits/byte    error`);
    for (const [name, row] of rows) {
      const numbers = [
        [row.tokens, 12, 0],
        [row.bytes, 12, 0],
        [row.nats_per_token, 12, 4],
        [row.bits_per_token, 12, 4],
        [row.perplexity, 12, 2],
        [row.bits_per_byte, 11, 4],
        ...(row.bits_per_byte_error === null ? [] : [[row.bits_per_byte_error, 9, 4] as const]),
      ] as const;
      print(name.padEnd(wide) + numbers.map(([value, room, digits]) => value.toFixed(digits).padStart(room)).join(""));
    }
    if (options.tokenizers.length > 0) {
      const broad = Math.max(...tokenizers.map(({ tokenizer }) => tokenizer.length));
      print();
      print(`${"in tokens of".padEnd(broad)}      tokens  bytes/token    perplexity  bits/byte`);
      for (const { tokenizer, tokens, bytes_per_token, perplexity, bits_per_byte } of tokenizers) {
        const figures = [String(tokens).padStart(12), bytes_per_token.toFixed(2).padStart(13)];
        print(
          tokenizer.padEnd(broad) +
            [...figures, perplexity.toFixed(2).padStart(14), bits_per_byte.toFixed(4).padStart(11)].join(""),
        );
      }
    }
    const { readLines } = await import("../documents/index.js");
    for (const line of readLines(result)) print(line);
    if (result.html !== undefined) print(`${result.html} shows the tables`);
    return result;
  },
});

type Row = readonly [name: string, score: TextScore];
