/** @file What documents give to metrics, as lm-eval's `process_results`. */
import { describe, expect, test } from "vitest";
import { isAggregation } from "../../../src/eval/harness/aggregations.js";
import { type ChoiceOutcome, choiceValues } from "../../../src/eval/harness/choice-metrics.js";
import { exactMatch } from "../../../src/eval/harness/exact-match.js";
import { generationScorer } from "../../../src/eval/harness/generation-metrics.js";
import {
  checkMetric,
  countWords,
  DEFAULT_METRICS,
  likelihoodValues,
  metricOf,
  type OutputType,
  rollingValues,
} from "../../../src/eval/harness/metrics.js";
import { passAtK } from "../../../src/eval/harness/pass-at-k.js";
import { near, units } from "./units.js";

interface ChoiceCase {
  readonly results: [number | null, boolean][];
  readonly choices: string[];
  readonly gold: ChoiceOutcome["gold"];
  readonly wanted: string[];
  readonly values: Record<string, unknown>;
}

const asResults = (results: ChoiceCase["results"]) =>
  results.map(([score, isGreedy]) => ({ logLikelihood: score ?? Number.NaN, isGreedy }));

describe("multiple choice", () => {
  test.each(units<ChoiceCase[]>("choices"))("$choices, gold $gold, $results", (c) => {
    const { values } = choiceValues({ ...c, results: asResults(c.results) }, c.wanted);
    const { brier_score, ...rest } = values;
    const { brier_score: expected, ...expectedRest } = c.values;
    expect(rest).toEqual(expectedRest);
    if (expected === undefined) return;
    const [gold, probabilities] = brier_score as [number, number[]];
    const [expectedGold, expectedProbabilities] = expected as [number, (number | null)[]];
    expect(gold).toBe(expectedGold);
    expectedProbabilities.forEach((p, i) => {
      expect(p === null ? Number.isNaN(probabilities[i]) : near(probabilities[i]!, p)).toBe(true);
    });
  });

  const results = asResults([
    [-1, true],
    [-2, false],
  ]);

  test("a gold choice that is missing is reported", () => {
    const given = { results, choices: ["a", "b"] };
    expect(choiceValues({ ...given, gold: 5 }, ["acc"])).toEqual({ values: { acc: 0 }, isGoldMissing: true });
    expect(choiceValues({ ...given, gold: "b" }, ["likelihood"])).toEqual({
      values: { likelihood: -2 },
      isGoldMissing: false,
    });
    expect(() => choiceValues({ ...given, gold: 5 }, ["likelihood"])).toThrow("among the choices");
  });

  test("wrong calls", () => {
    const given = { results, choices: ["a", "b"], gold: 0 };
    expect(() => choiceValues(given, ["acc_mutual_info"])).toThrow("2 choices need 4 log-likelihoods");
    expect(() => choiceValues({ ...given, choices: ["a"] }, ["acc"])).toThrow("1 choices need 1");
    expect(() => choiceValues(given, ["bleu"])).toThrow("bleu is not one of multiple_choice");
    expect(() => choiceValues({ ...given, gold: [0] }, ["f1"])).toThrow("one right choice");
  });
});

test.each(units<{ target: string; values: Record<string, unknown> }[]>("rolling"))("rolling: $target", (c) => {
  expect(rollingValues(-12.5, c.target, DEFAULT_METRICS.loglikelihood_rolling)).toEqual(c.values);
});

test("a single log-likelihood", () => {
  const result = { logLikelihood: -2.5, isGreedy: true };
  expect(likelihoodValues(result, ["perplexity", "acc"])).toEqual({ perplexity: -2.5, acc: 1 });
  expect(likelihoodValues({ ...result, isGreedy: false }, ["acc"])).toEqual({ acc: 0 });
  expect(countWords("a b")).toBe(2);
});

interface GenerationCase {
  readonly result: string;
  readonly gold: unknown;
  readonly several: boolean;
  readonly arguments: Record<string, unknown>;
  readonly metrics: string[];
  readonly values: Record<string, unknown>;
}

test.each(units<GenerationCase[]>("generated"))("generated: $result for $gold", (c) => {
  const score = generationScorer(
    c.metrics.map((metric) => ({ metric, options: metric === "exact_match" ? c.arguments : {} })),
  );
  expect(score({ result: c.result, gold: c.gold, hasSeveralGolds: c.several })).toEqual(c.values);
});

interface ExactCase {
  readonly args: Record<string, unknown>;
  readonly pairs: [string, string][];
  readonly values: number[];
  readonly mean: number;
}

test.each(units<ExactCase[]>("exact_match"))("exact_match with $args", ({ args, pairs, values, mean }) => {
  expect(pairs.map(([text, gold]) => exactMatch([text], [gold], args))).toEqual(values);
  const texts = pairs.map(([text]) => text);
  const golds = pairs.map(([, gold]) => gold);
  expect(near(exactMatch(texts, golds, args), mean)).toBe(true);
});

test("pass@k", () => {
  for (const [total, passed, k, expected] of units<[number, number, number, number][]>("pass_at_k")) {
    expect(near(passAtK(total, passed, k), expected)).toBe(true);
  }
  expect(() => passAtK(5, 2, 6)).toThrow("raise repeats");
  expect(() => passAtK(5, 6, 1)).toThrow("cannot have passed");
});

test("wrong metrics of generated text", () => {
  expect(() => generationScorer([{ metric: "rouge" }])).toThrow("rouge is not one of generate_until");
  expect(() => generationScorer([{ metric: "exact_match", options: { case: 1 } }])).toThrow("no option case");
  const score = generationScorer([{ metric: "exact_match" }]);
  expect(() => score({ result: ["a"], gold: "a", hasSeveralGolds: false })).toThrow("take_first");
  expect(() => score({ result: "a", gold: {}, hasSeveralGolds: false })).toThrow("doc_to_target");
  const bleu = generationScorer([{ metric: "bleu" }]);
  expect(() => bleu({ result: "a", gold: ["a"], hasSeveralGolds: true })).toThrow("several right answers");
  expect(() => exactMatch(["a"], [])).toThrow("1 texts for 0");
});

test("the table of metrics", () => {
  for (const [type, names] of Object.entries(DEFAULT_METRICS)) {
    for (const name of names) expect(isAggregation(checkMetric(name, type as OutputType).aggregation)).toBe(true);
  }
  expect(metricOf("toString")).toBeUndefined();
  expect(() => checkMetric("acc", "generate_until")).toThrow("acc is not one of generate_until; use exact_match");
});
