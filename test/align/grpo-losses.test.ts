/** Losses of GRPO and its relatives: values and gradients against TRL in float64 (test/oracle/trl_losses.py), advantages too. */
import { describe, expect, it } from "vitest";
import { type AdvantageOptions, advantagesOf } from "../../src/align/advantages.js";
import { aboveQuantile, k3 } from "../../src/align/losses/arithmetic.js";
import { type GrpoOptions, grpo, grpoDefaults } from "../../src/align/losses/grpo.js";
import { grpoTrainer } from "../../src/align/losses/grpo-trainer.js";
import { createPolicy } from "../../src/align/policy.js";
import { compileReference } from "../../src/backends/index.js";
import { openModel, parametersOf } from "../../src/model/index.js";
import * as q from "../../src/tensor/index.js";
import { ADAMW_DEFAULTS, compileTrainer, step } from "../../src/train/index.js";
import { POLICY, readFixture } from "./fixtures.js";

type Rows = readonly (readonly number[])[];
interface Tensors {
  readonly completion_mask: Rows;
  readonly tool_mask: Rows;
  readonly per_token_logps: Rows;
  readonly old_per_token_logps: Rows;
  readonly ref_per_token_logps: Rows;
  readonly entropies: Rows;
  readonly advantages: readonly number[];
  readonly max_completion_length: number;
  readonly cases: readonly Omit<Case, "kind" | "options" | "truncated">[];
}
interface Case {
  readonly kind: "grpo" | "rloo";
  readonly options: Readonly<Record<string, unknown>>;
  readonly truncated: readonly number[];
  /** Tokens of tools count too. */
  readonly isWhole?: boolean;
  readonly loss: number;
  readonly grad: Rows;
  readonly entropy_grad?: Rows | null;
  readonly metrics: Readonly<Record<string, number>>;
}
interface AdvantageCase {
  readonly kind?: "grpo" | "rloo";
  readonly scale_rewards?: "group" | "batch";
  readonly options?: Readonly<Record<string, unknown>>;
  readonly weights?: readonly number[];
  readonly rewards: readonly (readonly (number | null)[])[];
  readonly advantages: readonly number[];
  readonly metrics: Readonly<Record<string, number>>;
}
interface Curve {
  readonly options: Readonly<Record<string, unknown>>;
  readonly batches: readonly {
    readonly ids: Rows;
    /** Tokens of a prompt; the rest is the completion, which the mask, scores and log-probabilities cover. */
    readonly prompt: number;
    readonly mask: Rows;
    readonly advantages: readonly number[];
    readonly sampled: Rows;
    readonly reference: Rows;
  }[];
  readonly losses: readonly number[];
  readonly grad_norms: readonly number[];
}
const { trainers } = readFixture<{ readonly trainers: { readonly grpo: readonly Curve[] } }>("trl-losses.json");
const curves = trainers.grpo;
const shared = readFixture<{ readonly grpo: Tensors; readonly advantages: readonly AdvantageCase[] }>("losses.json");
const own = readFixture<{ readonly cases: readonly Case[]; readonly advantages: readonly AdvantageCase[] }>(
  "trl-losses.json",
);
const given = shared.grpo;
const [B, T] = [given.advantages.length, given.max_completion_length];

/** TRL's names of our options. */
function optionsOf({ kind, options: o }: Pick<Case, "kind" | "options">): GrpoOptions {
  const named = Object.entries({
    loss: kind === "rloo" ? "rloo" : o.loss_type,
    level: o.importance_sampling_level,
    epsilon: o.epsilon,
    epsilonHigh: o.epsilon_high ?? o.epsilon ?? 0.2,
    delta: o.delta,
    beta: o.beta,
    correctedKl: o.use_bias_correction_kl,
    entropyBonus: o.entropy_coef,
    topEntropy: o.top_entropy_quantile,
    temperatures: o.sapo_temperature_pos && [o.sapo_temperature_pos, o.sapo_temperature_neg],
    gamma: o.vespo_k_pos && [
      { k: o.vespo_k_pos, lambda: o.vespo_lambda_pos },
      { k: o.vespo_k_neg, lambda: o.vespo_lambda_neg },
    ],
  });
  return grpoDefaults(Object.fromEntries(named.filter(([, value]) => value !== undefined)));
}

