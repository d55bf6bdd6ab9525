import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forward, modelVariables, openSafetensors, tokenLosses } from "../../src/model/index.js";
import { linear, mul, reshape, split, sub, sum, type Tensor, variable } from "../../src/tensor/index.js";
import {
  ADAMW_DEFAULTS,
  compileTrainer,
  countedTargets,
  evaluateBatches,
  type Mean,
  meanOver,
  optimizerState,
  resetOptimizer,
  restoreCheckpoint,
  saveCheckpoint,
  step,
  storedState,
  type TrainableParameter,
  type Trainer,
  type TrainingBatch,
  type TrainingProgram,
  trainable,
  trainableFormat,
  trainableParameters,
} from "../../src/train/index.js";
import { fixturePath, loadFixture, relativeDifference } from "../model/model-fixtures.js";
import { SLOW_BUILD, TARGETS } from "../model/targets.js";

const [ROWS, LENGTH] = [8, 12];
const { config, floats: modelFloats } = await loadFixture("llama-biases-llama3");
const file = await openSafetensors(fixturePath("masked-step"));
const floats = (name: string) => file.readFloats(name);
const [ids, targets] = [await file.readIntegers("ids"), await file.readIntegers("targets")];
const [labels, labelled] = [await floats("labels"), await floats("labelled")];
afterAll(() => file.close());

/** The fixture's rows in batches of `rows` rows. */
function batchesOf(rows: number): TrainingBatch[] {
  return Array.from({ length: ROWS / rows }, (_, i) => {
    const part = <T>(values: { subarray(from: number, to: number): T }, width: number) =>
      values.subarray(i * rows * width, (i + 1) * rows * width);
    return {
      ...{ ids: part(ids, LENGTH), targets: part(targets, LENGTH) },
      ...{ labels: part(labels, 1), labelled: part(labelled, 1) },
    };
  });
}

const weights = modelVariables(config);
const valueHead = variable("value_head", [1, config.width]);

/** Trains on the mean loss of the counted targets, half of the squared error of a value head, or both. */
function testTrainer(
  rows: number,
  terms: readonly ("token" | "value")[],
  learning: readonly TrainableParameter[],
): Trainer {
  const type = (dtype: "i32" | "f32", ...shape: number[]) => ({ dtype, shape });
  return {
    batch: {
      ...{ ids: type("i32", rows, LENGTH), targets: type("i32", rows, LENGTH) },
      ...{ labels: type("f32", rows), labelled: type("f32", rows) },
    },
    trainable: learning,
    objective: ({ ids, targets, labels, labelled }) => {
      const losses: Record<string, Mean & { weight?: number }> = {};
      if (terms.includes("token")) {
        const nats = tokenLosses(config, weights, ids, targets);
        losses.token = { sum: sum(nats), count: sum(countedTargets(targets)) };
      }
      if (terms.includes("value")) {
        const { hidden } = forward(config, weights, ids); // (B,T,C)
        const last = split(hidden, [LENGTH - 1, 1], 1)[1];
        const error: Tensor = sub(reshape(linear(reshape(last, [rows, config.width]), valueHead), [rows]), labels);
        losses.value = { ...meanOver(mul(error, error), labelled), weight: 0.5 };
      }
      return { losses, metrics: { label: meanOver(labels, labelled), row: meanOver(labels) } };
    },
  };
}

const everything = trainableParameters(config, weights);
const added = trainable(valueHead, { kind: "vector" });
const lastNormAndHead = trainableParameters(config, weights, ({ name }) => /^(model\.norm|lm_head)\./.test(name));

