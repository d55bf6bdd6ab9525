/** Twenty steps of SFT and DPO follow TRL's loss and gradient norm. */
import { afterAll, expect, it } from "vitest";
import { dpo, sft } from "../../src/align/index.js";
import { POLICY, REFERENCE, readFixture, scratch } from "./fixtures.js";

interface Curve {
  readonly rows: readonly object[];
  readonly batch: number;
  readonly learning_rate: number;
  readonly losses: readonly number[];
  readonly grad_norms: readonly number[];
}
const curves = readFixture<Record<"sft" | "dpo", Curve>>("curves.json");
const files = scratch();
afterAll(() => files.remove());

it.each(["sft", "dpo"] as const)("%s", { timeout: 120_000 }, async (name) => {
  const { rows, batch, learning_rate, losses, grad_norms } = curves[name];
  const options = {
    ...{
      model: POLICY,
      data: [files.jsonl(`${name}.jsonl`, rows)],
      out: files.path(name),
      batch,
      steps: losses.length,
    },
    ...{ learningRate: learning_rate, schedule: "linear" as const, order: "given" as const, dtype: "fp32" as const },
  };
  await (name === "sft" ? sft(options) : dpo({ ...options, reference: REFERENCE }));
  const lines = files.lines(`${name}/metrics.jsonl`);
  expect(lines).toHaveLength(losses.length);
  const relative = (key: "loss" | "grad_norm", values: readonly number[]) =>
    Math.max(...values.map((value, i) => Math.abs(lines[i][key] / value - 1)));
  expect(relative("loss", losses)).toBeLessThan(1e-3);
  expect(relative("grad_norm", grad_norms)).toBeLessThan(2e-3);
});
