/**
 * @file Grades solutions of GSM8K (Cobbe et al. 2021), grade-school problems whose answer is the last number. Uses the filters
 * and the metric of lm-eval's task.
 */
import { exactMatcher } from "../harness/exact-match.js";
import { regexFilter } from "../harness/regex-filters.js";

export interface Gsm8kGrade {
  /** Whether the number after the last mark is the answer. */
  readonly strict: boolean;
  /** Whether the last number of the solution is the answer, with or without a mark. */
  readonly flexible: boolean;
}

export interface Gsm8kOptions {
  /** What stands before the answer, at the start of a line, in both texts. Default `####`; OpenAI's example solutions have `A:`. */
  readonly mark?: string;
}

const MARK = "####";
const strictFilter = regexFilter({ regex_pattern: "#### (\\-?[0-9\\.\\,]+)" });
const flexibleFilter = regexFilter({ regex_pattern: "(-?[$0-9.,]{2,})|(-?[0-9]+)", group_select: -1 });
const matches = exactMatcher({
  ignore_case: true,
  ignore_punctuation: false,
  regexes_to_ignore: [",", "\\$", "(?s).*#### ", "\\.$"],
});

/** Grades one solution. `reference` is the data set's solution, or the answer after a mark. */
export function gradeGsm8k(solution: string, reference: string, { mark = MARK }: Gsm8kOptions = {}): Gsm8kGrade {
  const [given, right] = [solution, reference].map((text) => withMark(text, mark));
  const isRight = (answer: unknown): boolean => matches([String(answer)], [right])[0];
  return { strict: isRight(strictFilter(given)), flexible: isRight(flexibleFilter(given)) };
}

/** Replaces the mark at the starts of lines by the data set's own. */
function withMark(text: string, mark: string): string {
  if (mark === MARK) return text;
  return `\n${text}`.replaceAll(`\n${mark} `, `\n${MARK} `).slice(1);
}
