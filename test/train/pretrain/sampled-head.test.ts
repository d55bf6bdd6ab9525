/** The sampled head: an unbiased estimate of the softmax's sum, and the loss over its candidates. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compileReference } from "../../../src/backends/index.js";
import {
  defineModel,
  forward,
  headOf,
  initialValues,
  modelVariables,
  parametersOf,
  sampledTokenLosses,
  tokenLosses,
} from "../../../src/model/index.js";
import * as q from "../../../src/tensor/index.js";
import { type PretrainOptions, pretrain } from "../../../src/train/index.js";
import { candidatesFor, candidatesOf, inclusionOf, tokenShares } from "../../../src/train/pretrain/sampled-head.js";
import { random } from "../../backends/operations.cases.js";
import { SLOW_BUILD } from "../../model/targets.js";

const draw = random(7);

describe("candidates", () => {
  const V = 60;
  const n = 40;
  /** Zipf's law. */
  const raw = Float64Array.from({ length: V }, (_, j) => 1 / (j + 1));
  const total = raw.reduce((a, b) => a + b);
  const shares = raw.map((x) => x / total);
  const token = () => {
    let left = draw();
    for (let j = 0; j < V; j++) {
      left -= shares[j];
      if (left < 0) return j;
    }
    return 0;
  };

  it("weigh so that the expected sum over them is that over the vocabulary", () => {
    const logits = Float64Array.from({ length: V }, () => 4 * draw() - 2);
    const exact = logits.reduce((sum, z) => sum + Math.exp(z), 0);
    const estimates = Array.from({ length: 20_000 }, () => {
      const { candidates, corrections } = candidatesOf({ targets: Int32Array.from({ length: n }, token) }, shares, V);
      return candidates.reduce(
        (sum, id, i) => sum + Math.exp(logits[id] + corrections[2 * i] + corrections[2 * i + 1]),
        0,
      );
    });
    const mean = estimates.reduce((a, b) => a + b) / estimates.length;
    const deviation = Math.sqrt(estimates.reduce((a, x) => a + (x - mean) ** 2, 0) / estimates.length ** 2);
    expect(deviation).toBeLessThan(0.01 * exact);
    expect(Math.abs(mean - exact)).toBeLessThan(4 * deviation);
  });

  it("are the distinct targets; ignored targets and those beyond the number of candidates have no place", () => {
    const targets = Int32Array.from([5, -100, 9, 5, 0, 9, 7]);
    const { candidates, corrections, places } = candidatesOf({ targets }, shares, 5);
    expect([...places]).toEqual([0, -100, 1, 0, 2, 1, 3]);
    expect([...candidates]).toEqual([5, 9, 0, 7, 0]);
    expect(corrections[8]).toBe(-1e4);
    const pi = inclusionOf(shares, 7);
    for (const [i, id] of [5, 9, 0, 7].entries())
      expect(corrections[2 * i] + corrections[2 * i + 1]).toBeCloseTo(-Math.log(pi[id]), 4);
    expect([...candidatesOf({ targets }, shares, 2).places]).toEqual([0, -100, 1, 0, -100, 1, -100]);
  });

  it("are chosen where they save much, with room for any batch", async () => {
    const ids = Int32Array.from({ length: 200_000 }, token);
    const counted = await tokenShares({ tokens: ids.length, read: (at, length) => ids.subarray(at, at + length) }, V);
    for (let j = 0; j < V; j++) expect(Math.abs(counted[j] - shares[j])).toBeLessThan(0.01);
    const wide = Float64Array.from({ length: 8192 }, (_, j) => 1 / (j + 3));
    const sum = wide.reduce((a, b) => a + b);
    const model = defineModel({ family: "llama", layers: 2, width: 96, heads: 3, vocabSize: 8192, sequence: 256 });
    const chosen = candidatesFor(
      model,
      wide.map((x) => x / sum),
      { batch: 16, sequence: 256 },
    );
    const expected = inclusionOf(
      wide.map((x) => x / sum),
      4096,
    ).reduce((a, b) => a + b);
    expect(chosen.value).toBeGreaterThan(expected);
    expect(chosen.value).toBeLessThan(1.2 * expected + 64);
    // Every token occurs in most batches.
    expect(
      candidatesFor(
        model,
        wide.map((x) => x / sum),
        { batch: 512, sequence: 256 },
      ).value,
    ).toBeNull();
    // The layers take nearly all of a step.
    const deep = defineModel({ family: "llama", layers: 30, width: 576, heads: 9, vocabSize: 8192, sequence: 256 });
    expect(
      candidatesFor(
        deep,
        wide.map((x) => x / sum),
        { batch: 4, sequence: 256 },
      ).value,
    ).toBeNull();
  });
});

