/** @file IFEval (Zhou et al. 2023): whether responses follow their instructions, by prompt and by instruction, strict and loose. */
import { QuernError } from "../../../errors.js";
import { PythonFloat } from "../../../tokenizer/index.js";
import { strip } from "../python-text.js";
import type { TaskDocument, TaskFunction } from "../task-function.js";
import { isTruthy, type NamedFunctions, textsIn } from "./fields.js";
import { INSTRUCTION_CHECKS } from "./instruction-checks.js";

/** Returns the checks of a document's instructions. */
function checksOf(document: TaskDocument): readonly ((response: string) => boolean)[] {
  const { kwargs } = document;
  return textsIn(document, "instruction_id_list").map((id, i) => {
    if (!Object.hasOwn(INSTRUCTION_CHECKS, id)) throw new QuernError(`the document has the unknown instruction ${id}`);
    const given: unknown = Array.isArray(kwargs) ? kwargs[i] : undefined;
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
      throw new QuernError(`kwargs of the document has no arguments for the instruction ${id}`);
    }
    // Rows of one table have the arguments of all instructions, most of them null.
    const named = Object.entries(given as object)
      .filter(([, value]) => isTruthy(value))
      .map(([key, value]) => [key, value instanceof PythonFloat ? value.value : (value as unknown)] as const);
    try {
      return INSTRUCTION_CHECKS[id](Object.fromEntries(named));
    } catch (error) {
      if (!(error instanceof QuernError)) throw error;
      throw new QuernError(`the instruction ${id}: ${error.message}`, { cause: error });
    }
  });
}

/** A response as it is, and without its first line, its last line and asterisks. */
function variantsOf(response: string): readonly string[] {
  const lines = response.split("\n");
  const cut = [lines.slice(1), lines.slice(0, -1), lines.slice(1, -1)].map((rest) => strip(rest.join("\n")));
  return [response, ...cut].flatMap((text) => [text, text.replaceAll("*", "")]);
}

const results: TaskFunction = {
  takes: "results",
  run: (document, [response]) => {
    if (typeof response !== "string") throw new QuernError("the result is no text, but must be a response");
    const checks = checksOf(document);
    const variants = variantsOf(response).filter((text) => strip(text) !== "");
    const isFilled = strip(response) !== "";
    const strict = checks.map((follows) => isFilled && follows(response));
    const loose = checks.map((follows) => variants.some(follows));
    return {
      prompt_level_strict_acc: strict.every(Boolean),
      inst_level_strict_acc: strict,
      prompt_level_loose_acc: loose.every(Boolean),
      inst_level_loose_acc: loose,
    };
  },
};

/** The share of all instructions that are followed; an item has those of one prompt. */
const share: TaskFunction = {
  takes: "items",
  run: (items) => {
    const all = items.flat();
    if (all.length === 0) throw new QuernError("there are no instructions to aggregate");
    return all.filter(isTruthy).length / all.length;
  },
};

export const INSTRUCTION_FUNCTIONS: NamedFunctions = ["ifeval", "leaderboard/ifeval"].flatMap(
  (folder) =>
    [
      [`${folder}/utils.process_results`, results],
      [`${folder}/utils.agg_inst_level_acc`, share],
    ] as const,
);