const variable = (name: string) => q.variable(name, [B, T]);
/** The graph of a loss on the given tensors, and its values. */
async function run(
  options: GrpoOptions,
  { truncated = [], isWhole }: Partial<Pick<Case, "truncated" | "isWhole">> = {},
  change: readonly [number, number] = [0, 0],
) {
  const rows = (values: Rows) => q.constant(Float32Array.from(values.flat()), [B, T]);
  const mask = given.completion_mask.map((row, b) =>
    row.map((one, t) => (truncated.includes(b) ? 0 : isWhole ? one : one * given.tool_mask[b][t])),
  );
  const logProbability = variable("logProbability");
  const entropy = variable("entropies");
  const objective = grpo(
    {
      ...{ logProbability, entropy, counted: rows(mask), sampled: rows(given.old_per_token_logps) },
      reference: rows(given.ref_per_token_logps),
      advantages: q.constant(Float32Array.from(given.advantages), [B]),
    },
    options,
    T,
  );
  const terms = Object.values(objective.losses);
  const loss = terms
    .map(({ sum, count, weight = 1 }) => q.mul(q.div(sum, count), weight))
    .reduce((a, b) => q.add(a, b));
  const [grad, entropyGrad] = q.gradients(loss, [logProbability, entropy]);
  const metrics = Object.entries(objective.metrics ?? {}).map(([name, m]) => [name, q.div(m.sum, m.count)] as const);
  const outputs = { loss, grad, entropyGrad, ...Object.fromEntries(metrics), ...objective.maxima };
  const program = compileReference({ run: { outputs } });
  const values = Float32Array.from(given.per_token_logps.flat());
  values[change[0]] += change[1];
  program.write("logProbability", values);
  program.write("entropies", Float32Array.from(given.entropies.flat()));
  await program.run("run");
  return { read: async (name: string) => Array.from(await program.read(name)), values };
}
const distance = (found: readonly number[], expected: readonly number[]) =>
  Math.hypot(...found.map((v, i) => v - expected[i])) / (Math.hypot(...expected) || 1);

const cases: readonly Case[] = [
  ...given.cases.map((one) => {
    const { loss_type, beta } = one as unknown as { loss_type: string; beta: number };
    return { ...one, kind: "grpo" as const, options: { loss_type, beta }, truncated: [], isWhole: true };
  }),
  ...own.cases,
];
describe.each(cases)("$kind $options $truncated", ({ loss, grad, entropy_grad, metrics, ...one }) => {
  it("has TRL's value, gradients and statistics", async () => {
    const { read } = await run(optionsOf(one), one);
    const [value] = await read("loss");
    expect(Math.abs(value - loss)).toBeLessThan(1e-5 * Math.abs(loss) + 1e-7);
    expect(distance(await read("grad"), grad.flat())).toBeLessThan(1e-5);
    expect(
      distance(await read("entropyGrad"), (entropy_grad ?? grad.map((row) => row.map(() => 0))).flat()),
    ).toBeLessThan(1e-5);
    const [entropy] = await read("entropy");
    expect(entropy).toBeCloseTo(metrics.entropy, 5);
    const share = metrics["clip_ratio/region_mean"] ?? metrics.cispo_clip_ratio;
    if (share !== undefined) expect((await read("clip_fraction"))[0]).toBeCloseTo(share, 5);
  });
});

describe.each(["grpo", "dr_grpo", "luspo", "sapo", "rloo", "reinforce++"] as const)("%s", (loss) => {
  it("has the gradient of finite differences", async () => {
    const options = grpoDefaults({ loss, beta: 0.1, epsilon: 0.35 });
    const exact = await (await run(options)).read("grad");
    const h = 1e-3;
    for (const i of [0, 8, 18, 29]) {
      const [up, down] = [await run(options, {}, [i, h]), await run(options, {}, [i, -h])];
      const slope = ((await up.read("loss"))[0] - (await down.read("loss"))[0]) / (up.values[i] - down.values[i]);
      expect(Math.abs(exact[i] - slope)).toBeLessThan(1e-4 * Math.hypot(...exact));
    }
  });
});

