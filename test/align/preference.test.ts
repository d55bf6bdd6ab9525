/** Preference losses: values and gradients against TRL in float64, the trainer's step against TRL's trainer. */
import { afterAll, describe, expect, it } from "vitest";
import { lengthWeights } from "../../src/align/dpo.js";
import { dpo } from "../../src/align/index.js";
import { logSigmoid, sorted } from "../../src/align/losses/arithmetic.js";
import {
  type Answers,
  PREFERENCE_DEFAULTS,
  PREFERENCE_LOSSES,
  type PreferenceLossName,
} from "../../src/align/losses/preference.js";
import { compileReference } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";
import { POLICY, REFERENCE, readFixture, scratch, type Trainers } from "./fixtures.js";

interface DpoNumbers {
  readonly dpo: {
    readonly completion_mask: readonly (readonly number[])[];
    readonly per_token_logps: readonly (readonly number[])[];
    readonly ref_per_token_logps: readonly (readonly number[])[];
    readonly cases: readonly {
      readonly loss_type: readonly [string];
      readonly beta: number;
      readonly label_smoothing?: number;
      readonly loss: number;
      readonly grad: readonly (readonly number[])[];
    }[];
  };
}
const { dpo: numbers } = readFixture<DpoNumbers>("losses.json");
const files = scratch();
afterAll(() => files.remove());

const total = (row: readonly number[]) => row.reduce((a, b) => a + b, 0);
const B = 4;
/** Answers whose log-probabilities are variables, so that gradients can be asked for. */
function answers(name: string, first: number): Answers & { readonly values: [string, number[]] } {
  const rows = <T>(list: readonly T[]) => list.slice(first, first + B);
  const constants = (values: readonly number[]) => q.constant(Float32Array.from(values), [B]);
  return {
    logProbability: q.variable(name, [B]),
    reference: constants(rows(numbers.ref_per_token_logps).map(total)),
    length: constants(rows(numbers.completion_mask).map(total)),
    values: [name, rows(numbers.per_token_logps).map(total)],
  };
}

describe.each(numbers.cases.filter(({ loss_type }) => loss_type[0] !== "sft"))(
  "$loss_type, label smoothing $label_smoothing",
  ({ loss_type: [name], beta, label_smoothing = 0, loss, grad }) => {
    it("has TRL's value and gradient", async () => {
      const [chosen, rejected] = [answers("chosen", 0), answers("rejected", B)];
      const options = { ...PREFERENCE_DEFAULTS, beta, labelSmoothing: label_smoothing };
      const value = q.mean(PREFERENCE_LOSSES[name as PreferenceLossName]({ chosen, rejected }, options));
      const [ofChosen, ofRejected] = q.gradients(value, [chosen.logProbability, rejected.logProbability]);
      const program = compileReference({ run: { outputs: { value, ofChosen, ofRejected } } });
      for (const [variable, values] of [chosen.values, rejected.values])
        program.write(variable, Float32Array.from(values));
      await program.run("run");
      const [got] = await program.read("value");
      expect(got / loss).toBeCloseTo(1, 5);
      // TRL's gradient is of each token; that of the sum is the same for all of a row.
      const expected = grad.map((row) => row[0]);
      const gradient = [...(await program.read("ofChosen")), ...(await program.read("ofRejected"))];
      const norm = Math.hypot(...expected);
      expect(Math.hypot(...gradient.map((g, i) => g - expected[i])) / norm).toBeLessThan(1e-4);
    });
  },
);

describe("losses without a reference and f-divergences", () => {
  /** Values of losses for one pair by their formulas in float64. */
  const [won, lost, wonRef, lostRef, wonLength, lostLength] = [-3, -5, -3.5, -4.25, 4, 5];
  const sigma = (x: number) => 1 / (1 + Math.exp(-x));
  const odds = (mean: number) => mean - Math.log(1 - Math.exp(mean));
  const beta = 0.3;
  const ratios = [won - wonRef, lost - lostRef] as const;
  const dpoOf = (f: (ratio: number) => number) => -Math.log(sigma(beta * (f(ratios[0]) - f(ratios[1]))));
  it.each([
    ["simpo", {}, -Math.log(sigma(beta * (won / wonLength - lost / lostLength) - 0.5))],
    ["cpo", {}, -Math.log(sigma(beta * (won - lost)))],
    ["orpo", {}, -beta * Math.log(sigma(odds(won / wonLength) - odds(lost / lostLength)))],
    [
      "sigmoid",
      { labelSmoothing: 0.2 },
      0.8 * dpoOf((r) => r) + 0.2 * -Math.log(sigma(-beta * (ratios[0] - ratios[1]))),
    ],
    ["sigmoid", { fDivergence: "forward_kl" }, dpoOf((r) => 1 - Math.exp(-r))],
    ["sigmoid", { fDivergence: "js_divergence" }, dpoOf((r) => Math.log((2 * Math.exp(r)) / (1 + Math.exp(r))))],
    ["sigmoid", { fDivergence: "alpha_divergence", alpha: 0.5 }, dpoOf((r) => (Math.exp(-0.5 * r) - 1) / -0.5)],
    ["sigmoid", { fDivergence: "alpha_divergence", alpha: 1 }, dpoOf((r) => r)],
  ] as const)("%s %j", async (name, options, expected) => {
    const one = (value: number) => q.constant(Float32Array.of(value), [1]);
    const chosen = { logProbability: one(won), reference: one(wonRef), length: one(wonLength) };
    const rejected = { logProbability: one(lost), reference: one(lostRef), length: one(lostLength) };
    const value = PREFERENCE_LOSSES[name]({ chosen, rejected }, { ...PREFERENCE_DEFAULTS, beta, ...options });
    const program = compileReference({ run: { outputs: { value } } });
    await program.run("run");
    expect((await program.read("value"))[0]).toBeCloseTo(expected, 6);
  });
});

