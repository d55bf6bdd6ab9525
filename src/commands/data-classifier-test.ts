import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Measure a classifier on labelled lines: number of examples, precision and recall at k, as fastText's `test` prints them.",
  options: z.object({
    model: z.string().describe("classifier in fastText's format, .bin or .ftz").meta({ value: "MODEL.bin" }),
    file: z.string().describe("text file with one labelled text per line").meta({ value: "FILE.txt" }),
    k: z.int().min(1).default(1).describe("labels predicted per line").meta({ value: "N" }),
    threshold: z.number().min(0).max(1).default(0).describe("lowest probability of a prediction").meta({ value: "P" }),
  }),
  positional: ["model", "file"],
  examples: ["quern data classifier test quality.bin held-out.txt"],
  async run({ model, file, k, threshold }, { signal, print }) {
    const { readClassifier } = await import("../data/classifier/file.js");
    const { testClassifier } = await import("../data/classifier/predict.js");
    const { examples, precision, recall } = await testClassifier(await readClassifier(model), file, {
      k,
      threshold,
      signal,
    });
    const three = (value: number) => (Number.isFinite(value) ? value.toFixed(3) : "none");
    print(`N\t${examples}`);
    print(`P@${k}\t${three(precision)}`);
    print(`R@${k}\t${three(recall)}`);
    return {
      examples,
      k,
      precision,
      recall,
      read: { files: 1, documents: examples, rows: examples },
      skipped: {},
      skippedAt: {},
    };
  },
});
