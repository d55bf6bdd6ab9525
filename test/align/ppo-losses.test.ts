/** PPO's arithmetic, losses and gradients against TRL's in float64 (ppo.json), and a bandit whose best arm is known. */
import { describe, expect, it } from "vitest";
import {
  explainedVariance,
  GAE_DEFAULTS,
  generalizedAdvantages,
  nextKlCoefficient,
  ppoTargets,
  type ScoredRollouts,
  whiten,
} from "../../src/align/gae.js";
import {
  type PolicySteps,
  PPO_DEFAULTS,
  type PpoOptions,
  ppoPolicy,
  ppoValue,
  type ValueSteps,
} from "../../src/align/losses/ppo.js";
import { ppoTrainer } from "../../src/align/losses/ppo-trainer.js";
import { createPolicy, createValue, writeValue } from "../../src/align/policy.js";
import { compileReference } from "../../src/backends/index.js";
import { initialLora, loraPairs, openModel, parametersOf } from "../../src/model/index.js";
import * as q from "../../src/tensor/index.js";
import { ADAMW_DEFAULTS, compileTrainer, step, type Trainer, trainable } from "../../src/train/index.js";
import { POLICY, readFixture } from "./fixtures.js";

/** Both losses as one objective. */
function ppo(steps: PolicySteps & ValueSteps, options: PpoOptions) {
  const [policy, value] = [ppoPolicy(steps, options), ppoValue(steps, options)];
  return {
    losses: { ...policy.losses, ...value.losses },
    metrics: { ...policy.metrics, ...value.metrics },
    maxima: policy.maxima,
  };
}

type Rows = readonly (readonly number[])[];
interface Case {
  readonly kl_estimator?: "k1" | "k3";
  readonly whiten_rewards?: boolean | number;
  readonly gamma?: number;
  readonly lam?: number;
  readonly kl_coef?: number;
  readonly cliprange?: number;
  readonly cliprange_value?: number;
  readonly vf_coef?: number;
  readonly kl: Rows;
  readonly advantages: Rows;
  readonly returns: Rows;
  readonly padding_mask: Rows;
  readonly padding_mask_p1: Rows;
  readonly loss: number;
  readonly pg_loss: number;
  readonly vf_loss: number;
  readonly vf_clipfrac: number;
  readonly pg_clipfrac: number;
  readonly grad_logprobs: Rows;
  readonly grad_vpred: Rows;
}
interface Ppo {
  readonly logprobs: Rows;
  readonly ref_logprobs: Rows;
  readonly values: Rows;
  readonly scores: readonly number[];
  readonly new_logprobs: Rows;
  readonly vpred: Rows;
  readonly cases: readonly Case[];
}
const given = readFixture<Ppo>("ppo.json");
const [B, T] = [given.logprobs.length, given.logprobs[0].length];
const distance = (found: ArrayLike<number>, expected: ArrayLike<number>) =>
  Math.hypot(...Array.from(found, (v, i) => v - expected[i])) / (Math.hypot(...Array.from(expected)) || 1);
const inverse = (mask: Rows) => mask.flat().map((one) => 1 - Number(one));
const constant = (values: ArrayLike<number>) => q.constant(Float32Array.from(values), [B, T]);

