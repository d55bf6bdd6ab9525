/**
 * @file One-digit arithmetic: all 110 sums and differences whose terms and result are single digits. Each digit is the
 * answer of 11 problems, so a model that always prefers one digit scores exactly 10 %.
 */
import { PythonRandom } from "../python-random.js";
import { defineTask } from "../typed/typed-task.js";

/** Orders the problems, so that the first N of `--limit N` are a sample of all. */
const SEED = 0;
const DIGITS = Array.from({ length: 10 }, (_, digit) => digit);

export interface ArithmeticProblem {
  readonly question: string;
  readonly operation: "addition" | "subtraction";
  /** A digit. */
  readonly answer: string;
}

/** Returns all problems, in an order that the seed fixes. */
export function arithmeticProblems(seed = SEED): readonly ArithmeticProblem[] {
  const problems = DIGITS.flatMap((a) =>
    DIGITS.flatMap((b): ArithmeticProblem[] => [
      ...(a + b < 10 ? [problem(a, "+", b, a + b)] : []),
      ...(a >= b ? [problem(a, "-", b, a - b)] : []),
    ]),
  );
  new PythonRandom(seed).shuffle(problems);
  return problems;
}

function problem(a: number, sign: "+" | "-", b: number, result: number): ArithmeticProblem {
  const operation = sign === "+" ? "addition" : "subtraction";
  return { question: `What is ${a} ${sign} ${b}?`, operation, answer: String(result) };
}

const shared = {
  documents: () => arithmeticProblems(),
  docToText: "question",
  fewshot: { delimiter: "\n" },
};

/** The likeliest of the ten digits. */
export const ARITHMETIC = defineTask<ArithmeticProblem>({
  ...shared,
  name: "arithmetic",
  outputType: "multiple_choice",
  docToChoice: DIGITS.map(String),
  docToTarget: ({ answer }) => Number(answer),
  metrics: ["acc"],
  chance: 0.1,
});

/** The last number of a generated answer. A model that writes no number scores 0. */
export const ARITHMETIC_EXACT = defineTask<ArithmeticProblem>({
  ...shared,
  name: "arithmetic_exact",
  outputType: "generate_until",
  docToTarget: "answer",
  generation: { until: ["\n"], maxTokens: 24 },
  filters: [
    {
      name: "last-number",
      steps: [{ function: "regex", regex_pattern: "(-?\\d+)", group_select: -1 }, { function: "take_first" }],
    },
  ],
  metrics: ["exact_match"],
  chance: 0,
});
