import { z } from "zod";
import { forceOption, readingOptions } from "../options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Train a byte-level BPE tokenizer on text and write tokenizer.json and tokenizer_config.json, which transformers and " +
    "the Rust tokenizers load too. 32,000 tokens from 10 MB of English take about a second.",
  options: z.object({
    files: z
      .array(z.string())
      .min(1)
      .describe(
        "text, Markdown, JSONL or Parquet files, or folders of them; a text file, a JSON line or a Parquet row is one document",
      )
      .meta({ value: "FILE" }),
    vocabSize: z
      .int()
      .min(257)
      .default(32768)
      .describe("total tokens, including special ones and the 256 bytes")
      .meta({ value: "N" }),
    pattern: z
      .string()
      .default("llama3")
      .describe(
        "how text is split before merging: gpt2, cl100k, o200k, llama3, qwen2 or a regular expression; llama.cpp and Ollama " +
          "split by gpt2, llama3 and qwen2 alike, by the others only nearly",
      )
      .meta({ value: "NAME|REGEX" }),
    tie: z
      .enum(["id", "bytes"])
      .default("id")
      .describe("which of several equally frequent pairs merges first: smallest ids, or greatest byte strings"),
    special: z
      .array(z.string())
      .default(["<|endoftext|>"])
      .describe("special tokens; they get the first ids")
      .meta({ value: "A,B", separator: "," }),
    minFrequency: z.int().min(0).default(0).describe("minimum occurrences of a pair to be merged").meta({ value: "N" }),
    threads: z.int().min(1).max(256).optional().describe("threads (default all cores)").meta({ value: "N" }),
    ...readingOptions,
    out: z.string().describe("folder to write to").meta({ value: "DIR" }),
    force: forceOption,
  }),
  positional: ["files"],
  examples: ["quern tokenizer train corpus/ --vocab-size 32000 --out tokenizer/"],
  async run({ files, out, force, textField, strict, ...options }, { signal, onProgress, print, log }) {
    const { saveTokenizer, trainTokenizer } = await import("../tokenizer/index.js");
    const { readDocuments, readLines, withOutput } = await import("../documents/index.js");
    const reader = readDocuments(files, { textField, strict, signal });
    const layout = { writes: (path: string) => /^tokenizer(_config)?\.json$/.test(path) };
    const claim = { verb: "tokenizer train", out, inputs: files, layout, force };
    const tokenizer = await withOutput(claim, async () => {
      const trained = await trainTokenizer(reader, { ...options, signal, onProgress });
      await saveTokenizer(trained, out);
      return trained;
    });
    if (tokenizer.vocabSize < options.vocabSize) {
      log(`the text has no more pairs to merge: ${tokenizer.vocabSize} tokens instead of ${options.vocabSize}`);
    }
    for (const line of readLines(reader.report)) print(line);
    print(`${tokenizer.vocabSize} tokens from ${reader.documents} documents written to ${out}`);
    return { out, vocabSize: tokenizer.vocabSize, documents: reader.documents, ...reader.report };
  },
});
