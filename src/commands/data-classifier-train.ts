import { z } from "zod";
import { trainClassifierOptions } from "../data/classifier/train-options.js";
import { forceOption } from "../options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Train a text classifier on lines `__label__NAME the text`. Writes a model in fastText's format. Runs with one thread are bit-identical; runs with several are not.",
  options: trainClassifierOptions.extend({
    file: z.string().describe("text file with one labelled text per line").meta({ value: "FILE.txt" }),
    out: z.string().describe("file for the model").meta({ value: "MODEL.bin" }),
    force: forceOption,
  }),
  positional: ["file"],
  examples: ["quern data classifier train labelled.txt --out quality.bin --wordNgrams 2 --lr 0.5"],
  async run({ file, out, force, ...options }, { signal, onProgress, print, log }) {
    const { writeClassifier } = await import("../data/classifier/file.js");
    const { trainClassifier } = await import("../data/classifier/train.js");
    if (options.threads > 1)
      log(`${options.threads} threads update shared memory without locks, so this run cannot be repeated exactly`);
    const { withOutput } = await import("../documents/index.js");
    const claim = { verb: "data classifier train", out, inputs: [file], force };
    const result = await withOutput(claim, async () => {
      const { classifier, record, ...rest } = await trainClassifier(file, { ...options, signal, onProgress });
      await writeClassifier(out, classifier, record);
      return rest;
    });
    const { words, labels, once, loss, tokensPerSecond } = result;
    const rate = `${(tokensPerSecond / 1e6).toFixed(2)} M tokens/s`;
    print(`${out}: ${words} words, ${labels} labels, mean loss ${loss.toFixed(4)} nats, ${rate}`);
    if (once.length > 0)
      print(
        `${once.length === 1 ? "1 label occurs" : `${once.length} labels occur`} once and cannot be tested: ${once.slice(0, 8).join(", ")}`,
      );
    const { readLines } = await import("../documents/index.js");
    for (const line of readLines(result)) print(line);
    return { ...result, model: out };
  },
});
