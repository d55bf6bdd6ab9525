/**
 * @file The reward for code: the share of an example's tests that a program passes in the sandbox. Tests are those of
 * MBPP, HumanEval and APPS: assertions, a function `check`, or inputs with the outputs that they must lead to.
 */
import { randomBytes } from "node:crypto";
import { QuernError } from "../../errors.js";
import { runInSandbox, SANDBOX_LANGUAGES, type SandboxLanguage, type SandboxOptions } from "../../executors/index.js";
import { show } from "../../options.js";
import type { Content } from "../data/examples.js";
import { spokenText } from "./answers.js";
import { type Fields, textOf } from "./reward.js";

/** A piece of code that fails by an exception, or an input with the output that the program must print. */
export type CodeTest = string | { readonly input: string; readonly output: string };

export interface CodeOptions extends SandboxOptions {
  /** Default: the example's field `language`, else that of the completion's code block, else Python. */
  readonly language?: SandboxLanguage;
}

const NAMES: Readonly<Record<string, SandboxLanguage>> = {
  python: "python",
  python3: "python",
  py: "python",
  javascript: "javascript",
  js: "javascript",
  mjs: "javascript",
  node: "javascript",
};

/** Returns the share of an example's tests that the code of a completion passes, 0 to 1. */
export async function codeReward(
  prompt: Content,
  completion: Content,
  example: Fields,
  options: CodeOptions,
): Promise<number> {
  const tests = testsOf(example);
  const found = codeIn(spokenText(completion), options.language ?? namedLanguage(example));
  const language = found.language ?? "python";
  let { code } = found;
  const entry = example.entry_point;
  // A base model continues the head of the function.
  if (found.isWhole && typeof entry === "string" && !new RegExp(`\\b(def|function)\\s+${entry}\\b`).test(code)) {
    code = textOf(prompt) + code;
  }
  const assertions = tests.filter((test) => typeof test === "string");
  const inputs = tests.filter((test) => typeof test !== "string");
  let passed = assertions.length === 0 ? 0 : await passedAssertions(language, code, assertions, options);
  for (const { input, output } of inputs) {
    const { stdout, exitCode } = await runInSandbox({ language, code, input }, options);
    if (exitCode === 0 && linesOf(stdout) === linesOf(output)) passed += 1;
  }
  return passed / tests.length;
}

/** The lines of an output without spaces at their ends and without empty lines at the end. */
const linesOf = (output: string) => output.replace(/[ \t\r]+$/gm, "").trimEnd();

interface FoundCode {
  readonly code: string;
  readonly language: SandboxLanguage | undefined;
  /** Whether the completion has no code block and is code itself. */
  readonly isWhole: boolean;
}

/** Returns the last code block in a language, or in any; else the whole text. */
export function codeIn(text: string, wanted: SandboxLanguage | undefined): FoundCode {
  const blocks = [...text.matchAll(/```([\w+#.-]*)[^\n]*\n([\s\S]*?)(?:\n?```|$)/g)].map(([, tag, code]) => {
    return { code, tag: tag.toLowerCase(), language: NAMES[tag.toLowerCase()] as SandboxLanguage | undefined };
  });
  if (blocks.length === 0) return { code: text, language: wanted, isWhole: true };
  const fits = blocks.filter(({ language, tag }) =>
    wanted === undefined ? language : language === wanted || tag === "",
  );
  const { code, language } = fits.at(-1) ?? blocks[blocks.length - 1];
  return { code, language: wanted ?? language, isWhole: false };
}

function namedLanguage({ language }: Fields): SandboxLanguage | undefined {
  if (language === undefined || language === null) return undefined;
  const known = NAMES[String(language).toLowerCase()];
  if (known !== undefined) return known;
  throw new QuernError(
    `the example's language is ${show(language)}; the sandbox runs ${SANDBOX_LANGUAGES.join(", ")}`,
    {
      exitCode: 2,
    },
  );
}

/**
 * Returns the tests of an example: its field `tests` (code, a list of code, or of objects with `input` and `output`),
 * MBPP's `test_list` with `test_setup_code`, HumanEval's `test` with `entry_point`, or APPS's `input_output`.
 * @throws QuernError if it has none of these
 */