describe.each(given.cases)("$kl_estimator $whiten_rewards $gamma $cliprange", (one) => {
  const counted = inverse(one.padding_mask);
  // TRL gives the step after the last token a value, and that step receives the score.
  const valued = inverse(one.padding_mask_p1);
  const rollouts: ScoredRollouts = {
    ...{ sequence: T, sampled: given.logprobs.flat(), reference: given.ref_logprobs.flat() },
    ...{ values: given.values.flat(), counted, valued, scores: given.scores },
  };
  const targets = ppoTargets(rollouts, {
    ...GAE_DEFAULTS,
    klEstimator: one.kl_estimator ?? "k1",
    whitenRewards: Boolean(one.whiten_rewards),
    ...{ gamma: one.gamma ?? 1, lambda: one.lam ?? 0.95, klCoefficient: one.kl_coef ?? 0.05 },
  });

  it("has TRL's advantages, returns and KL", () => {
    expect(distance(targets.advantages, one.advantages.flat())).toBeLessThan(1e-6);
    expect(
      distance(
        targets.returns,
        one.returns.flat().map((v, i) => v * valued[i]),
      ),
    ).toBeLessThan(1e-6);
    const tokens = counted.reduce((a, b) => a + b);
    const mean = one.kl.flat().reduce((total, v, i) => total + v * counted[i], 0) / tokens;
    expect(one.kl_estimator === "k3" ? targets.kl : targets.klK1).toBeCloseTo(mean, 8);
  });

  it("has TRL's losses, gradients and clipped shares", async () => {
    const [logProbability, value] = [q.variable("logProbability", [B, T]), q.variable("value", [B, T])];
    const { losses, metrics } = ppo(
      {
        ...{ logProbability, value, counted: constant(counted), valued: constant(valued) },
        sampled: constant(given.logprobs.flat()),
        entropy: constant(counted),
        advantages: constant(targets.advantages),
        oldValue: constant(given.values.flat().map((v, i) => v * valued[i])),
        returns: constant(targets.returns),
      },
      {
        ...PPO_DEFAULTS,
        ...{ epsilon: one.cliprange ?? 0.2, valueEpsilon: one.cliprange_value ?? 0.2 },
        valueWeight: one.vf_coef ?? 0.1,
      },
    );
    const mean = ({ sum, count }: { sum: q.Tensor; count: q.Tensor }) => q.div(sum, count);
    const loss = q.add(mean(losses.policy), q.mul(mean(losses.value), losses.value.weight ?? 1));
    const [ofPolicy, ofValue] = q.gradients(loss, [logProbability, value]);
    const shares = {
      policyShare: mean(metrics?.clip_fraction as never),
      valueShare: mean(metrics?.value_clip_fraction as never),
    };
    const outputs = { loss, policy: mean(losses.policy), value_loss: mean(losses.value), ofPolicy, ofValue, ...shares };
    const program = compileReference({ run: { outputs } });
    program.write("logProbability", Float32Array.from(given.new_logprobs.flat()));
    program.write("value", Float32Array.from(given.vpred.flat()));
    await program.run("run");
    const read = async (name: string) => (await program.read(name))[0];
    expect((await read("loss")) / one.loss).toBeCloseTo(1, 5);
    expect((await read("policy")) / one.pg_loss).toBeCloseTo(1, 5);
    expect((await read("value_loss")) / one.vf_loss).toBeCloseTo(1, 5);
    expect(await read("policyShare")).toBeCloseTo(one.pg_clipfrac, 6);
    expect(await read("valueShare")).toBeCloseTo(one.vf_clipfrac, 6);
    expect(distance(await program.read("ofPolicy"), one.grad_logprobs.flat())).toBeLessThan(1e-5);
    expect(distance(await program.read("ofValue"), one.grad_vpred.flat())).toBeLessThan(1e-5);
  });
});

