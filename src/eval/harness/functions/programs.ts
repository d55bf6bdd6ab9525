/** @file HumanEval (Chen et al. 2021) and MBPP (Austin et al. 2021): what a model wrote becomes programs, which run in the sandbox. */
import { QuernError } from "../../../errors.js";
import type { ProgramProblem } from "../../graders/programs.js";
import { PythonRegex } from "../python-regex.js";
import type { TaskDocument, TaskFunction } from "../task-function.js";
import { type NamedFunctions, textIn } from "./fields.js";
import { MBPP_EXAMPLES } from "./mbpp-examples.js";
import { perDocument } from "./responses.js";

/** The head of the function that a model continues. */
const promptOf = (document: TaskDocument): string => textIn(document, "prompt");

const continued = perDocument(() => (document) => (response) => promptOf(document) + response);

/** A chat model closes the code block that its prompt opened. */
const continuedBlock = perDocument(() => (document) => (response) => promptOf(document) + response.split("```", 1)[0]);

const infilled = perDocument(
  () => (document) => (response) => promptOf(document) + response + textIn(document, "suffix"),
);

const BLOCK = new PythonRegex("```(?:\\w+)?\\n?(.*?)\\n?```", { dotAll: true });

/** The first code block; the prompt has opened it. */
const codeBlock = perDocument(() => () => (response) => {
  const text = `\`\`\`${response}`;
  const found = BLOCK.findAll(text)[0] ?? BLOCK.findAll(text.replaceAll("```python", "```"))[0];
  return typeof found === "string" ? found : "";
});

function textOfTest(value: unknown): string {
  if (typeof value === "string") return value;
  throw new QuernError("the target of the document is no text, but must be code that tests a program");
}

/** One program, or a list of them. */
function programsOf(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? (value as readonly unknown[]) : [value];
  if (list.every((program) => typeof program === "string")) return list as readonly string[];
  throw new QuernError("what the filters made of the responses is no text, but must be a program");
}

/** The sandbox advises a flag that `quern eval` does not have. */
async function rates(problems: readonly ProgramProblem[], k: readonly number[]) {
  // The sandbox is loaded when it is needed: `quern eval list` has a limit on its time.
  const { passRates } = await import("../../graders/programs.js");
  try {
    return await passRates(problems, k);
  } catch (error) {
    if (!(error instanceof QuernError) || !error.message.includes("--allow-code")) throw error;
    throw new QuernError(error.message.replace(/, or allow it with --allow-code.*$/, ""), { cause: error });
  }
}

const passAtSeveral: TaskFunction = {
  takes: "predictions",
  run: ({ references, predictions, options }) => {
    const { k } = options;
    const list = Array.isArray(k) ? (k as readonly unknown[]) : [k];
    if (!list.every((count) => typeof count === "number" && Number.isInteger(count) && count > 0)) {
      throw new QuernError("the metric pass_at_k needs k, a whole number or a list of them");
    }
    return rates(
      predictions.map((programs, i) => ({ programs: programsOf(programs), test: textOfTest(references[i]) })),
      list as readonly number[],
    );
  },
};

const passAtOne: TaskFunction = {
  takes: "predictions",
  run: async ({ references, predictions }) => {
    const found = await rates(
      predictions.map((programs, i) => ({ programs: programsOf(programs), test: textOfTest(references[i]) })),
      [1],
    );
    return found["pass@1"];
  },
};

export const PROGRAM_FUNCTIONS: NamedFunctions = [
  ["humaneval/utils.build_predictions", continued],
  ["humaneval/utils.build_predictions_instruct", continuedBlock],
  ["humaneval/utils.pass_at_k", passAtSeveral],
  ["humaneval_infilling/utils.build_predictions", infilled],
  ["humaneval_infilling/utils.pass_at_k", passAtSeveral],
  ["mbpp/utils.build_predictions", codeBlock],
  ["mbpp/utils.pass_at_1", passAtOne],
  ["mbpp/utils.list_fewshot_samples", { takes: "nothing", run: () => MBPP_EXAMPLES }],
];
