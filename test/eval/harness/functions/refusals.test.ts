/** What task functions say about documents and results that they cannot use. */
import { describe, expect, it } from "vitest";
import { TASK_FUNCTIONS, type TaskDocument, type TaskResult } from "../../../../src/eval/harness/functions.js";

function run(key: string, document: TaskDocument, results: readonly TaskResult[] = []): unknown {
  const found = TASK_FUNCTIONS.get(key);
  if (found?.takes === "documents") return found.run([document]);
  if (found?.takes === "document") return found.run(document);
  if (found?.takes === "results") return found.run(document, results);
  throw new Error(`${key} is not there`);
}

const ifeval = (id: string, given: unknown) => ({ instruction_id_list: [id], kwargs: [given], prompt: "p", key: 1 });

describe("task functions refuse", () => {
  it.each<[string, TaskDocument, string]>([
    ["full/am/utils.process_anatomy", {}, "the document has no field subject"],
    ["mmlu_pro/utils.doc_to_text", { question: "q", options: "A" }, "no list of texts options"],
    ["arabicmmlu/utils.doc_to_text", { Level: "Nursery" }, "the document has no field Country"],
    ["leaderboard/musr/utils.doc_to_text", { choices: "{'a': 1}" }, "choices of the document is no list"],
    ["minerva_math/utils.process_docs", { problem: "p", solution: "no box" }, "no \\boxed{…}"],
    ["greekmmlu/utils.doc_to_choice", { choices: [1, 2, 3, 4, 5] }, "a list of at most 4"],
  ])("%s of %j", (key, document, message) => {
    expect(() => run(key, document)).toThrow(message);
  });

  it.each<[string, unknown, string]>([
    ["language:no_such", {}, "the document has the unknown instruction language:no_such"],
    ["punctuation:no_comma", null, "no arguments for the instruction punctuation:no_comma"],
    ["keywords:frequency", { keyword: "a", relation: "at least" }, "the instruction needs the argument frequency"],
    ["keywords:frequency", { keyword: "a", relation: "around", frequency: 2 }, 'is "less than" or "at least"'],
    ["keywords:letter_frequency", { letter: "ab" }, "the argument letter, one character"],
    ["keywords:existence", { keywords: ["a("] }, "cannot use the regular expression"],
    [
      "length_constraints:nth_paragraph_first_word",
      { num_paragraphs: 1, nth_paragraph: 2 },
      "from 1 to num_paragraphs",
    ],
  ])("IFEval's %s with %j", (id, given, message) => {
    expect(() => run("ifeval/utils.process_results", ifeval(id, given), ["Hello."])).toThrow(message);
  });

  it("results that are no text", () => {
    expect(() => run("hendrycks_math/utils.process_results", { solution: "\\boxed{1}" }, [3])).toThrow("is no text");
    expect(() => run("agieval/utils.process_results_mcqa", { gold: [0], choices: ["a"] }, ["a"])).toThrow(
      "needs the log-likelihood of each choice",
    );
  });
});
