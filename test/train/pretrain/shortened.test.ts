import { expect, it } from "vitest";
import { shortenedLine, shortenedOf } from "../../../src/train/index.js";

const plan = { steps: 1000, batch: 8, accumulate: 2, sequence: 256, cuts: [] };

it("has nothing to say of a run that trained all of its steps", () => {
  expect(shortenedOf(plan, null, 0.4)).toBeNull();
});

it("estimates by the law's data term what the missing steps would have gained", () => {
  const cut = { ...plan, cuts: [{ from: 300, steps: 800 }, { from: 500, steps: 600 }] }; // biome-ignore format: pairs
  const law = { A: 1, B: 100, E: 1, alpha: 0.3, beta: 0.5 } as never;
  const found = shortenedOf(cut, law, 0.4);
  const nats = 100 / Math.sqrt(600 * 4096) - 100 / Math.sqrt(1000 * 4096);
  expect(found).toMatchObject({ planned_steps: 1000, steps: 600 });
  expect(found?.bits_per_byte).toBeCloseTo(0.4 * nats, 12);
  expect(shortenedLine(found as never)).toMatch(/600 of 1000 steps, which cost about 0\.006 bits per byte/);
});
