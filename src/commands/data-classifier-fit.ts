import { fitOptions } from "../data/quality/fit-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Train, calibrate and test a classifier by a recipe: similarity to a reference, educational value, language, topic, spam or " +
    "adult pages. Some documents are held out to calibrate the scores, others to measure precision and recall by fraction kept.",
  options: fitOptions,
  positional: ["kind"],
  examples: [
    "quern data classifier fit reference --good books.jsonl --rest web.jsonl --out quality.bin",
    "quern data classifier fit educational --documents web.jsonl --endpoint http://127.0.0.1:8000/v1 --model judge --out edu.bin",
  ],
  async run(options, { signal, onProgress, print }) {
    const { fitByRecipe } = await import("../data/quality/fit-recipe.js");
    const result = await fitByRecipe({ ...options, key: process.env.QUERN_API_KEY, signal, onProgress });
    const { readLines } = await import("../documents/index.js");
    for (const line of readLines(result)) print(line);
    const { labels, once, trained, tested, accuracy, commonest, right, calibrationError, thresholds, card } = result;
    const names = Object.entries(labels).map(([label, count]) => `${label} ${count}`);
    print(`${names.length} labels: ${names.slice(0, 12).join(", ")}${names.length > 12 ? " …" : ""}`);
    if (once.length > 0)
      print(
        `${once.length === 1 ? "1 label occurs" : `${once.length} labels occur`} once and cannot be tested: ${once.slice(0, 8).join(", ")}`,
      );
    print(
      `trained on ${trained} texts; accuracy ${percent(accuracy)} on ${tested} held-out texts (always the most common label: ${percent(commonest)})`,
    );
    print(`calibration error ${calibrationError.before.toFixed(3)} before, ${calibrationError.after.toFixed(3)} after`);
    if (card.calibration !== null) print(`good or not by the calibrated score: ${percent(right)} accuracy`);
    print(`  kept  threshold  precision  recall${card.label === null ? "" : `   (for "${card.label}")`}`);
    for (const { keep, threshold, precision, recall } of thresholds)
      print(
        `${percent(keep).padStart(7)}${threshold.toFixed(4).padStart(10)}${percent(precision).padStart(11)}${percent(recall).padStart(9)}`,
      );
    print(`classifier written to ${result.model}, with its card next to it`);
    return result;
  },
});

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
