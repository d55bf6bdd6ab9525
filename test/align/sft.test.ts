/** Supervised fine-tuning against TRL's trainer: ids, masks, loss and gradient norm of a step at learning rate 0. */
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { encodeExample } from "../../src/align/data/encode.js";
import { type ExampleOf, exampleOf, formOf } from "../../src/align/data/examples.js";
import { endOfCompletion } from "../../src/align/data/templates.js";
import { sft } from "../../src/align/index.js";
import { checkpointPath } from "../../src/model/index.js";
import { loadTokenizer } from "../../src/tokenizer/index.js";
import { POLICY, readFixture, scratch, type Trainers } from "./fixtures.js";

const cases = readFixture<Trainers>("trainers.json").sft;
const files = scratch();
const readCheckpoint = (run: string, step: number) =>
  JSON.parse(readFileSync(`${checkpointPath(run, step)}/checkpoint.json`, "utf8"));
afterAll(() => files.remove());

const lossOn = (config: Readonly<Record<string, unknown>>, form: string) =>
  config.completion_only_loss === false ? "all" : form === "messages" ? "assistant" : "completion";

describe.each(cases)("$name", ({ name, config, data = [], rows, loss, grad_norm, metrics }) => {
  const packing = config.packing === true;

  it.skipIf(packing)("has TRL's ids and labels", async () => {
    const tokenizer = await loadTokenizer(POLICY);
    for (const [i, fields] of data.entries()) {
      const row = { fields, place: `row ${i}` };
      const form = formOf(row, ["messages", "completion", "text"]);
      const example = exampleOf(row, form) as ExampleOf<"messages" | "completion" | "text">;
      const endOfText = endOfCompletion(tokenizer);
      const { ids, learned } = await encodeExample(example, lossOn(config, form), { tokenizer, endOfText });
      expect(Array.from(ids)).toEqual(rows[i].input_ids);
      expect(Array.from(learned, (one, t) => (one === 1 ? ids[t] : -100))).toEqual(rows[i].labels);
    }
  });

  it("has TRL's loss, entropy and gradient norm", { timeout: 120_000 }, async () => {
    const run = name.replace(/\W+/g, "-");
    await sft({
      model: POLICY,
      data: [files.jsonl(`${run}.jsonl`, data)],
      out: files.path(run),
      ...{ steps: 1, learningRate: 0, order: "given", dtype: "fp32", batch: rows.length },
      ...(config.completion_only_loss === false && { lossOn: "all" as const }),
      ...(packing && { packing, maxLength: config.max_length as number }),
    });
    const [line] = files.lines(`${run}/metrics.jsonl`);
    expect(line.loss).toBeCloseTo(loss, 5);
    expect(line.grad_norm / grad_norm).toBeCloseTo(1, 4);
    expect(line.entropy).toBeCloseTo(metrics.entropy, 4);
    expect(line.token_accuracy).toBe(metrics.mean_token_accuracy);
    expect(line.tokens).toBe(metrics.num_tokens);
  });
});

it("finds its steps from a time budget, packed or not", { timeout: 120_000 }, async () => {
  const rows = Array.from({ length: 12 }, (_, i) => ({ prompt: `${i} and `, completion: "x".repeat(i + 1) }));
  const data = [files.jsonl("timed.jsonl", rows)];
  for (const packing of [false, true]) {
    const out = files.path(`timed-${packing}`);
    const common = { model: POLICY, data, out, packing, maxLength: 64, batch: 2, dtype: "fp32" as const };
    const { steps, loss } = await sft({ ...common, minutes: 0.01 });
    expect(steps).toBeGreaterThan(0);
    expect(loss).toBeGreaterThan(0);
  }
});

it("evaluates once, after the last step, with evalEvery end", { timeout: 120_000 }, async () => {
  const data = [files.jsonl("few.jsonl", [{ prompt: "one", completion: " two" }])];
  const common = { model: POLICY, data, evalData: data, batch: 1, steps: 6, dtype: "fp32", keep: 6 } as const;
  const run = files.path("evaluated");
  const { best_checkpoint } = await sft({ ...common, out: run, evalEvery: "end", saveEvery: 2, learningRate: 0.5 });
  const losses = files.lines("evaluated/metrics.jsonl").filter((line) => line.validation_loss !== undefined);
  expect(losses.map(({ step }) => step)).toEqual([6]);
  const saved = [2, 4, 6].map((step) => readCheckpoint(run, step).validation_loss);
  expect(saved).toEqual([null, null, losses[0].validation_loss]);
  expect(best_checkpoint).toBe(checkpointPath(run, 6));
  await expect(sft({ ...common, out: run, evalEvery: "never" as "end" })).rejects.toThrow(
    'evalEvery must be a whole number of at least 1, or end, not "never"',
  );
});