it("k3 is never negative, and as exact near 0 as far from it", async () => {
  const points = [-100, -2, -0.5, -1e-3, -1e-6, 0, 1e-7, 1e-4, 0.3, 0.5, 3, 60, 1000];
  const x = q.variable("x", [points.length]);
  const value = k3(x);
  const [slope] = q.gradients(q.sum(value), [x]);
  const program = compileReference({ run: { outputs: { value, slope } } });
  program.write("x", Float32Array.from(points));
  await program.run("run");
  const [values, slopes] = [await program.read("value"), await program.read("slope")];
  points.forEach((exact, i) => {
    const point = Math.fround(exact);
    expect(values[i]).toBeGreaterThanOrEqual(0);
    expect(Number.isFinite(slopes[i])).toBe(true);
    if (point > 80) return;
    const expected = Math.abs(point) < 1e-2 ? (point ** 2 / 2) * (1 + point / 3) : Math.expm1(point) - point;
    expect(Math.abs(values[i] - expected)).toBeLessThanOrEqual(1e-6 * expected);
    expect(Math.abs(slopes[i] - Math.expm1(point))).toBeLessThanOrEqual(1e-6 * Math.abs(Math.expm1(point)));
  });
});

it("finds the values above a quantile without sorting", async () => {
  const values = [3, 1, 2, 2, 0, 5, 4, 9, 9];
  const counted = [1, 1, 1, 1, 1, 1, 1, 0, 0];
  const row = (list: readonly number[]) => q.constant(Float32Array.from(list), [list.length]);
  const outputs = Object.fromEntries(
    [0, 0.5, 0.6, 1].map((share) => [`q${share}`, aboveQuantile(row(values), row(counted), share)]),
  );
  const program = compileReference({ run: { outputs } });
  await program.run("run");
  const kept = async (share: number) =>
    Array.from(await program.read(`q${share}`)).flatMap((one, i) => (one ? [values[i]] : []));
  expect(await kept(0)).toEqual([3, 1, 2, 2, 0, 5, 4]);
  expect(await kept(0.5)).toEqual([3, 2, 2, 5, 4]);
  expect(await kept(0.6)).toEqual([3, 5, 4]);
  expect(await kept(1)).toEqual([5]);
});

