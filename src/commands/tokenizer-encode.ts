import { z } from "zod";
import { QuernError } from "../errors.js";
import { forceOption, readingOptions } from "../options.js";
import { defineCommand } from "./command.js";
import { readStandardInput } from "./standard-input.js";

export default defineCommand({
  description:
    "Encode text. With files and --out, writes token shards on all cores: each document ends with the end-of-text token, and a " +
    "share of the documents is held out. If it is interrupted, the same command resumes. With --ids, encodes standard input " +
    "and prints a JSON array of ids.",
  options: z.object({
    files: z
      .array(z.string())
      .default([])
      .describe("text, Markdown, JSONL or Parquet files, or folders of them")
      .meta({ value: "FILE" }),
    tokenizer: z
      .string()
      .describe("folder or file of the tokenizer (also .gguf), or gpt2, cl100k, o200k")
      .meta({ value: "DIR|NAME" }),
    ...readingOptions,
    out: z.string().optional().describe("folder for the token shards").meta({ value: "DIR" }),
    force: forceOption,
    heldout: z
      .number()
      .min(0)
      .max(0.5)
      .default(0.01)
      .describe("share of documents held out, chosen by a hash of their text")
      .meta({ value: "X" }),
    fileTokens: z
      .int()
      .min(1)
      .default(32 << 20)
      .describe("tokens per shard file; the file ends at the next document end")
      .meta({ value: "N" }),
    threads: z.int().min(1).max(256).optional().describe("threads (default all cores)").meta({ value: "N" }),
    ids: z.boolean().default(false).describe("encode standard input and print the ids instead"),
    special: z
      .enum(["text", "allow", "error"])
      .default("text")
      .describe("with --ids, how to encode special tokens in the text: as ordinary text, as special tokens, or fail"),
    addSpecial: z
      .boolean()
      .default(false)
      .describe("with --ids, add the special tokens that the tokenizer puts around a text"),
  }),
  positional: ["files"],
  resumes: true,
  examples: [
    "quern tokenizer encode corpus/ --tokenizer tokenizer/ --out shards/",
    "echo Hello | quern tokenizer encode --tokenizer cl100k --ids",
  ],
  async run({ files, tokenizer: name, out, ids, special, addSpecial, heldout, ...options }, context) {
    const { signal, onProgress, print } = context;
    const { openTokenizer, encodeCorpus } = await import("../tokenizer/index.js");
    if (ids) {
      if (files.length > 0 || out !== undefined) {
        throw new QuernError("--ids reads standard input and writes standard output; omit the files and --out", {
          exitCode: 2,
        });
      }
      const tokenizer = await openTokenizer(name, { signal });
      const text = await readStandardInput();
      const encoded = Array.from(tokenizer.encode(text, { special, addSpecial }));
      print(JSON.stringify(encoded));
      return { ids: encoded };
    }
    if (files.length === 0) throw new QuernError("no input; give files or folders, or use --ids", { exitCode: 2 });
    if (out === undefined) throw new QuernError("--out is missing: the folder for the token shards", { exitCode: 2 });
    const { readLines, refuseOverlap } = await import("../documents/index.js");
    await refuseOverlap(out, [name]);
    const tokenizer = await openTokenizer(name, { signal });
    const encoding = { ...options, tokenizer, heldout, signal, onProgress };
    const { header, report } = await encodeCorpus(files, out, encoding);
    for (const line of readLines(report)) print(line);
    const { train, heldout: held } = header;
    print(
      `${train.tokens} training tokens in ${train.documents} documents, ${held.tokens} held out in ${held.documents}`,
    );
    print(
      `${((train.bytes + held.bytes) / (train.tokens + held.tokens)).toFixed(3)} bytes per token; written to ${out}`,
    );
    return { out, train: summary(train), heldout: summary(held), ...report };
  },
});

function summary({ tokens, documents, bytes }: { tokens: number; documents: number; bytes: number }) {
  return { tokens, documents, bytes };
}
