/**
 * Reward models against TRL's trainer (a step at learning rate 0), transformers (scores of a sequence classifier) and PEFT (an
 * adapter with its head); runs, their held-out statistics, and what is refused.
 */
import { copyFileSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodePair } from "../../src/align/data/encode.js";
import { type ExampleOf, exampleOf } from "../../src/align/data/examples.js";
import { endOfCompletion } from "../../src/align/data/templates.js";
import {
  type DpoOptions,
  dpo,
  merge,
  openRewardModel,
  pairStatistics,
  type RewardOptions,
  reward,
  wilsonInterval,
} from "../../src/align/index.js";
import { bradleyTerry, centering, rewardTrainer } from "../../src/align/losses/reward.js";
import { createPolicy } from "../../src/align/policy.js";
import { compileReference } from "../../src/backends/index.js";
import { openTextModel } from "../../src/infer/index.js";
import { openModel, openSafetensors, parametersOf, SCORE, scoreParameter } from "../../src/model/index.js";
import * as q from "../../src/tensor/index.js";
import { loadTokenizer } from "../../src/tokenizer/index.js";
import { ADAMW_DEFAULTS, compileTrainer, step, trainable } from "../../src/train/index.js";
import { fixture, makeRewardModel, POLICY, readFixture, scratch, type TrainerCase } from "./fixtures.js";

interface RewardCase extends TrainerCase {
  readonly scores: readonly number[];
  readonly grad_norms: Readonly<Record<string, number>>;
}
const { reward: cases } = readFixture<{ readonly reward: readonly RewardCase[] }>("trainers.json");
const expected =
  readFixture<Readonly<Record<"texts", string[]> & Record<"head" | "adapter", number[]>>>("reward/expected.json");
const files = scratch();
afterAll(() => files.remove());

/** The tiny reward model of the oracle: the trunk of the policy with a head of its own. */
const REWARD = files.path("reward-model");
beforeAll(() => makeRewardModel(REWARD));

const END = "<|im_end|>";
/** TRL's fixture has the prompt before each answer, and the end of the text that it added. */
const dataOf = ({ rows }: RewardCase) =>
  rows.map(({ prompt, chosen, rejected }) => {
    const answer = (whole: unknown) =>
      typeof whole === "string"
        ? whole.slice((prompt as string).length).replace(END, "")
        : (whole as unknown[]).slice((prompt as unknown[]).length);
    return { prompt, chosen: answer(chosen), rejected: answer(rejected) };
  });
const whole = ({ rows }: RewardCase) =>
  rows.map(({ chosen, rejected }) =>
    typeof chosen === "string"
      ? { chosen: chosen.replace(END, ""), rejected: (rejected as string).replace(END, "") }
      : { chosen, rejected },
  );
const STEP: Omit<RewardOptions, "out"> = { steps: 1, learningRate: 0, order: "given", dtype: "fp32" };
const norm = (values: Float32Array) => Math.hypot(...values);
const difference = (a: readonly number[], b: readonly number[]) => Math.max(...a.map((x, i) => Math.abs(x - b[i])));