describe("statistics", () => {
  it("GAE with λ 1 sums the rewards, with λ 0 it trusts the next value; rows and prompts stay apart", () => {
    const [rewards, values] = [
      [9, 1, 2, 3, 0, 5, 7, 9],
      [9, 0.5, 1, 2, 1, 4, 9, 9],
    ];
    const valued = [0, 1, 1, 1, 1, 1, 0, 0];
    const all = (lambda: number) => {
      const { advantages, returns } = generalizedAdvantages(rewards, values, valued, 4, { gamma: 0.5, lambda });
      return [Array.from(advantages), Array.from(returns)];
    };
    expect(all(1)[1]).toEqual([0, 2.75, 3.5, 3, 2.5, 5, 0, 0]);
    expect(all(0)[0]).toEqual([0, 1, 2, 1, 1, 1, 0, 0]);
  });

  it("whitening and the explained variance ignore what is not counted", () => {
    const counted = [1, 0, 1, 1];
    const white = whiten([1, 100, 2, 6], counted);
    expect(white[1]).toBe(0);
    expect(white[0] + white[2] + white[3]).toBeCloseTo(0, 6);
    expect(Array.from(whiten([1, 100, 2, 6], counted, { keepMean: true }))[0]).toBeCloseTo(white[0] + 3, 6);
    expect(explainedVariance([1, 0, 2, 3], [1, 50, 2, 3], counted)).toBe(1);
    expect(explainedVariance([5, 0, 5, 5], [1, 50, 2, 3], counted)).toBe(0);
    expect(explainedVariance([5, 0, 5, 5], [2, 50, 2, 2], counted)).toBeNull();
  });

  it("the coefficient of the KL rises above the target, falls below it, and is bounded", () => {
    const control = { target: 6, gain: 0.1 };
    expect(nextKlCoefficient(0.1, 6, control)).toBeCloseTo(0.1, 10);
    expect(nextKlCoefficient(0.1, 6.6, control)).toBeCloseTo(0.101, 10);
    expect(nextKlCoefficient(0.1, 600, control)).toBeCloseTo(0.102, 10);
    expect(nextKlCoefficient(0.1, 0, control)).toBeCloseTo(0.098, 10);
  });

  it("a completion that did not end loses the penalty", () => {
    const one = { sequence: 2, sampled: [0, 0], reference: [0, 0], values: [0, 0], counted: [1, 1], scores: [1] };
    const options = { ...GAE_DEFAULTS, lambda: 1, whitenAdvantages: false, missingEndPenalty: 3 };
    expect(Array.from(ppoTargets({ ...one, truncated: [true] }, options).returns)).toEqual([-2, -2]);
    expect(Array.from(ppoTargets({ ...one, truncated: [false] }, options).returns)).toEqual([1, 1]);
  });
});