describe("advantages", () => {
  const trl = (one: AdvantageCase): AdvantageOptions => ({
    ...{ group: 4, weights: one.weights, estimator: one.kind ?? "grpo" },
    scale: one.scale_rewards ?? (one.options?.scale_rewards as AdvantageOptions["scale"]),
    separately: one.options?.multi_objective_aggregation === "normalize_then_sum",
    whiten: one.options?.normalize_advantages === true,
  });
  it.each([...shared.advantages, ...own.advantages].map((one) => [trl(one), one] as const))("%j", (options, one) => {
    const { advantages, reward, rewardStd } = advantagesOf(one.rewards, {
      ...options,
      weights: one.weights ?? [1, 1],
    });
    expect(distance(Array.from(advantages), one.advantages)).toBeLessThan(2e-6);
    if (one.kind === "rloo") return; // TRL has other names there
    expect(reward).toBeCloseTo(one.metrics.reward, 5);
    expect(rewardStd).toBeCloseTo(one.metrics.reward_std, 5);
  });

  it("of reinforce++ have mean 0 and deviation 1 over the batch", () => {
    const rewards = [[1], [3], [2], [8]];
    const { advantages } = advantagesOf(rewards, { group: 1, estimator: "reinforce++" });
    expect(advantages.reduce((a, b) => a + b)).toBeCloseTo(0, 5);
    expect(advantages.reduce((a, b) => a + b * b, 0) / 3).toBeCloseTo(1, 3);
    const { advantages: inGroups } = advantagesOf(rewards, { group: 2, estimator: "reinforce++" });
    const expected = [-1, 1, -3, 3].map((v) => v / Math.sqrt(20 / 3));
    expect(distance(Array.from(inGroups), expected)).toBeLessThan(1e-4);
  });

  it("count groups of equal rewards", () => {
    const rows = [[1], [1], [0], [2], [null], [null], [3], [null]];
    const { equalGroups, advantages, rewards } = advantagesOf(rows, { group: 2 });
    expect(equalGroups).toBe(0.75);
    expect(Array.from(advantages).map((v) => Math.sign(v))).toEqual([0, 0, -1, 1, 0, 0, 0, 0]);
    expect(rewards).toEqual([1, 1, 0, 2, null, null, 3, null]);
  });

  it("subtracts RLOO's KL from the rewards, before the mean of the other completions", () => {
    const [rewards, kl, beta] = [[1, 0, 2, 5, 5, 5], [0.5, -0.1, 2, 1, 0, 0], 0.05];
    const { advantages, equalGroups } = advantagesOf(
      rewards.map((one) => [one]),
      { group: 3, estimator: "rloo", penalties: kl.map((sum) => beta * sum) },
    );
    const penalized = rewards.map((one, i) => one - beta * kl[i]);
    const expected = penalized.map((own, i) => {
      const group = penalized.slice(3 * Math.floor(i / 3), 3 * Math.floor(i / 3) + 3);
      return own - (group.reduce((a, b) => a + b) - own) / 2;
    });
    for (const [i, value] of expected.entries()) expect(advantages[i]).toBeCloseTo(value, 6);
    expect(equalGroups).toBe(0);
  });

  it("refuse groups and weights that do not fit", () => {
    expect(() => advantagesOf([[1], [2], [3]], { group: 2 })).toThrow(/groups of 2/);
    expect(() => advantagesOf([[1], [2]], { group: 2, weights: [1, 2] })).toThrow(/2 weights for 1 reward/);
    expect(() => advantagesOf([[1], [2]], { group: 1, estimator: "rloo" })).toThrow(/at least two/);
  });
});

