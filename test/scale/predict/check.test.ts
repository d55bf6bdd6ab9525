import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fitScalingLaw, predictRun, sweepRuns } from "../../../src/scale/index.js";

let base: string;
let law: string;
beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "quern-check-"));
  const text = join(base, "text.txt");
  const sentence = (i: number) => `The miller number ${i} ground ${(i * 7919) % 1013} sacks of corn by the river.`;
  writeFileSync(text, Array.from({ length: 1500 }, (_, i) => sentence(i)).join("\n\n"));
  const out = join(base, "sweep");
  const flops = [4e8, 8e8, 1.6e9];
  await sweepRuns({ text: [text], out, flops, sizes: 3, vocabSize: 300, heldOut: 512, sequence: 32, workers: 1 });
  await fitScalingLaw({ runs: out, out: join(base, "law"), bootstrap: 50, threads: 1 });
  law = join(base, "law", "law.json");
}, 60_000);
afterAll(() => rmSync(base, { recursive: true, force: true }));

describe("a checked prediction", () => {
  it("is written before its run, which is trained like the sweep's and compared with the interval", async () => {
    const { check, planned, plan } = await predictRun({ law, flops: 3.2e9, check: true, threads: 1 });
    if (check === null || typeof plan === "string") throw new Error("nothing was checked");
    expect(plan.plan.sequence).toBe(32);
    expect(plan.plan.model.vocabSize).toBe(300);
    expect([check.params, check.tokens, check.predicted]).toEqual([planned.params, planned.tokens, planned.loss]);
    expect(check.loss).toBeGreaterThan(0);
    expect(check.loss).toBeLessThan(Math.log(300));
    expect(check.error).toBeCloseTo(check.loss / check.predicted - 1, 12);
    const [low, high] = check.predicted_interval as readonly [number, number];
    expect(check.held).toBe(check.loss >= low && check.loss <= high);
    const written = JSON.parse(readFileSync(check.prediction, "utf8"));
    const { created } = JSON.parse(readFileSync(join(check.run, "run.json"), "utf8"));
    expect(written.predicted).toBe(check.predicted);
    expect(Date.parse(written.predicted_at)).toBeLessThanOrEqual(Date.parse(created));
    // Repeated, the run is only evaluated again.
    const again = await predictRun({ law, flops: 3.2e9, check: true, threads: 1 });
    expect(again.check?.loss).toBe(check.loss);
    expect(JSON.parse(readFileSync(check.prediction, "utf8"))).toEqual(written);
  });

  it("takes twice the largest budget unless one is given", async () => {
    const { flops, times_largest, check } = await predictRun({ law, check: true, threads: 1 });
    expect(times_largest).toBeCloseTo(2, 6);
    expect(Math.abs(Math.log(Number(check?.flops) / flops))).toBeLessThan(0.7);
  });

  it("needs the tokens of a sweep", async () => {
    const elsewhere = join(base, "law.json");
    writeFileSync(elsewhere, JSON.stringify({ ...JSON.parse(readFileSync(law, "utf8")), source: "runs.csv" }));
    await expect(predictRun({ law: elsewhere, flops: 1e9, check: true })).rejects.toThrow(
      /contain no sweep\.json; name the sweep with --sweep/,
    );
    const { check } = await predictRun({
      law: elsewhere,
      flops: 8e8,
      check: true,
      sweep: join(base, "sweep"),
      threads: 1,
    });
    expect(existsSync(check?.run ?? "")).toBe(true);
  });
});