describe.each(cases)("$name, against TRL", (one) => {
  const { name, rows, loss, grad_norm, grad_norms, metrics, scores } = one;

  it.each([
    ["a prompt", dataOf(one)],
    ["an implicit prompt", whole(one)],
  ])("has its ids, with %s", async (_, data) => {
    const tokenizer = await loadTokenizer(POLICY);
    for (const [i, fields] of data.entries()) {
      const example = exampleOf({ fields, place: `row ${i}` }, "preference") as ExampleOf<"preference">;
      const pair = await encodePair(example, { tokenizer, endOfText: endOfCompletion(tokenizer) });
      expect(Array.from(pair.chosen.ids)).toEqual(rows[i].chosen_ids);
      expect(Array.from(pair.rejected.ids)).toEqual(rows[i].rejected_ids);
    }
  });

  it("has its loss, gradient norm and statistics", { timeout: 120_000 }, async () => {
    const data = [files.jsonl(`${name}.jsonl`, dataOf(one))];
    const out = files.path(`run-${name}`);
    const { evaluation } = await reward({ ...STEP, model: REWARD, data, evalData: data, out, batch: rows.length });
    const [line] = files.lines(`run-${name}/metrics.jsonl`);
    expect(line.loss / loss).toBeCloseTo(1, 5);
    expect(line.grad_norm / grad_norm).toBeCloseTo(1, 4);
    expect(line.accuracy).toBe(metrics.accuracy);
    expect(line.margin).toBeCloseTo(metrics.margin, 5);
    expect(line.reward).toBeCloseTo(metrics.mean_reward, 5);
    const mean = scores.reduce((a, b) => a + b, 0) / scores.length;
    const std = Math.sqrt(scores.reduce((a, b) => a + (b - mean) ** 2, 0) / scores.length);
    expect(line.reward_std).toBeCloseTo(std, 5);
    expect(line.tokens).toBe(metrics.num_tokens);
    // An evaluation on the same pairs, by other code.
    for (const key of ["loss", "accuracy", "margin", "reward", "reward_std", "reward_chosen", "reward_rejected"])
      expect(evaluation?.[`validation_${key}`], key).toBeCloseTo(line[key], 5);
  });

  it("has the gradient norm of each parameter", { timeout: 120_000 }, async () => {
    const model = await openModel(REWARD, { classifier: true });
    const head = q.variable(SCORE, scoreParameter(model.config).shape);
    const policy = createPolicy(model.config);
    const sequence = Math.max(
      ...rows.flatMap(({ chosen_ids: a, rejected_ids: b }) => [a, b] as number[][]).map((ids) => ids.length),
    );
    const all = [...policy.trainable, trainable(head, { kind: "table" })];
    const shape = { pairs: rows.length, sequence };
    const training = await compileTrainer(rewardTrainer({ ...policy, trainable: all }, head, shape, 0), {
      ...{ optimizer: { ...ADAMW_DEFAULTS, clip: 1e9 }, accumulate: 1, dtype: "fp32" },
    });
    const { program } = training;
    try {
      for (const { name: each } of parametersOf(model.config)) program.write(each, await model.readParameter(each));
      program.write(SCORE, (await model.readScore?.()) as Float32Array);
      const texts = (["chosen_ids", "rejected_ids"] as const).flatMap((key) => rows.map((row) => row[key] as number[]));
      const ids = new Int32Array(texts.length * sequence);
      for (const [row, text] of texts.entries()) ids.set(text, row * sequence);
      const places = Int32Array.from(texts, (text, row) => row * sequence + text.length - 1);
      const schedule = { kind: "constant", learningRate: 0, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
      const batch = { ids, places, margin: new Float32Array(rows.length) };
      await step(training, [batch], { step: 0, steps: 1, schedule });
      for (const [each, value] of Object.entries(grad_norms)) {
        expect(norm(await program.read(`gradient.${each}`)) / value, each).toBeCloseTo(1, 4);
      }
      expect(Object.keys(grad_norms)).toHaveLength(all.length);
    } finally {
      program.dispose();
      await model.close();
    }
  });

  it("has its scores, texts and conversations", { timeout: 60_000 }, async () => {
    await using model = await openRewardModel(REWARD, { dtype: "fp32" });
    const texts = whole(one) as { chosen: string; rejected: string }[];
    const own = await model.score([...texts.map(({ chosen }) => chosen), ...texts.map(({ rejected }) => rejected)]);
    expect(difference(own, scores)).toBeLessThan(2e-5);
  });
});

it("follows TRL over 20 steps, with margins and the centring term", { timeout: 120_000 }, async () => {
  const curve = readFixture<{
    readonly rows: readonly object[];
    readonly learning_rate: number;
    readonly center: number;
    readonly batch: number;
    readonly losses: readonly number[];
    readonly grad_norms: readonly number[];
  }>("reward/curve.json");
  await reward({
    ...{ model: REWARD, data: [files.jsonl("curve.jsonl", curve.rows)], out: files.path("curve") },
    ...{ steps: 20, batch: curve.batch, learningRate: curve.learning_rate, center: curve.center },
    ...{ order: "given", schedule: "linear", dtype: "fp32" },
  });
  const lines = files.lines("curve/metrics.jsonl");
  const relative = (key: "loss" | "grad_norm", values: readonly number[]) =>
    Math.max(...values.map((value, i) => Math.abs(lines[i][key] / value - 1)));
  expect(relative("loss", curve.losses)).toBeLessThan(1e-3);
  expect(relative("grad_norm", curve.grad_norms)).toBeLessThan(1e-3);
});

describe("a sequence classifier of transformers", () => {
  it("gives the same scores, a text that ends with padding too", async () => {
    await using model = await openRewardModel(REWARD, { dtype: "fp32" });
    expect(difference(await model.score(expected.texts), expected.head)).toBeLessThan(2e-5);
  });

  it("gives the same scores alone and in batches of any size", async () => {
    await using model = await openRewardModel(REWARD, { dtype: "fp32" });
    const texts = Array.from({ length: 70 }, (_, i) => "many words ".repeat((i % 9) + 1) + i);
    const together = await model.score(texts);
    for (const i of [0, 13, 69]) expect(difference(await model.score([texts[i]]), [together[i]])).toBeLessThan(1e-5);
    expect(await model.score([])).toEqual([]);
    // Longer than the model's 512 tokens: the end counts.
    const [long, end] = await model.score(["x".repeat(600), "x".repeat(511)]);
    expect(long).toBeCloseTo(end, 4);
  });

  it("is no language model", async () => {
    await expect(openModel(REWARD)).rejects.toThrow(
      "is a reward model (LlamaForSequenceClassification): it scores texts and has no head",
    );
    await expect(openTextModel(REWARD)).rejects.toThrow("is a reward model");
    await expect(openModel(fixture("reward/adapter"))).rejects.toThrow("is a reward model (an adapter for SEQ_CLS)");
    await expect(openRewardModel(POLICY)).rejects.toThrow("is a language model, not a reward model");
    const data = [files.jsonl("any.jsonl", [{ prompt: "a", chosen: "b", rejected: "c" }])];
    const options: DpoOptions = { model: REWARD, data, out: files.path("never"), steps: 1 };
    await expect(dpo(options)).rejects.toThrow("give a language model");
  });
});

describe("an adapter of PEFT with its head", () => {
  it("gives the same scores, and merged into a classifier of its own", { timeout: 60_000 }, async () => {
    await using model = await openRewardModel(fixture("reward/adapter"), { dtype: "fp32" });
    expect(difference(await model.score(expected.texts), expected.adapter)).toBeLessThan(2e-5);
    await merge({ model: POLICY, adapter: fixture("reward/adapter"), out: files.path("merged") });
    await using merged = await openRewardModel(files.path("merged"), { dtype: "fp32" });
    expect(difference(await merged.score(expected.texts), expected.adapter)).toBeLessThan(2e-5);
  });
});

/** Answers with "good" are chosen; the words around them vary. */
const pairsOf = (count: number, first = 0) =>
  Array.from({ length: count }, (_, i) => ({
    prompt: `${first + i}: `,
    chosen: `good ${(i * 7) % 10}`,
    rejected: `poor ${(i * 3) % 10}`,
  }));

describe("a run", () => {
  const base: Omit<RewardOptions, "out"> = { model: POLICY, batch: 4, dtype: "fp32", learningRate: 3e-3 };

  it("learns, measures held-out accuracy with its interval, and can be trained further", {
    timeout: 120_000,
  }, async () => {
    const data = [files.jsonl("train.jsonl", pairsOf(40))];
    const equal = { prompt: "e: ", chosen: "same", rejected: "same" };
    const evalData = [files.jsonl("held-out.jsonl", [...pairsOf(30, 50), equal])];
    const notes: string[] = [];
    const out = files.path("learned");
    const result = await reward({
      ...{ ...base, data, evalData, out, steps: 20, center: 0.01, saveEvery: 10 },
      onNote: (line) => notes.push(line),
    });
    const { evaluation } = result;
    expect(evaluation).toMatchObject({
      pairs: 30,
      equal_pairs: 1,
      accuracy: 1,
      validation_accuracy: 1,
      accuracy_high: 1,
    });
    expect(evaluation?.accuracy_low).toBeCloseTo(wilsonInterval(30, 30)[0], 10);
    expect(evaluation?.calibration_error).toBeLessThan(0.5);
    expect(notes).toContain("1 evaluation pair has equal answers; they teach nothing");
    const record = JSON.parse(readFileSync(`${out}/run.json`, "utf8"));
    expect(record.result).toMatchObject({ accuracy: 1, reliability: expect.any(Array) });
    const config = JSON.parse(readFileSync(`${result.checkpoint}/config.json`, "utf8"));
    expect(config).toMatchObject({ architectures: ["LlamaForSequenceClassification"], num_labels: 1, pad_token_id: 0 });
    const texts = pairsOf(3, 90).flatMap(({ prompt, chosen, rejected }) => [prompt + chosen, prompt + rejected]);
    await using model = await openRewardModel(out, { dtype: "fp32" });
    const before = await model.score(texts);
    for (const i of [0, 2, 4]) expect(before[i]).toBeGreaterThan(before[i + 1]);
    // A run on a reward model begins with its head: at learning rate 0 nothing changes.
    const again = await reward({ ...base, ...STEP, model: out, data, out: files.path("again") });
    await using same = await openRewardModel(again.run, { dtype: "fp32" });
    expect(difference(await same.score(texts), before)).toBeLessThan(1e-5);
  });

  it.each([{}, { lora: 2, loraDropout: 0.1 }])(
    "that is stopped resumes to the same bits, %j",
    { timeout: 120_000 },
    async (more) => {
      const data = [files.jsonl("resume.jsonl", pairsOf(10))];
      const options = { ...base, ...more, data, steps: 6, saveEvery: 2 };
      const name = "lora" in more ? "lora" : "full";
      const complete = await reward({ ...options, out: files.path(`${name}-whole`) });
      const abort = new AbortController();
      const stopped = reward({
        ...{ ...options, out: files.path(`${name}-stopped`), signal: abort.signal },
        onProgress: ({ task, done }) => task === "train" && done === 3 && abort.abort(),
      });
      await expect(stopped).rejects.toThrow("interrupted at step 3 of 6");
      const resumed = await reward({ out: files.path(`${name}-stopped`), resume: true });
      const file = "lora" in more ? "adapter_model.safetensors" : "model.safetensors";
      const bytes = (checkpoint: string) => readFileSync(`${checkpoint}/${file}`);
      expect(bytes(resumed.checkpoint).equals(bytes(complete.checkpoint))).toBe(true);
    },
  );

  it("with LoRA is a PEFT adapter for sequence classification", { timeout: 60_000 }, async () => {
    const data = [files.jsonl("lora.jsonl", pairsOf(10))];
    const { checkpoint, run } = await reward({ ...base, data, steps: 2, lora: 2, out: files.path("peft") });
    const config = JSON.parse(readFileSync(`${checkpoint}/adapter_config.json`, "utf8"));
    expect(config).toMatchObject({ task_type: "SEQ_CLS", modules_to_save: ["classifier", "score"], r: 2 });
    const tensors = await openSafetensors(`${checkpoint}/adapter_model.safetensors`);
    expect(tensors.tensors.get("base_model.model.score.weight")?.shape).toEqual([1, 64]);
    await tensors.close();
    const texts = pairsOf(2).map(({ prompt, chosen }) => prompt + chosen);
    await merge({ adapter: run, out: files.path("peft-merged") });
    await using adapted = await openRewardModel(run, { dtype: "fp32" });
    await using merged = await openRewardModel(files.path("peft-merged"), { dtype: "fp32" });
    expect(difference(await adapted.score(texts), await merged.score(texts))).toBeLessThan(1e-6);
  });

  it("without a padding token pads with the end of the text, and scores the token before it", {
    timeout: 60_000,
  }, async () => {
    const unpadded = files.path("unpadded");
    cpSync(POLICY, unpadded, { recursive: true });
    for (const name of ["config.json", "tokenizer_config.json"]) {
      const { pad_token: _, pad_token_id: __, ...rest } = JSON.parse(readFileSync(`${unpadded}/${name}`, "utf8"));
      writeFileSync(`${unpadded}/${name}`, JSON.stringify(rest));
    }
    const data = [files.jsonl("unpadded.jsonl", pairsOf(4))];
    const { checkpoint } = await reward({ ...base, data, model: unpadded, steps: 1, out: files.path("padded") });
    const json = (name: string) => JSON.parse(readFileSync(`${checkpoint}/${name}`, "utf8"));
    expect(json("config.json")).toMatchObject({ pad_token_id: 2, eos_token_id: 2 });
    expect(json("tokenizer_config.json")).toMatchObject({ pad_token: "<|im_end|>" });
    await using model = await openRewardModel(checkpoint, { dtype: "fp32" });
    const [ended] = await model.score(["ab"]);
    expect(await model.scoreIds([model.tokenizer.encode("ab")])).toEqual([ended]);
  });

  it("drops pairs that are too long unless it may cut them, counts equal ones, and refuses data without pairs", async () => {
    const notes: string[] = [];
    const data = [
      files.jsonl("odd.jsonl", [
        { prompt: "a", chosen: "b".repeat(40), rejected: "c" },
        { prompt: "a", chosen: "b", rejected: "b" },
        { prompt: "a", chosen: "b", rejected: "c", margin: 0.5 },
      ]),
    ];
    const options = { ...base, ...STEP, data, maxLength: 20, dryRun: true, onNote: (line: string) => notes.push(line) };
    const { plan } = await reward({ ...options, out: files.path("odd") });
    expect(plan.examples).toBe(2);
    expect(notes).toContain("1 preference dropped: longer than the maximum length");
    expect(notes).toContain("1 preference has equal answers; they teach nothing");
    expect((await reward({ ...options, truncate: "left", out: files.path("odd") })).plan.examples).toBe(3);
    const chats = [files.jsonl("chats.jsonl", [{ messages: [{ role: "user", content: "a" }] }])];
    await expect(reward({ ...options, data: chats, out: files.path("odd") })).rejects.toThrow(
      "the row is a messages example",
    );
  });
});

it("refuses a classifier with several labels, and one without its head", async () => {
  const several = files.path("several");
  cpSync(REWARD, several, { recursive: true });
  const config = JSON.parse(readFileSync(`${several}/config.json`, "utf8"));
  writeFileSync(`${several}/config.json`, JSON.stringify({ ...config, id2label: { 0: "a", 1: "b" } }));
  await expect(openRewardModel(several)).rejects.toThrow("with 2 labels; a reward model has one");
  const headless = files.path("headless");
  cpSync(POLICY, headless, { recursive: true });
  copyFileSync(`${REWARD}/config.json`, `${headless}/config.json`);
  await expect(openRewardModel(headless)).rejects.toThrow("has no weights for score.weight");
});

describe("the losses", () => {
  it("have the values of their formulas", async () => {
    const constants = (values: number[]) => q.constant(Float32Array.from(values), [2]);
    const scores = { chosen: constants([1, -2]), rejected: constants([0.25, 3]), margin: constants([0.5, 0]) };
    const program = compileReference({
      run: { outputs: { preference: bradleyTerry(scores), centering: centering(scores) } },
    });
    await program.run("run");
    const read = async (name: string) => Array.from(await program.read(name));
    const minusLogSigma = (x: number) => Math.log(1 + Math.exp(-x));
    expect(difference(await read("preference"), [minusLogSigma(0.25), minusLogSigma(-5)])).toBeLessThan(1e-6);
    expect(await read("centering")).toEqual([1.25 ** 2, 1]);
  });
});

describe("statistics of pairs", () => {
  it("have Wilson's interval", () => {
    // Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263 and 15 of 148.
    expect(wilsonInterval(81, 263).map((x) => x.toFixed(4))).toEqual(["0.2553", "0.3662"]);
    expect(wilsonInterval(15, 148).map((x) => x.toFixed(4))).toEqual(["0.0624", "0.1605"]);
    expect(wilsonInterval(0, 20)[0]).toBe(0);
  });

  it("have calibration: bins of confidence, and the mean distance from accuracy", () => {
    const odds = (p: number) => Math.log(p / (1 - p));
    // Confidence .8 four times, right three times; confidence .93 once, right.
    const margins = [odds(0.8), odds(0.8), odds(0.8), -odds(0.8), odds(0.93)];
    const { accuracy, pairs, calibration_error, reliability } = pairStatistics(margins.map((m) => m * (1 + 1e-9)));
    expect([accuracy, pairs]).toEqual([0.8, 5]);
    expect(calibration_error).toBeCloseTo((4 * 0.05 + 0.07) / 5, 6);
    expect(reliability).toHaveLength(10);
    expect(reliability[6]).toMatchObject({ from: 0.8, to: 0.85, pairs: 4, accuracy: 0.75 });
    expect(reliability[0]).toEqual({ from: 0.5, to: 0.55, pairs: 0, confidence: null, accuracy: null });
    // Equal rewards are not right.
    expect(pairStatistics([0])).toMatchObject({ accuracy: 0, calibration_error: 0.5 });
  });
});