describe("log σ", () => {
  it("and its gradient are right at 0, where policy and reference agree, and far from it", async () => {
    const x = q.variable("x", [5]);
    const value = logSigmoid(x);
    const [gradient] = q.gradients(q.sum(value), [x]);
    const program = compileReference({ run: { outputs: { value, gradient } } });
    program.write("x", Float32Array.of(-1000, -61, 0, 2, 1000));
    await program.run("run");
    const read = async (name: string) => Array.from(await program.read(name));
    const expected = [-1000, -61, -Math.LN2, -Math.log(1 + Math.exp(-2)), 0];
    for (const [i, v] of (await read("value")).entries()) expect(v).toBeCloseTo(expected[i], 5);
    const slopes = [1, 1, 0.5, 1 / (1 + Math.exp(2)), 0];
    for (const [i, v] of (await read("gradient")).entries()) expect(v).toBeCloseTo(slopes[i], 6);
  });
});

it("sorts values, equal ones too, and sends gradients back to where they came from", async () => {
  const x = q.variable("x", [5]);
  const value = sorted(x);
  const [gradient] = q.gradients(q.sum(q.mul(value, q.constant(Float32Array.of(1, 2, 3, 4, 5), [5]))), [x]);
  const program = compileReference({ run: { outputs: { value, gradient } } });
  program.write("x", Float32Array.of(3, -1, 3, 0, -1));
  await program.run("run");
  expect(Array.from(await program.read("value"))).toEqual([-1, -1, 0, 3, 3]);
  expect(Array.from(await program.read("gradient"))).toEqual([4, 1, 5, 3, 2]);
});

it("refuses to weigh the pairs of a loss that sorts them", async () => {
  const data = [files.jsonl("sorted.jsonl", [{ prompt: "a", chosen: "b", rejected: "c" }])];
  const options = { model: POLICY, data, out: files.path("sorted"), weighting: true, loss: ["aot"], steps: 1 };
  await expect(dpo(options)).rejects.toThrow(/aot sorts the pairs.*leave out --weighting/);
});

it("weights tokens beyond the shorter answer's length", () => {
  const targets = Int32Array.of(-100, 5, 6, 7, -100, 8, -100, -100);
  expect(Array.from(lengthWeights(targets, 1, 4, 0.25))).toEqual([0, 1, 0.25, 0.25, 0, 1, 0, 0]);
});

const { trainers: weighted } = readFixture<{ readonly trainers: { readonly weighted: Trainers["dpo"] } }>(
  "trl-losses.json",
);
describe.each([...readFixture<Trainers>("trainers.json").dpo, ...weighted.weighted])("the trainer, $name", (one) => {
  const { name, config, rows, loss, grad_norm, metrics } = one;

  it("has TRL's loss, gradient norm and statistics", { timeout: 120_000 }, async () => {
    const run = `dpo-${name.replace(/\W+/g, "-")}`;
    const end = "<|im_end|>";
    const data = rows.map(({ prompt, chosen, rejected }) => ({
      prompt,
      // TRL's fixture holds texts with the end of the text that it added.
      chosen: typeof chosen === "string" ? chosen.replace(end, "") : chosen,
      rejected: typeof rejected === "string" ? rejected.replace(end, "") : rejected,
    }));
    await dpo({
      ...{ model: POLICY, reference: REFERENCE, data: [files.jsonl(`${run}.jsonl`, data)], out: files.path(run) },
      ...{ steps: 1, learningRate: 0, order: "given", dtype: "fp32", batch: rows.length },
      loss: config.loss_type as PreferenceLossName[] | undefined,
      labelSmoothing: config.label_smoothing as number | undefined,
      weighting: config.use_weighting as boolean | undefined,
    });
    const [line] = files.lines(`${run}/metrics.jsonl`);
    expect(line.loss / loss).toBeCloseTo(1, 5);
    expect(line.grad_norm / grad_norm).toBeCloseTo(1, 4);
    expect(line.accuracy).toBe(metrics["rewards/accuracies"]);
    expect(line.margin).toBeCloseTo(metrics["rewards/margins"], 5);
    expect(line.logprob_chosen).toBeCloseTo(metrics["logps/chosen"], 3);
    expect(line.entropy).toBeCloseTo(metrics.entropy, 4);
  });
});
