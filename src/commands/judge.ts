import { z } from "zod";
import { QuernError } from "../errors.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Measure a judge against human labels from its stored judgements in both orders of the answers, as LLMBar does: " +
    "accuracy, agreement between the orders, Cohen's κ and position bias. --json prints the keys of LLMBar's " +
    "statistics.json. Its κ with the labels counts winner 2 as a category that the labels lack; the printed table has " +
    "the usual κ.",
  options: z.object({
    meta: z
      .string()
      .describe("labelled pairs: JSON objects {input, output_1, output_2, label}, label 1 or 2")
      .meta({ value: "DATASET.json" }),
    judge: z
      .string()
      .describe("stored judgements of the same pairs in the same order: LLMBar's result.json, .gz too")
      .meta({ value: "RESULTS.json" }),
  }),
  examples: ["quern judge --meta Natural/dataset.json --judge Natural/result.json"],
  async run({ meta, judge }, { signal, print, named }) {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(judge)) {
      throw new QuernError(`${named("judge")} must be a file of stored judgements, not ${judge}`, { exitCode: 2 });
    }
    const { evaluateJudge } = await import("../eval/index.js");
    const { statistics, accuracy, interval, kappa, position } = await evaluateJudge({ meta, judge, signal });
    const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
    const { pairs } = position;
    print(`pairs                 ${pairs}`);
    print(`accuracy              ${percent(accuracy)} [${percent(interval.lower)}, ${percent(interval.upper)}]`);
    print(`  given order         ${statistics.correct_False}`);
    print(`  swapped order       ${statistics.correct_True}`);
    print(`  both                ${statistics.correct_both}`);
    print(`same winner           ${statistics.equal}`);
    print(`κ with the labels     ${kappa.straight.toFixed(3)} given order, ${kappa.swapped.toFixed(3)} swapped`);
    print(`κ of the two orders   ${kappa.orders.toFixed(3)}`);
    print(`first shown wins      ${percent(position.favours_first)} of the pairs in both orders`);
    print(`second shown wins     ${percent(position.favours_second)}`);
    if (position.unread > 0) print(`without a winner      ${percent(position.unread)}`);
    return statistics;
  },
});
