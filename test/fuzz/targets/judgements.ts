/** @file Files of evaluations by other programs: annotations, weights, difficulties, judged pairs, accuracies, tables. */
import { join } from "node:path";
import { CORE_TASKS, coreScores, evaluateJudge, evaluationSummary, judgeRates } from "../../../src/eval/index.js";
import { type Json, jsonText, mutateJson, mutateText, several } from "../mutations.js";
import type { Random } from "../random.js";
import type { Target } from "../target.js";

const ANNOTATIONS: Json = [0, 1, 2, 3, 4, 5].map((n) => ({
  instruction: `question ${n}`,
  ...{ output_1: "one 水".repeat(n + 1), output_2: "another", generator_1: "base", generator_2: "small" },
  ...{ annotator: "judge", preference: 1 + n / 5 },
}));
const DIFFICULTIES: Json = [0, 1, 2, 3, 4, 5].map((n) => ({ instruction: `question ${n}`, difficulty: n - 2.5 }));
const WEIGHTS = ",np.tanh(std_delta_len),instruction_difficulty,not_gamed_baseline.astype(float)\nsmall,-2,0.5,-1\n";
const PAIRS: Json = [1, 2].map((label) => ({ input: `question ${label}`, output_1: "a", output_2: "b", label }));
const JUDGED: Json = [1, 2].map((label) => ({
  ...{ input: `question ${label}`, output_1: "a", output_2: "b", label },
  results: [{ "swap = False": { winner: "1" }, "swap = True": { winner: null } }],
}));
const ACCURACIES: Json = {
  model: "small",
  eval_metrics: { icl: Object.fromEntries(CORE_TASKS.map((task) => [task, 0.5])) },
};
const RESULTS: Json = {
  results: {
    blimp_wh_island: { sample_len: 1000, "acc,none": 0.6, "acc_stderr,none": 0.0155 },
    mmlu_virology: { sample_len: 166, "acc,none": 0.3, "acc_stderr,none": "N/A" },
    mmlu: { "acc,none": 0.3, "acc_stderr,none": 0.01 },
  },
  group_subtasks: { mmlu: ["mmlu_virology"], mmlu_virology: [] },
  configs: { mmlu_virology: { output_type: "multiple_choice", doc_to_choice: ["A", "B"], metadata: { chance: 0.25 } } },
  "n-shot": { mmlu_virology: 5 },
  "n-samples": { mmlu: { original: 166, effective: 166 } },
  config: { model_args: { pretrained: "small" } },
};
const TABLE = `Eval Task,Task Category,Random baseline,Description\n${CORE_TASKS.map((task) => `${task},x,25,"a, b"`).join("\n")}`;

export function open(): Target {
  return {
    make(random) {
      const json = (value: Json) =>
        jsonText(random.chance(0.3) ? several<Json>(value, random, (each) => mutateJson(each, random)) : value, random);
      return {
        "annotations.json": json(ANNOTATIONS),
        "difficulty.json": json(DIFFICULTIES),
        "weights.csv": textOf(WEIGHTS, random),
        "pairs.json": json(PAIRS),
        "judged.json": json(JUDGED),
        "accuracies.json": json(ACCURACIES),
        "results.json": json(RESULTS),
        "table.csv": textOf(TABLE, random),
      };
    },
    async read(folder, reached) {
      const at = (name: string) => join(folder, name);
      const annotations = [at("annotations.json")];
      const difficulty = at("difficulty.json");
      for (const work of [
        () => judgeRates({ annotations, lengthControlled: true, weights: at("weights.csv"), difficulty }),
        () => judgeRates({ annotations, lengthControlled: true, difficulty, within: 1 }),
        () => evaluateJudge({ meta: at("pairs.json"), judge: at("judged.json") }),
        () => evaluationSummary({ results: [at("results.json")] }),
        () => coreScores({ results: [at("accuracies.json")], meta: at("table.csv") }),
      ]) {
        try {
          await work();
          reached();
        } catch (error) {
          if ((error as Error).name !== "QuernError") throw error;
        }
      }
    },
  };
}

const textOf = (text: string, random: Random) =>
  random.chance(0.3) ? several(text, random, (each) => mutateText(each, random)) : text;
