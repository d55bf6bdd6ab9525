import { z } from "zod";
import type { Document } from "../documents/index.js";
import { readingOptions } from "../documents/reading-options.js";
import { quoted } from "../printable.js";
import type { ComparedText, Tokenizer } from "../tokenizer/index.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Compare tokenizers over texts: bytes per token by group (more is better), and how many more tokens a text costs when 1, " +
    "2 and 5 % of its characters are mistyped.",
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
        "what texts are grouped by: the path given, the document's source, the domain of its address, its language as it is recognised",
      ),
    seed: z.int().default(1).describe("seed of the typing mistakes").meta({ value: "N" }),
  }),
  positional: ["files"],
  examples: ["quern tokenizer compare english.txt japanese.txt --tokenizers cl100k,tokenizer/"],
  async run({ files, tokenizers: names, by, seed, textField, strict }, { signal, onProgress, print }) {
    const { compareTokenizers, openTokenizer } = await import("../tokenizer/index.js");
    const { ReadLog, readDocuments, readLines } = await import("../documents/index.js");
    const log = new ReadLog({ strict });
    const groupOf = await grouping(by);
    const tokenizers = new Map<string, Tokenizer>();
    for (const name of names) tokenizers.set(name, await openTokenizer(name, { signal }));
    async function* texts(): AsyncGenerator<ComparedText> {
      for (const path of files) {
        const reader = readDocuments([path], { textField, strict, signal });
        for await (const document of reader) yield { text: document.text, group: groupOf(document, path) };
        log.merge(reader.report);
      }
    }
    const rows = await compareTokenizers(texts(), tokenizers, { seed, signal, onProgress });
    // Paths, sources and domains are what others wrote.
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
    for (const line of readLines(log.report)) print(line);
    return { rows, ...log.report };
  },
});

type GroupOf = (document: Document, path: string) => string;

async function grouping(by: "file" | "source" | "domain" | "language"): Promise<GroupOf> {
  if (by === "file") return (_, path) => path;
  if (by === "source") return ({ source }) => source ?? "unknown";
  if (by === "domain") return ({ url }) => domainOf(url);
  const { detectLanguage, loadLanguages } = await import("../data/index.js");
  await loadLanguages();
  return ({ text }) => detectLanguage(text).language;
}

function domainOf(url: string | undefined): string {
  return url !== undefined && URL.canParse(url) ? new URL(url).hostname : "unknown";
}
