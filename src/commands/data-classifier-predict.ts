import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Label the lines of a file: a line for each, the likeliest labels first, as fastText's `predict` prints them.",
  options: z.object({
    model: z.string().describe("a model, .bin or .ftz").meta({ value: "MODEL.bin" }),
    file: z.string().describe("lines of text").meta({ value: "FILE.txt" }),
    k: z.int().min(1).default(1).describe("labels a line").meta({ value: "N" }),
    threshold: z.number().min(0).max(1).default(0).describe("least probability of a label").meta({ value: "P" }),
    probabilities: z.boolean().default(false).describe("print each label's probability after it"),
  }),
  positional: ["model", "file"],
  examples: ["quern data classifier predict quality.bin lines.txt --k 2 --probabilities"],
  async run({ model, file, k, threshold, probabilities }, { signal, print }) {
    const { readClassifier } = await import("../data/classifier/file.js");
    const { labelled, predictFile } = await import("../data/classifier/predict.js");
    let lines = 0;
    for await (const { predictions } of predictFile(await readClassifier(model), file, { k, threshold, signal })) {
      lines += 1;
      const show = ({ label, probability }: (typeof predictions)[number]) =>
        probabilities ? `${labelled(label)} ${Number(probability.toPrecision(6))}` : labelled(label);
      print(predictions.map(show).join(" "));
    }
    return { lines, read: { files: 1, documents: lines, rows: lines }, skipped: {}, skippedAt: {} };
  },
});
