/** The speedrun's benchmarks on a tiny model, and their table. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { benchmarkSpeedrun, benchmarkTable, heldOutProblems } from "../../recipes/speedrun-benchmarks.js";
import { splitOf } from "../../recipes/wordnet-tasks.js";
import { arithmeticProblems } from "../../src/eval/index.js";

const model = join(dirname(fileURLToPath(import.meta.url)), "../oracle/fixtures/tiny-chat");

describe("the speedrun's benchmarks", () => {
  it("hold out the sums that no lesson has", () => {
    const held = heldOutProblems();
    const all = arithmeticProblems();
    expect(held.length).toBeGreaterThan(5);
    expect(held.length).toBeLessThan(all.length / 4);
    for (const position of held) {
      const [problem] = /\d [+-] \d/.exec(all[position].question) as RegExpExecArray;
      expect(splitOf("arithmetic", problem)).toBe("test");
    }
  });

  it("stand beside chance, with intervals", async () => {
    const rows = await benchmarkSpeedrun([{ name: "base", model }], {});
    expect(rows.map(({ name }) => name.trim())).toEqual([
      ...["agreement", "simple", "prepositional", "relative", "determiner", "anaphor"],
      ...["arithmetic", "never in a lesson"],
    ]);
    for (const { shares, chance } of rows) {
      const [{ value, interval, documents }] = shares;
      expect(documents).toBeGreaterThan(5);
      const [low, high] = interval as readonly [number, number];
      expect(low).toBeLessThanOrEqual(value);
      expect(high).toBeGreaterThanOrEqual(value);
      // Random weights know nothing.
      expect(low).toBeLessThan(chance + 0.1);
    }
    const lines = benchmarkTable(["base"], [{ source: "novel", bits_per_byte: 1.5 }], rows, []);
    expect(lines[0]).toMatch(/base +chance$/);
    expect(lines[1]).toMatch(/^bits per byte, novel +1\.500 +8$/);
    expect(lines[2]).toMatch(/^agreement, % of 1004 +\d+\.\d \(\d+\.\d to \d+\.\d\) +50$/);
    expect(lines.at(-1)).toMatch(/^judged wins against SFT, % +– +50$/);
  }, 120_000);
});