it("reaches the best arm of a bandit, and its value", { timeout: 60_000 }, async () => {
  const [arms, rows] = [4, 32];
  const rewards = [0.1, 0.5, 1, 0.2];
  const [logits, estimate] = [q.variable("logits", [arms]), q.variable("estimate", [1])];
  const shape = { shape: [rows, 1], dtype: "f32" } as const;
  const trainer: Trainer = {
    batch: {
      arms: { shape: [rows, 1], dtype: "i32" },
      ...{ sampled: shape, advantages: shape, returns: shape, values: shape },
    },
    trainable: [trainable(logits, { kind: "vector" }), trainable(estimate, { kind: "vector" })],
    objective: ({ arms: chosen, sampled, advantages, returns, values }) => {
      const logP = q.logSoftmax(logits);
      const every = q.broadcast(q.reshape(logP, [1, arms]), [rows, arms]);
      const ones = q.broadcast(q.literal(1), [rows, 1]);
      const entropy = q.mul(ones, q.neg(q.sum(q.mul(q.exp(logP), logP))));
      return {
        ...ppo(
          {
            ...{ logProbability: q.gather(every, chosen), entropy, counted: ones, valued: ones },
            ...{ sampled, advantages, returns, oldValue: values, value: q.mul(ones, estimate) },
          },
          { ...PPO_DEFAULTS, valueWeight: 1 },
        ),
        entries: { look: { outputs: { log_p: logP } } },
      };
    },
  };
  const optimizer = { ...ADAMW_DEFAULTS, decay: 0 };
  const training = await compileTrainer(trainer, { optimizer, accumulate: 1, backend: "reference", dtype: "fp32" });
  let state = 1;
  const uniform = () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  const schedule = { kind: "constant", learningRate: 0.05, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
  for (let iteration = 0; iteration < 60; iteration++) {
    await training.program.run("look", {});
    const logP = Array.from(await training.program.read("log_p"));
    const [value] = await training.program.read("estimate");
    const chosen = Int32Array.from({ length: rows }, () => {
      let rest = uniform();
      const arm = logP.findIndex((log) => {
        rest -= Math.exp(log);
        return rest < 0;
      });
      return arm < 0 ? arms - 1 : arm;
    });
    const sampled = Float32Array.from(chosen, (arm) => logP[arm]);
    const values = new Float32Array(rows).fill(value);
    const { advantages, returns } = ppoTargets(
      {
        ...{ sequence: 1, sampled, reference: sampled, values, counted: new Float32Array(rows).fill(1) },
        scores: Array.from(chosen, (arm) => rewards[arm]),
      },
      GAE_DEFAULTS,
    );
    for (let epoch = 0; epoch < 4; epoch++) {
      const time = { step: iteration * 4 + epoch, steps: 240, schedule };
      await step(training, [{ arms: chosen, sampled, advantages, returns, values }], time);
    }
  }
  await training.program.run("look", {});
  expect(Math.exp((await training.program.read("log_p"))[2])).toBeGreaterThan(0.95);
  expect((await training.program.read("estimate"))[0]).toBeGreaterThan(0.85);
  training.program.dispose();
});

describe.each([
  ["a model of its own", null],
  ["adapters", { rank: 2, alpha: 4, targets: ["q_proj", "down_proj"], dropout: 0, rankStabilized: false }],
] as const)("the trainer, values by %s", (_, lora) => {
  it("begins with values of 0 and learns both losses", { timeout: 60_000 }, async () => {
    const model = await openModel(POLICY);
    const { config } = model;
    const [rows, length] = [2, 10];
    const [policy, value] = [createPolicy(config, lora), createValue(config, lora)];
    const trainer = ppoTrainer(policy, value, { batch: rows, sequence: length }, { ...PPO_DEFAULTS, valueWeight: 0.5 });
    const training = await compileTrainer(trainer, {
      ...{ optimizer: { ...ADAMW_DEFAULTS, decay: 0 }, accumulate: 1, backend: "reference", dtype: "fp32" },
    });
    const { program } = training;
    const read = (name: string) => model.readParameter(name);
    for (const { name } of parametersOf(config)) program.write(name, await read(name));
    if (lora !== null) for (const { a } of loraPairs(config, lora)) program.write(a.name, initialLora(a, 0));
    await writeValue(program, value, { read, seed: 0 });
    await model.close();
    const ids = Int32Array.from({ length: rows * length }, (_, i) => (i * 37) % 200);
    const targets = ids.map((_, i) => (i % length < 4 || i % length === 9 ? -100 : ids[i + 1]));
    await program.run("score", { ids, targets });
    const sampled = Float32Array.from(await program.read("log_probabilities"));
    await program.run("values", { ids, targets });
    const values = Float32Array.from(await program.read("values"));
    expect(values.every((v) => v === 0)).toBe(true);
    const counted = targets.map((id) => (id < 0 ? 0 : 1));
    const { advantages, returns, kl } = ppoTargets(
      { sequence: length, sampled, reference: sampled, values, counted, scores: [1, -1] },
      GAE_DEFAULTS,
    );
    expect(kl).toBe(0);
    const schedule = { kind: "constant", learningRate: 1e-2, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
    const batch = { ids, targets, sampled, old_values: values, advantages, returns };
    const first = await step(training, [batch], { step: 0, steps: 3, schedule });
    expect(first.metrics.ratio_max).toBeCloseTo(1, 5);
    expect(first.metrics.value).toBeCloseTo(
      returns.reduce((total, v) => total + v * v, 0) / (2 * counted.reduce((a, b) => a + b)),
      5,
    );
    for (const later of [1, 2]) await step(training, [batch], { step: later, steps: 3, schedule });
    await program.run("values", { ids, targets });
    const learned = await program.read("values");
    expect(learned[4]).toBeGreaterThan(learned[14]); // of the good completion, and of the bad one
    await program.run("score", { ids, targets });
    const now = await program.read("log_probabilities");
    expect(now[4] - sampled[4]).toBeGreaterThan(now[14] - sampled[14]);
    program.dispose();
  });
});
