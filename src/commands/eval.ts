import { z } from "zod";
import { InterruptedError, isAbortError } from "../errors.js";
import { evaluateOptions } from "../eval/evaluate-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Evaluate a model on lm-evaluation-harness tasks: its YAML files as they are, with its prompts, metrics and standard " +
    "errors. Prints each metric with its standard error and 95 % interval; writes results.json in lm-eval's layout and a " +
    "report with every sample. `quern eval list` shows the tasks of a folder.",
  options: evaluateOptions.extend({
    ranks: z
      .int()
      .min(1)
      .max(256)
      .optional()
      .describe("processes on this machine that divide the requests; mpirun and srun start their own (default 1)")
      .meta({ value: "N" }),
  }),
  computes: true,
  ranks: true,
  examples: [
    "quern eval --model runs/first --tasks arc_easy --include lm_eval/tasks --data benchmarks --decontaminate corpus/",
    "quern eval --model runs/first --tasks arc_easy,piqa --include lm_eval/tasks --data benchmarks --out results",
    "quern eval --model smollm2.gguf --tasks my-task.yaml --num-fewshot 5 --apply-chat-template --cache answers --out results",
    "mpirun -n 4 quern eval --model runs/first --tasks hellaswag --include lm_eval/tasks --data benchmarks --out results",
  ],
  async run({ ranks, ...options }, { signal, onProgress, print, log, named }) {
    const { comparisonTable, evaluateByRanks, evaluationTable } = await import("../eval/index.js");
    const { joinRanks, startRanks } = await import("../train/index.js");
    const team = await joinRanks(startRanks(ranks));
    const evaluated = await evaluateByRanks({ ...options, signal, onProgress, named }, team).catch((error: unknown) => {
      if (!isAbortError(error) || options.cache === undefined) throw error;
      const kept = `${options.cache} keeps the answers so far; run the same command to resume`;
      throw new InterruptedError(`interrupted; ${kept}`, options.cache);
    });
    if (evaluated === null) return null;
    const { results, counts, seconds, comparison } = evaluated;
    for (const line of evaluationTable({ name: options.model, ...evaluated })) print(line);
    for (const line of comparison === null ? [] : comparisonTable(comparison)) print(line);
    const answered = counts.cached > 0 ? `, ${counts.cached.toLocaleString("en")} answers from the cache` : "";
    print(`${counts.requests.toLocaleString("en")} requests in ${seconds.toFixed(1)} s${answered}`);
    for (const [task, n] of Object.entries(counts.truncated)) {
      log(`warning: ${task}: ${n} requests were longer than the model's context and lost their start`);
    }
    for (const [task, n] of Object.entries(counts.missingGolds)) {
      log(`warning: ${task}: the right answer of ${n} documents is none of the choices; they count as wrong`);
    }
    if (counts.systemDropped > 0) {
      log(`warning: the chat template refuses a system text; ${counts.systemDropped} prompts were rendered without it`);
    }
    const { decontaminate } = results;
    if (decontaminate !== undefined) {
      const { readLines } = await import("../documents/index.js");
      for (const [task, found] of Object.entries(decontaminate.documents)) {
        const { sample_len, too_short } = decontaminate.results[task]!;
        const short = Number(too_short) > 0 ? `; ${too_short} are too short to compare` : "";
        print(
          `${task}: the training data contains ${found.length} of ${found.length + Number(sample_len)} documents${short}`,
        );
      }
      print(`${decontaminate.training_documents.toLocaleString("en")} training documents were compared`);
      for (const line of readLines(decontaminate)) print(line);
    }
    if (options.out !== undefined) print(`results: ${options.out}; report.html shows every sample`);
    return results;
  },
});
