/** What a judge's completion says, and the order in which it saw the answers. All completions are made up. */
import { describe, expect, it } from "vitest";
import { completionParser, isSwitched, scorePair, unswitched, verdict } from "../../../src/eval/index.js";

const top = (logprobs: Record<string, number>) =>
  Object.entries(logprobs).map(([token, logprob]) => ({ token, logprob }));

describe("completion parsers", () => {
  it("weigh the log-probabilities of a token pair", () => {
    const settings = { numerator_token: "m", denominator_tokens: ["m", "M"], is_binarize: false };
    const weighted = completionParser("logprob_parser", settings);
    const at = (logprobs: Record<string, number>) => weighted({ text: "", logprobs: [top(logprobs)] })[0];
    expect(at({ m: Math.log(0.6), M: Math.log(0.2), The: -3 })).toBeCloseTo(1.25, 12);
    expect(at({ M: -0.1, The: -3 })).toBe(2);
    expect(at({ m: -0.1 })).toBe(1);
    expect(at({ The: -0.1 })).toBeNull();
    expect(weighted({ text: "m" })).toEqual([null]);
    const binary = completionParser("logprob_parser", { ...settings, is_binarize: true, log_prob_index: -1 });
    const logprobs = [top({ M: -1 }), top({ m: -1, M: -2 })];
    expect(binary({ text: "", logprobs })).toEqual([1]);
    expect(binary({ text: "", logprobs: [top({ m: -1, M: -1 })] })).toEqual([2]);
    expect(weighted({ text: "", logprobs })).toHaveLength(2);
    expect(() => completionParser("logprob_parser", { numerator_token: "m" })).toThrow("denominator_tokens must be");
  });

  it("find the first of several patterns, again and again", () => {
    const settings = { outputs_to_match: { 1: "(?:^|\\n) ?Output \\(a\\)", 2: "(?:^|\\n) ?Output \\(b\\)" } };
    const parse = completionParser("regex_parser", settings);
    expect(parse({ text: "Output (b) is shorter.\nOutput (a)" })).toEqual([2, 1]);
    expect(parse({ text: "I prefer Output (a)" })).toEqual([null]);
    expect(completionParser("regex_parser", { outputs_to_match: { 1.5: "x*" } })({ text: "ab" })).toEqual([1.5]);
    expect(() => completionParser("regex_parser", {})).toThrow("outputs_to_match must map");
    expect(() => completionParser("regex_parser", { outputs_to_match: { a: "x" } })).toThrow('not "a" to "x"');
    expect(() => completionParser("regex_parser", { outputs_to_match: { 1: "(" } })).toThrow();
  });

  it("read rankings and literals of Python, and JSON", () => {
    const ranking = completionParser("ranking_parser");
    expect(ranking({ text: "[{'model': 'model_1', 'rank': 2}, {'model': 'model_2', 'rank': 1}]" })).toEqual([2]);
    expect(ranking({ text: '[{"model": "model_2", "rank": 2}, {"model": "model_1", "rank": 1},]' })).toEqual([1]);
    expect(ranking({ text: "[{'model': 'model_1', 'rank': 3}]" })).toEqual([null]);
    expect(ranking({ text: "The better model is model_1." })).toEqual([null]);
    const named = completionParser("ranking_parser", { model_1_name: "m" });
    expect(named({ text: `[{'model': 'm', 'why': 'It\\'s "so"', 'best': True, 'rank': 1}]` })).toEqual([1]);
    const json = completionParser("json_parser", { annotation_key: "winner" });
    expect(json({ text: '{"winner": 2}' })).toEqual([2]);
    expect(json({ text: 'So: ```json\n[{"winner": 1.5}, {"winner": "first"}, null]```' })).toEqual([1.5, null, null]);
    expect(json({ text: "winner: 2" })).toEqual([null]);
    expect(completionParser("eval_parser")({ text: "(1" })).toEqual([null]);
    expect(completionParser("eval_parser")({ text: "[1, 2, None]" })).toEqual([1, 2, null]);
  });

  it("compare scores and read verdicts", () => {
    for (const [text, preference] of [
      ["8 7\nwhy", 1],
      ["7, 9.5", 2],
      ["8 8.0", 1.5],
      ["8", null],
      ["eight 7", null],
    ] as const) {
      expect(scorePair(text)).toBe(preference);
      expect(completionParser("lmsys_parser")({ text })).toEqual([preference]);
    }
    for (const [text, preference] of [
      ["Therefore [[A]]", 1],
      ["[[A]] means A is better. My verdict: [[B]]", 2],
      ["[[C]]", 1.5],
      ["[[B>>A]]", 2],
      ["[[A>B]]", 1],
      ["[[A<<B]]", 2],
      ["[[A=B]]", 1.5],
      ["[[A<>B]]", null],
      ["A", null],
    ] as const) {
      expect(verdict(text)).toBe(preference);
      expect(completionParser("verdict_parser")({ text })).toEqual([preference]);
    }
  });

  it("are named in the error for an unknown one", () => {
    expect(() => completionParser("logprobs_parser")).toThrow(
      "unknown parser logprobs_parser; did you mean logprob_parser?",
    );
    expect(() => completionParser("toString")).toThrow("unknown parser toString");
  });
});

describe("the order shown", () => {
  it("is Python's coin", () => {
    // random.Random("is_switched_outputs" + instruction + "0").choices([False, True], k=1)[0]
    const expected = [false, false, true, true, false, true, true, false, false, true];
    expect(Array.from({ length: expected.length }, (_, n) => isSwitched(`question ${n}`))).toEqual(expected);
    expect(isSwitched("Grüße, 水?", 7)).toBe(true);
  });

  it("turns a preference back", () => {
    expect([1, 2, 1.25, 1.5, 0, null].map((preference) => unswitched(preference, true))).toEqual([
      2,
      1,
      1.75,
      1.5,
      0,
      null,
    ]);
    expect(unswitched(1.25, false)).toBe(1.25);
  });
});
