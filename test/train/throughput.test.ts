import { describe, expect, it } from "vitest";
import { createWatch, type Deadline } from "../../src/train/throughput.js";

/** Runs steps of `secondsOf` seconds, with an aim of 100 s and a limit of 120 s; returns the time of the end. */
function run(
  steps: number,
  secondsOf: (time: number) => number,
  after?: Deadline["after"],
): { time: number; end: number; cuts: number } {
  let time = 0;
  let end = steps;
  let cuts = 0;
  const watch = createWatch({ aim: 100, limit: 120, after }, 0, () => time);
  for (let step = 1; step <= end; step++) {
    time += secondsOf(time);
    const next = watch(step, end);
    if (next !== null) {
      expect(next).toBeGreaterThan(step);
      expect(next).toBeLessThan(end);
      end = next;
      cuts += 1;
    }
  }
  return { time, end, cuts };
}

describe("a run with a deadline", () => {
  it("keeps its steps at the measured speed, and through slow phases", () => {
    expect(run(1000, () => 0.1)).toMatchObject({ end: 1000, cuts: 0 });
    expect(run(1000, (time) => (time > 5 && time < 15 ? 0.5 : 0.1))).toMatchObject({ end: 1000, cuts: 0 });
    expect(run(1000, (time) => (time < 20 ? 0.3 : 0.1)).end).toBe(1000);
  });

  it.each([
    ["three times as slow from the start", () => 0.3],
    ["ten times as slow", () => 1],
    ["slow in the second half", (time: number) => (time < 60 ? 0.1 : 0.4)],
    ["slower and slower", (time: number) => 0.1 + time / 200],
  ])("ends in time if it is %s", (_, secondsOf) => {
    const { time, end, cuts } = run(1000, secondsOf);
    expect(cuts).toBeGreaterThan(0);
    expect(time).toBeLessThanOrEqual(121);
    expect(time).toBeGreaterThan(75);
    expect(end).toBeLessThan(1000);
  });

  it("leaves time for what follows, which a slow machine slows, too", () => {
    const after = { milliseconds: 20, plannedStep: 0.1 };
    expect(run(800, () => 0.1, after)).toMatchObject({ end: 800, cuts: 0 });
    const { time, cuts } = run(800, (now) => (now < 40 ? 0.1 : 0.2), after);
    expect(cuts).toBeGreaterThan(0);
    expect(time + 2 * 20).toBeLessThanOrEqual(121);
    expect(time).toBeGreaterThan(55);
  });
});