export function testsOf(example: Fields): readonly CodeTest[] {
  const { tests, test_list, test_setup_code, test, entry_point, input_output } = example;
  if (tests !== undefined && tests !== null) return listOf(parsed(tests), "tests");
  if (Array.isArray(test_list)) {
    const setup = typeof test_setup_code === "string" && test_setup_code !== "" ? `${test_setup_code}\n` : "";
    return listOf(test_list, "test_list").map((each) => (typeof each === "string" ? setup + each : each));
  }
  if (typeof test === "string" && typeof entry_point === "string") return [`${test}\ncheck(${entry_point})\n`];
  if (input_output !== undefined && input_output !== null) {
    const { inputs, outputs } = parsed(input_output) as { readonly inputs?: unknown; readonly outputs?: unknown };
    if (Array.isArray(inputs) && Array.isArray(outputs) && inputs.length === outputs.length) {
      return listOf(
        inputs.map((input, i) => ({ input, output: outputs[i] as unknown })),
        "input_output",
      );
    }
    throw new QuernError("the example's input_output must have inputs and as many outputs", { exitCode: 2 });
  }
  const keys = Object.keys(example).join(", ");
  throw new QuernError(
    `the example has no tests; give it tests (code, or a list of code or of {"input", "output"}), test_list, test with ` +
      `entry_point, or input_output; its fields are ${keys}`,
    { exitCode: 2 },
  );
}

/** JSON in a text, as tables hold lists; code stays a text. */
function parsed(value: unknown): unknown {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function listOf(value: unknown, key: string): readonly CodeTest[] {
  const list = Array.isArray(value) ? (value as readonly unknown[]) : [value];
  const tests = list.map((test): CodeTest => {
    if (typeof test === "string") return test;
    const { input, output } = (test ?? {}) as { readonly input?: unknown; readonly output?: unknown };
    if (typeof input === "string" && typeof output === "string") return { input, output };
    throw new QuernError(`a test in ${key} must be code, or an input and an output as texts, not ${show(test)}`, {
      exitCode: 2,
    });
  });
  if (tests.length === 0) throw new QuernError(`the example's ${key} has no test`, { exitCode: 2 });
  return tests;
}

/**
 * Runs the code, then each test after it in the same process, and prints a mark for each that passes. The mark is a secret
 * of this run, so that code cannot print it by accident.
 */
const RUNNERS: Readonly<Record<SandboxLanguage, string>> = {
  python: `
import json, sys
mark = sys.stdin.readline().strip()
with open("work.json", encoding="utf-8") as file:
    work = json.load(file)
out = sys.stdout
names = {"__name__": "solution"}
exec(compile(work["code"], "solution.py", "exec"), names)
for index, test in enumerate(work["tests"]):
    try:
        exec(compile(test, f"test {index + 1}", "exec"), names)
    except BaseException as error:
        print(f"test {index + 1}: {type(error).__name__}: {error}", file=sys.stderr)
    else:
        out.write(f"\\n{mark} {index}\\n")
        out.flush()
`,
  javascript: `
const fs = require("node:fs");
const vm = require("node:vm");
const mark = fs.readFileSync(0, "utf8").trim();
const work = JSON.parse(fs.readFileSync("work.json", "utf8"));
Object.assign(globalThis, { require, module, exports, assert: require("node:assert") });
vm.runInThisContext(work.code.replace(/^export (default )?(?=\\w)/gm, ""), { filename: "solution.js" });
(async () => {
  for (const [index, test] of work.tests.entries()) {
    try {
      await vm.runInThisContext("(async () => {" + test + "\\n})()", { filename: "test " + (index + 1) });
      fs.writeSync(1, "\\n" + mark + " " + index + "\\n");
    } catch (error) {
      console.error("test " + (index + 1) + ": " + error);
    }
  }
  process.exit();
})();
`,
};

async function passedAssertions(
  language: SandboxLanguage,
  code: string,
  tests: readonly string[],
  options: SandboxOptions,
): Promise<number> {
  const mark = randomBytes(12).toString("hex");
  const files = { "work.json": JSON.stringify({ code, tests }) };
  const { stdout } = await runInSandbox({ language, code: RUNNERS[language], input: `${mark}\n`, files }, options);
  return new Set(stdout.split("\n").filter((line) => line.startsWith(`${mark} `))).size;
}