describe("the loss over candidates", () => {
  const [B, T, V] = [2, 7, 23];
  const config = defineModel({ family: "llama", layers: 1, width: 16, heads: 2, vocabSize: V, sequence: T });
  const weights = modelVariables(config);
  const inputs = {
    ids: Int32Array.from({ length: B * T }, () => Math.floor(draw() * V)),
    targets: Int32Array.from({ length: B * T }, (_, i) => (i === 4 ? -100 : Math.floor(draw() * V))),
  };
  const [ids, targets] = ["ids", "targets"].map((name) => q.input(name, [B, T], "i32"));
  const names = parametersOf(config).map(({ name }) => name);
  const entryOf = (losses: q.Tensor): q.Entry => {
    const gradients = q.gradients(
      q.sum(losses),
      names.map((name) => weights.get(name) as q.Tensor),
    );
    return { outputs: { losses, ...Object.fromEntries(names.map((name, i) => [`d ${name}`, gradients[i]])) } };
  };
  const sampleOf = (S: number) => ({
    candidates: q.input("candidates", [S], "i32"),
    corrections: q.input("corrections", [S, 2]),
    places: q.input("places", [B, T], "i32"),
  });
  const open = (entries: Record<string, q.Entry>) => {
    const program = compileReference(entries);
    for (const parameter of parametersOf(config)) program.write(parameter.name, initialValues(parameter, 3));
    return program;
  };

  it("is the exact one, with its gradients, where all tokens are candidates and nothing is corrected", async () => {
    const order = Int32Array.from({ length: V }, (_, i) => (i * 5) % V);
    const program = open({
      exact: entryOf(tokenLosses(config, weights, ids, targets)),
      sampled: entryOf(sampledTokenLosses(config, weights, ids, sampleOf(V))),
    });
    const outputs = ["losses", ...names.map((name) => `d ${name}`)];
    await program.run("exact", inputs);
    const exact = outputs.map((name) => program.readExact(name));
    const places = inputs.targets.map((target) => (target < 0 ? -100 : order.indexOf(target)));
    await program.run("sampled", { ids: inputs.ids, candidates: order, corrections: new Float32Array(2 * V), places });
    for (const [i, name] of outputs.entries()) {
      const found = program.readExact(name);
      for (const [k, value] of exact[i].entries()) expect(found[k], name).toBeCloseTo(value, 10);
    }
  });

  it("adds the corrections to the logits", async () => {
    const S = 5;
    const { hidden } = forward(config, weights, ids);
    const program = open({
      logits: { outputs: { z: q.linear(q.reshape(hidden, [B * T, 16]), headOf(config, weights)) } },
      sampled: { outputs: { losses: sampledTokenLosses(config, weights, ids, sampleOf(S)) } },
    });
    const candidates = Int32Array.from([3, 20, 0, 11, 7]);
    const corrections = Float32Array.from({ length: 2 * S }, () => draw());
    const places = Int32Array.from({ length: B * T }, (_, i) => (i === 2 ? -100 : i % S));
    await program.run("logits", { ids: inputs.ids });
    const z = program.readExact("z");
    await program.run("sampled", { ids: inputs.ids, candidates, corrections, places });
    const losses = program.readExact("losses");
    for (let row = 0; row < B * T; row++) {
      const own = Array.from(candidates, (id, i) => z[row * V + id] + corrections[2 * i] + corrections[2 * i + 1]);
      const want = places[row] < 0 ? 0 : Math.log(own.reduce((a, x) => a + Math.exp(x), 0)) - own[places[row]];
      expect(losses[row]).toBeCloseTo(want, 10);
    }
  });
});

describe("pretraining with a sampled head", { timeout: SLOW_BUILD }, () => {
  const folders: string[] = [];
  afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));
  const text = Array.from({ length: 3000 }, (_, i) => `The miller of mill ${(i * 37) % 101} grinds sack ${i}.`).join(
    "\n",
  );
  const train = async (more: Partial<PretrainOptions>) => {
    const folder = await mkdtemp(join(tmpdir(), "quern-head-"));
    folders.push(folder);
    return pretrain({
      ...{ layers: 1, width: 32, heads: 2, vocabSize: 400, sequence: 32, batch: 1, accumulate: 2, learningRate: 0.01 },
      ...{ documents: [{ text }], out: join(folder, "run"), steps: 60, saveEvery: 30, ...more },
    });
  };

  it("learns the whole distribution, is planned, and resumes to the same bits", async () => {
    const [full, sampled] = [await train({}), await train({ head: "sampled" })];
    expect(full.plan.candidates).toBeUndefined();
    expect(sampled.plan.candidates).toBe(64);
    const { width, vocabSize } = sampled.plan.model;
    expect(full.plan.training_flops_per_token - sampled.plan.training_flops_per_token).toBe(
      6 * width * (vocabSize - 64),
    );
    // Measured over the whole vocabulary, both learned: a uniform guess has log V.
    expect(full.heldOutLoss).toBeLessThan(0.6 * Math.log(vocabSize));
    expect(sampled.heldOutLoss).toBeLessThan(1.1 * full.heldOutLoss);
    const weights = () => readFile(join(sampled.checkpoint, "model.safetensors"));
    const whole = await weights();
    await rm(sampled.checkpoint, { recursive: true });
    await pretrain({ out: sampled.run, resume: true, documents: [{ text }] });
    expect((await weights()).equals(whole)).toBe(true);
  });
});