const optimizer = { ...ADAMW_DEFAULTS, clip: 1e9 };
const schedule = { kind: "constant", learningRate: 0.01, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
const at = (index: number) => ({ step: index, steps: 10, schedule });

/** The model's parameters that a trainer's graph reads: without a token loss it does not read the head. */
const parametersRead = (learning: readonly TrainableParameter[]) =>
  [...weights.keys()].filter((name) => learning.length > 1 || name !== "lm_head.weight");

async function open(trainer: Trainer, accumulate: number, options = {}): Promise<TrainingProgram> {
  const training = await compileTrainer(trainer, { optimizer, accumulate, ...options });
  for (const name of parametersRead(trainer.trainable)) training.program.write(name, modelFloats(`parameter.${name}`));
  if (trainer.trainable.includes(added)) training.program.write(added.name, await floats("value_head"));
  resetOptimizer(training);
  return training;
}

const COMPARED = [TARGETS[0], TARGETS[1]].filter((target) => target !== undefined);
describe.each(COMPARED)("a step on $name", { timeout: SLOW_BUILD }, ({ options, tolerance }) => {
  it.each([
    ["token", ["token"] as const, everything],
    ["both", ["token", "value"] as const, [...everything, added]],
  ])(
    "of eight rows equals four batches of two with unequal masks, and matches PyTorch: %s",
    async (name, terms, learning) => {
      const whole = await open(testTrainer(8, terms, learning), 1, options);
      const parts = await open(testTrainer(2, terms, learning), 4, options);
      const [one, four] = [await step(whole, batchesOf(8), at(0)), await step(parts, batchesOf(2), at(0))];
      expect(one.loss).toBeCloseTo((await floats(`${name}.loss`))[0], 4);
      expect(four.loss).toBeCloseTo(one.loss as number, 5);
      expect(four.counts).toEqual(name === "token" ? { token: 33 } : { token: 33, value: 4 });
      expect(one.counts).toEqual(four.counts);
      if (name === "both") {
        expect(one.metrics.token).toBeCloseTo((await floats("both.token_loss"))[0], 4);
        expect(one.metrics.value).toBeCloseTo((await floats("both.value_loss"))[0], 4);
      }
      for (const { name: parameter } of learning) {
        const read = ({ program }: TrainingProgram) => program.read(`gradient.${parameter}`);
        const [a, b] = [await read(whole), await read(parts)];
        const want = await floats(`${name}.gradient.${parameter}`);
        if (Math.hypot(...want) < 1e-12) continue;
        expect(relativeDifference(b, a), parameter).toBeLessThan(1e-5);
        expect(relativeDifference(a, want), parameter).toBeLessThan(tolerance);
      }
      whole.program.dispose();
      parts.program.dispose();
    },
  );
});

describe("a step", { timeout: SLOW_BUILD }, () => {
  it("averages each metric by its own count, skips a step without counts, and names missing inputs", async () => {
    const training = await open(testTrainer(2, ["token"], lastNormAndHead), 4);
    const all = labels.reduce((total, label) => total + label, 0) / ROWS;
    const some = labels.reduce((total, label, i) => total + label * labelled[i], 0) / 4;
    const { metrics, loss } = await step(training, batchesOf(2), at(0));
    expect(metrics.row).toBeCloseTo(all, 5);
    expect(metrics.label).toBeCloseTo(some, 5);
    expect(loss).toBeGreaterThan(0);
    const measured = await evaluateBatches(training, batchesOf(2));
    expect(measured.loss).toBeLessThan(loss as number);
    expect(measured.metrics).toEqual(metrics);

    const before = await snapshot(training);
    const empty = await step(training, [batchesOf(2)[2]], at(1)); // rows 4 and 5
    expect(empty).toMatchObject({ loss: null, gradientNorm: null, counts: { token: 0 } });
    expect(await snapshot(training)).toEqual(before);

    const { targets: _, ...rest } = batchesOf(2)[0];
    await expect(step(training, [rest], at(1))).rejects.toThrow(
      'the batch has no "targets"; it has ids, labels, labelled',
    );
    await expect(step(training, [], at(1))).rejects.toThrow("a training step needs at least one batch");
    training.program.dispose();
    const single = await open(testTrainer(2, ["token"], lastNormAndHead), 1);
    await expect(step(single, batchesOf(2), at(0))).rejects.toThrow(
      "the step has 4 batches, but the program was compiled for one",
    );
    single.program.dispose();
  });

  it("refuses invalid objectives", async () => {
    const trainer = (objective: Trainer["objective"]): Trainer => ({ batch: {}, trainable: [added], objective });
    const refused = (objective: Trainer["objective"]) =>
      expect(compileTrainer(trainer(objective), { optimizer, accumulate: 1 })).rejects;
    await refused(() => ({ losses: {} })).toThrow("an objective needs at least one loss term");
    const count = sum(valueHead);
    await refused(() => ({ losses: { a: { sum: count, count } } })).toThrow(/count depends on a variable/);
    expect(() => trainable(count, { kind: "vector" })).toThrow("cannot train a reshape: it is not a variable");
    expect(() => meanOver(valueHead, variable("w", [1]))).toThrow(/weights of shape \(1\)/);
  });
});

/** All variables of a training program, by name. */
async function snapshot({ program, trainable: learning, optimizer: own }: TrainingProgram) {
  const names = [
    ...parametersRead(learning),
    ...learning.map(({ name }) => name),
    ...optimizerState(learning, own).map(({ name }) => name),
  ];
  const values = await Promise.all([...new Set(names)].map(async (name) => [name, await program.read(name)] as const));
  return new Map(values);
}

describe.each([
  ["the last norm and the head", ["token"] as const, lastNormAndHead],
  ["an added value head", ["value"] as const, [added]],
])("a trainer of %s", { timeout: SLOW_BUILD }, (_, terms, learning) => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "quern-step-"));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const trainer = testTrainer(2, terms, learning);

  it("stores gradients and moments only for these, leaves the rest unchanged, and resumes to the same bits", async () => {
    const training = await open(trainer, 4);
    const { program } = training;
    const first = await snapshot(training);
    const size = (tensors: readonly { readonly shape: readonly number[] }[]) =>
      tensors.reduce((total, { shape }) => total + shape.reduce((a, b) => a * b, 1), 0);
    const learned = learning.map((parameter) => parameter.variable);
    const kept = [...weights.values(), ...learned.filter((tensor) => !new Set(weights.values()).has(tensor))];
    // Variables are aligned to 64 bytes.
    const most = 4 * (size(kept) + 3 * size(learned)) + 64 * (kept.length + 3 * learned.length);
    expect(program.plan.stateBytes).toBeLessThanOrEqual(most);
    const frozen = parametersRead(learning).filter((name) => !learning.some((parameter) => parameter.name === name));
    expect(frozen.length).toBeGreaterThan(10);
    for (const name of frozen) {
      await expect(program.read(`gradient.${name}`)).rejects.toThrow(/has no tensor/);
      await expect(program.read(`moment1.${name}`)).rejects.toThrow(/has no tensor/);
    }

    const saved = (training: TrainingProgram) => ({
      ...{ format: trainableFormat(training.program, training.trainable), state: storedState(training) },
    });
    const identity = { seconds: 1, run: "r", validationLoss: null };
    for (let index = 0; index < 5; index++) {
      await step(training, batchesOf(2), at(index));
      if (index === 2) await saveCheckpoint(folder, saved(training), { step: 3, ...identity });
    }
    const last = await snapshot(training);
    for (const name of frozen) expect(last.get(name), name).toEqual(first.get(name));
    for (const { name } of learning) expect(last.get(name), name).not.toEqual(first.get(name));
    program.dispose();

    expect((await readdir(join(folder, "checkpoints", "3"))).sort()).toEqual([
      "checkpoint.json",
      "trainable.safetensors",
      "training_state.safetensors",
    ]);
    const again = await open(trainer, 4);
    expect(await restoreCheckpoint(folder, "r", saved(again))).toEqual({ step: 3, ...identity });
    for (let index = 3; index < 5; index++) await step(again, batchesOf(2), at(index));
    expect(await snapshot(again)).toEqual(last);
    again.program.dispose();
  });
});