describe("the trainer", () => {
  it.each(["grpo", "vespo", "rloo"] as const)("takes steps with %s", { timeout: 60_000 }, async (loss) => {
    const model = await openModel(POLICY);
    const [rows, length, maxTokens] = [2, 10, 6];
    const shape = { batch: rows, sequence: length, maxTokens, reference: true };
    const options = grpoDefaults({ loss, beta: 0.1 });
    const trainer = grpoTrainer(createPolicy(model.config), shape, options);
    const training = await compileTrainer(trainer, {
      ...{ optimizer: { ...ADAMW_DEFAULTS, decay: 0 }, accumulate: 2, backend: "reference", dtype: "fp32" },
    });
    for (const { name } of parametersOf(model.config)) {
      training.program.write(name, await model.readParameter(name));
    }
    await model.close();
    const ids = Int32Array.from({ length: rows * length }, (_, i) => (i * 37) % 200);
    const targets = ids.map((_, i) => (i % length < 4 || i === 18 || i % length === 9 ? -100 : ids[i + 1]));
    await training.program.run("score", { ids, targets });
    const sampled = Float32Array.from(await training.program.read("log_probabilities"));
    const entropy = await training.program.read("entropy");
    const counted = targets.reduce((n, id) => n + (id < 0 ? 0 : 1), 0);
    const batch = { ids, targets, sampled, reference: sampled, advantages: Float32Array.of(1, -2) };
    const other = { ...batch, sampled: sampled.map((v, i) => (i === 5 ? v - 1 : v)) };
    const schedule = { kind: "constant", learningRate: 1e-3, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
    const time = { step: 0, steps: 2, schedule };
    const first = await step(training, [batch, batch], time);
    expect(first.metrics.ratio_max).toBeCloseTo(1, 5);
    expect(first.metrics.kl).toBeLessThan(1e-10);
    expect(first.metrics.entropy).toBeCloseTo(entropy.reduce((a, b) => a + b) / counted, 4);
    expect(first.gradientNorm).toBeGreaterThan(0);
    const second = await step(training, [other, batch], { ...time, step: 1 });
    expect(second.metrics.ratio_max).toBeGreaterThan(1.5); // near e, from the first of two batches
    expect(second.metrics.kl).toBeGreaterThan(0);
    training.program.dispose();
  });

  it("raises the entropy that it rewards", { timeout: 60_000 }, async () => {
    const model = await openModel(POLICY);
    const options = grpoDefaults({ entropyBonus: 1, topEntropy: 0.5 });
    const trainer = grpoTrainer(createPolicy(model.config), { batch: 1, sequence: 8, maxTokens: 4 }, options);
    const training = await compileTrainer(trainer, {
      ...{ optimizer: { ...ADAMW_DEFAULTS, decay: 0 }, accumulate: 1, backend: "reference", dtype: "fp32" },
    });
    for (const { name } of parametersOf(model.config)) {
      training.program.write(name, await model.readParameter(name));
    }
    await model.close();
    const ids = Int32Array.from({ length: 8 }, (_, i) => (i * 41) % 200);
    const targets = ids.map((_, i) => (i < 3 || i === 7 ? -100 : ids[i + 1]));
    await training.program.run("score", { ids, targets });
    const sampled = Float32Array.from(await training.program.read("log_probabilities"));
    const schedule = { kind: "constant", learningRate: 1e-3, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
    const entropies: number[] = [];
    for (const index of [0, 1, 2]) {
      const batch = { ids, targets, sampled, advantages: Float32Array.of(0) };
      entropies.push((await step(training, [batch], { step: index, steps: 3, schedule })).metrics.entropy);
    }
    expect(entropies[1]).toBeGreaterThan(entropies[0]);
    expect(entropies[2]).toBeGreaterThan(entropies[1]);
    training.program.dispose();
  });

  it.each(curves)("follows TRL for 20 steps, $options.loss_type", { timeout: 60_000 }, async (curve) => {
    const model = await openModel(POLICY);
    const length = curve.batches[0].ids[0].length;
    const rows = curve.batches[0].ids.length;
    const options = optionsOf({ kind: "grpo", options: curve.options });
    const shape = { batch: rows, sequence: length, maxTokens: given.max_completion_length };
    const training = await compileTrainer(grpoTrainer(createPolicy(model.config), shape, options), {
      optimizer: { ...ADAMW_DEFAULTS, beta2: 0.999, epsilon: 1e-8, decay: 0, clip: 1 },
      ...{ accumulate: 1, cpu: { threads: 1 }, dtype: "fp32" },
    });
    for (const { name } of parametersOf(model.config)) {
      training.program.write(name, await model.readParameter(name));
    }
    await model.close();
    const batches = curve.batches.map(({ ids, prompt, mask, advantages, sampled, reference }) => {
      // Completion token t of a row is the target of the place before it.
      const laid = (rowsOf: Rows) => {
        const values = new Float32Array(rows * length);
        for (const [b, row] of rowsOf.entries()) values.set(row, b * length + prompt - 1);
        return values;
      };
      const tokens = Int32Array.from(ids.flat());
      const counted = laid(mask);
      const targets = tokens.map((_, i) => (counted[i] === 1 ? tokens[i + 1] : -100));
      const scores = { sampled: laid(sampled), reference: laid(reference) };
      return { ids: tokens, targets, advantages: Float32Array.from(advantages), ...scores };
    });
    const schedule = { kind: "constant", learningRate: 1e-3, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
    const steps = curve.losses.length;
    for (const [index, expected] of curve.losses.entries()) {
      const { loss, gradientNorm } = await step(training, [batches[index % 2]], { step: index, steps, schedule });
      expect(Math.abs((loss as number) - expected), `loss of step ${index}`).toBeLessThan(
        1e-3 * Math.max(1, Math.abs(expected)),
      );
      if (index < 5) expect((gradientNorm as number) / curve.grad_norms[index]).toBeCloseTo(1, 3);
    }
    training.program.dispose();
  });
});
