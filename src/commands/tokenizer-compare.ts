import { z } from "zod";
import { readingOptions } from "../options.js";
import { quoted } from "../printable.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Compare tokenizers: bytes per token by group (higher is better), and how many more tokens a text needs when 1, 2 and 5 % " +
    "of its characters are mistyped.",
  options: z.object({
    files: z
      .array(z.string())
      .min(1)
      .describe("text, Markdown, JSONL or Parquet files, or folders of them")
      .meta({ value: "FILE" }),
    tokenizers: z
      .array(z.string())
      .min(1)
      .default(["gpt2", "cl100k", "o200k"])
      .describe("folders or files of tokenizers (also .gguf), or gpt2, cl100k, o200k")
      .meta({ value: "A,B", separator: "," }),
    ...readingOptions,
    by: z
      .enum(["file", "source", "domain", "language"])
      .default("file")
      .describe(
        "how to group texts: by path, by the document's source, by the domain of its URL, or by detected language",
      ),
    seed: z.int().default(1).describe("seed of the simulated typos").meta({ value: "N" }),
  }),
  positional: ["files"],
  examples: ["quern tokenizer compare english.txt japanese.txt --tokenizers cl100k,tokenizer/"],
  async run({ files, tokenizers: names, by, seed, textField, strict }, { signal, onProgress, print }) {
    const { readLines } = await import("../documents/index.js");
    const { compareOnFiles } = await import("../data/compare/compare-files.js");
    const options = { seed, textField, strict, signal, onProgress };
    const { rows, report } = await compareOnFiles(files, { tokenizers: names, by, ...options });
    // Paths, sources and domains are untrusted text.
    const shown = rows.map((row) => ({ ...row, group: quoted(row.group), tokenizer: quoted(row.tokenizer) }));
    const wide = Math.max(...shown.map(({ group }) => group.length), 5);
    const name = Math.max(...shown.map(({ tokenizer }) => tokenizer.length), 9);
    print(
      `${"group".padEnd(wide)}  ${"tokenizer".padEnd(name)}  bytes/token      tokens     1 %     2 %     5 % mistyped`,
    );
    for (const { group, tokenizer, bytesPerToken, tokens, typoCost } of shown) {
      const costs = typoCost.map((cost) => `+${(cost * 100).toFixed(1)} %`.padStart(8)).join("");
      print(
        `${group.padEnd(wide)}  ${tokenizer.padEnd(name)}  ${bytesPerToken.toFixed(3).padStart(11)}  ${String(tokens).padStart(10)}${costs}`,
      );
    }
    for (const line of readLines(report)) print(line);
    return { rows, ...report };
  },
});
