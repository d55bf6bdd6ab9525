import { describe, expect, it } from "vitest";
import { learningRateAt } from "../../../src/train/index.js";

const schedule = { kind: "cosine", decaySteps: 6, learningRate: 0.01, warmupSteps: 4, finalShare: 0.1 } as const;

describe("learningRateAt", () => {
  it("warms up linearly to the peak, then decays by a cosine", () => {
    const rates = Array.from({ length: 25 }, (_, step) => learningRateAt(step, 24, schedule));
    expect(rates.slice(0, 5)).toEqual([0.0025, 0.005, 0.0075, 0.01, 0.01]);
    expect(rates[14]).toBeCloseTo(0.0055, 12); // half-way down
    expect(rates[24]).toBeCloseTo(0.001, 12);
    for (let step = 5; step < 25; step++) expect(rates[step]).toBeLessThan(rates[step - 1]);
  });

  it("stays at the final rate after the end, and accepts runs shorter than the warm-up", () => {
    expect(learningRateAt(100, 24, schedule)).toBeCloseTo(0.001, 12);
    expect(learningRateAt(0, 1, schedule)).toBe(0.01);
    expect(learningRateAt(0, 10, schedule)).toBe(0.005);
    expect(learningRateAt(0, 1, { ...schedule, warmupSteps: 0 })).toBe(0.01);
  });
});
