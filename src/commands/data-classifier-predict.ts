import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Label each line of a file. Prints one line per input line, most likely labels first, as fastText's `predict` does.",
  options: z.object({
    model: z.string().describe("classifier in fastText's format, .bin or .ftz").meta({ value: "MODEL.bin" }),
    file: z.string().describe("text file with one text per line").meta({ value: "FILE.txt" }),
    k: z.int().min(1).default(1).describe("labels per line").meta({ value: "N" }),
    threshold: z.number().min(0).max(1).default(0).describe("lowest probability of a label").meta({ value: "P" }),
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
