import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compareRuns, type EvaluationRun, type EvaluationSample } from "../../../src/eval/index.js";
import { mcnemarExact, pairedT } from "../../../src/eval/statistics/index.js";
import { madeRun, sampleOf } from "./made-runs.js";

// test/oracle/paired_statistics.py
const oracle = JSON.parse(readFileSync(new URL("../../fixtures/eval/paired-statistics.json", import.meta.url), "utf8"));

const [ours, theirs] = [madeRun(1), madeRun(2)];
const made = compareRuns(ours, theirs);
const find = (task: string, metric: string) => {
  const found = made.tests.find((test) => test.task === task && test.metric === metric);
  if (found === undefined) throw new Error(`no test of ${task} ${metric}`);
  return found;
};
/** Values of both runs of the documents that may be compared. */
function values(task: string, metric: string, filter = "none") {
  const of = (run: EvaluationRun) =>
    (run.samples.get(task) ?? []).filter(
      (sample) => sample.filter === filter && !(task === "questions" && sample.doc_id === 3),
    );
  return [of(ours), of(theirs)].map((samples) => samples.map((sample) => Number(sample[metric])));
}

describe("what changed between two runs", () => {
  it("tests values of 0 and 1 by McNemar, without documents whose prompts differ", () => {
    const [a, b] = values("questions", "acc");
    const rose = a.filter((value, i) => value > b[i]).length;
    const fell = a.filter((value, i) => value < b[i]).length;
    expect(rose + fell).toBeGreaterThan(3);
    const test = find("questions", "acc,none");
    expect(test).toMatchObject({ test: "McNemar exact", documents: 39, rose, fell, higher_is_better: true });
    expect(test.p_value).toBe(mcnemarExact(rose, fell));
    expect(test.difference).toBeCloseTo((rose - fell) / 39, 14);
    expect(test.value - test.against).toBeCloseTo(test.difference, 12);
    expect(made.not_comparable).toEqual({ questions: { prompt: [3] } });
  });

  it("lists the documents that flipped", () => {
    const flips = made.flipped.questions["acc,none"];
    const [a, b] = values("questions", "acc");
    expect([flips.gained.length, flips.lost.length]).toEqual([
      a.filter((value, i) => value > b[i]).length,
      a.filter((value, i) => value < b[i]).length,
    ]);
    for (const id of flips.gained) {
      const at = (run: EvaluationRun) => run.samples.get("questions")?.find((sample) => sample.doc_id === id)?.acc;
      expect([at(ours), at(theirs)]).toEqual([1, 0]);
    }
    expect(made.flipped.texts).toBeUndefined();
  });

  it("tests other means by the paired t test, each filter on its own", () => {
    const [a, b] = values("numbers", "f1", "flexible");
    const expected = pairedT(a.map((value, i) => value - b[i]));
    const { p_value, lower, upper, difference, test } = find("numbers", "f1,flexible");
    expect({ p_value, lower, upper, difference, test }).toEqual({
      p_value: expected.pValue,
      lower: expected.lower,
      upper: expected.upper,
      difference: expected.difference,
      test: "paired t",
    });
    expect(find("numbers", "exact_match,strict").test).toBe("McNemar exact");
  });

  it("pools the documents of a group whose value is their mean", () => {
    const pooled = ["questions", "names"].map((task) => find(task, "acc,none"));
    const sum = (key: "rose" | "fell" | "documents") => pooled[0][key] + pooled[1][key];
    expect(find("both", "acc,none")).toMatchObject({
      documents: sum("documents"),
      rose: sum("rose"),
      fell: sum("fell"),
      p_value: mcnemarExact(sum("rose"), sum("fell")),
    });
  });

  it("names documents and tasks of one run alone", () => {
    expect(made.unmatched).toEqual({ texts: { run: 1, against: 0 } });
    const less = { ...theirs, samples: new Map([...theirs.samples].filter(([task]) => task !== "names")) };
    expect(compareRuns(ours, less)).toMatchObject({ only_in_run: ["names"], only_in_against: [] });
    expect(compareRuns(less, ours)).toMatchObject({ only_in_run: [], only_in_against: ["names"] });
  });

  it("finds no difference between a run and itself", () => {
    const { tests, flipped, not_comparable, unmatched, untested } = compareRuns(ours, ours);
    expect(tests.map(({ p_value, difference }) => [p_value, difference])).toEqual(tests.map(() => [1, 0]));
    expect(
      Object.values(flipped)
        .flatMap((metrics) => Object.values(metrics))
        .every(({ gained, lost }) => gained.length + lost.length === 0),
    ).toBe(true);
    expect([not_comparable, unmatched, untested]).toEqual([{}, {}, []]);
  });

  it("says why a metric has no test", () => {
    const other = {
      ...ours,
      samples: new Map([["names", changed("names", (sample) => ({ ...sample, prompt_hash: "x" }))]]),
    };
    expect(compareRuns(ours, other).untested).toEqual([
      { task: "names", metric: "acc,none", reason: "no document has the same prompt in both runs" },
    ]);
    const lists = { ...ours, samples: new Map([["names", changed("names", (sample) => ({ ...sample, acc: [1] }))]]) };
    expect(compareRuns(lists, lists).untested[0].reason).toBe("its values are no numbers");
  });

  it("does not compare other documents or other choices", () => {
    const other = changed("names", (sample, i) =>
      i === 1
        ? { ...sample, doc_hash: "x" }
        : i === 2
          ? { ...sample, arguments: { ...sample.arguments, gen_args_1: { arg_0: "Anna", arg_1: " left." } } }
          : sample,
    );
    const { not_comparable, tests } = compareRuns(ours, { ...ours, samples: new Map([["names", other]]) });
    expect(not_comparable).toEqual({ names: { document: [1], choices: [2] } });
    expect(tests[0].documents).toBe(8);
  });

  const changed = (task: string, change: (sample: EvaluationSample, i: number) => EvaluationSample) =>
    (ours.samples.get(task) as readonly EvaluationSample[]).map(change);
});

it("compares metrics that are no means by a paired bootstrap near SciPy's", () => {
  const { bootstrap } = oracle;
  const run = (scores: readonly number[]): EvaluationRun => ({
    ...ours,
    samples: new Map([
      [
        "texts",
        scores.map((score, i) =>
          sampleOf(i, [[`text ${i}`]], [[String(score)]], { bits_per_byte: [score, bootstrap.weights[i]] }),
        ),
      ],
    ]),
  });
  const [test] = compareRuns(run(bootstrap.ours), run(bootstrap.theirs)).tests;
  expect(test).toMatchObject({ test: "paired bootstrap", documents: 80, higher_is_better: false });
  expect(test.difference).toBeCloseTo(bootstrap.difference, 12);
  // 10,000 rounds against 200,000: the ends of the interval vary by about 2 % of a standard error.
  expect(Math.abs(test.lower - bootstrap.lower) / bootstrap.standard_error).toBeLessThan(0.1);
  expect(Math.abs(test.upper - bootstrap.upper) / bootstrap.standard_error).toBeLessThan(0.1);
  const { difference, standard_error } = bootstrap;
  const z = Math.abs(difference / standard_error);
  expect(test.p_value < 0.05).toBe(z > 1.96);
  expect([test.rose, test.fell]).toEqual([
    bootstrap.ours.filter((score: number, i: number) => score < bootstrap.theirs[i]).length,
    bootstrap.ours.filter((score: number, i: number) => score > bootstrap.theirs[i]).length,
  ]);
});
