import { describe, expect, it } from "vitest";
import { oneRank } from "../../../src/train/distributed/ranks.js";
import { ADAMW_DEFAULTS, MUON_DEFAULTS } from "../../../src/train/index.js";
import { shareOut } from "../../../src/train/optimizer/shares.js";
import { relativeDifference } from "../../model/model-fixtures.js";
import { SLOW_BUILD } from "../../model/targets.js";
import { asRanks } from "./team.js";
import { ROWS, trainOn } from "./training.js";

const muon = { ...MUON_DEFAULTS, adamw: ADAMW_DEFAULTS };
const parameter = (name: string, shape: readonly number[], kind: "table" | "projection" | "norm" = "table") => ({
  ...{ name, kind: kind as never },
  variable: { shape },
});

describe("shareOut", () => {
  it("cuts each of AdamW's parameters into equal ranges that begin at cache lines", () => {
    const pieces = shareOut(
      [parameter("a", [100, 16]), parameter("b", [7]), parameter("c", [33, 10])],
      ADAMW_DEFAULTS,
      3,
    );
    expect(pieces).toEqual([
      { name: "a", from: 0, length: 528, owner: 0 },
      { name: "a", from: 528, length: 544, owner: 1 },
      { name: "a", from: 1072, length: 528, owner: 2 },
      { name: "b", from: 0, length: 7, owner: 2 },
      { name: "c", from: 0, length: 112, owner: 0 },
      { name: "c", from: 112, length: 112, owner: 1 },
      { name: "c", from: 224, length: 106, owner: 2 },
    ]);
  });

  it("gives every number to one rank, whatever the sizes", () => {
    for (const size of [1, 2, 3, 4, 7]) {
      for (const shapes of [[[1]], [[5], [16], [17, 3]], [[64, 64], [3], [1000]]]) {
        const parameters = shapes.map((shape, i) => parameter(`p${i}`, shape));
        for (const options of [ADAMW_DEFAULTS, muon]) {
          const pieces = shareOut(parameters, options, size);
          for (const { name, variable } of parameters) {
            const own = pieces.filter((piece) => piece.name === name);
            let end = 0;
            for (const { from, length } of own) {
              expect(from).toBe(end);
              end += length;
            }
            expect(end).toBe(variable.shape.reduce((a, b) => a * b, 1));
          }
        }
      }
    }
  });

  it("gives Muon's matrices whole to the rank that has the fewest numbers", () => {
    const matrices = [
      [8, 8],
      [16, 16],
      [8, 16],
      [8, 16],
    ].map((shape, i) => parameter(`m${i}`, shape, "projection"));
    const pieces = shareOut([...matrices, parameter("table", [10, 16])], muon, 2);
    expect(pieces.map(({ name, owner, length }) => [name, owner, length])).toEqual([
      ["m0", 0, 64],
      ["m1", 0, 256],
      ["m2", 1, 128],
      ["m3", 1, 128],
      ["table", 0, 80],
      ["table", 1, 80],
    ]);
  });
});

describe("ranks that divide the optimizer's state", { timeout: SLOW_BUILD }, () => {
  it.each([
    { size: 2, zero: 1, optimizer: ADAMW_DEFAULTS },
    { size: 3, zero: 1, optimizer: muon },
    { size: 2, zero: 2, optimizer: muon },
    { size: 3, zero: 2, optimizer: ADAMW_DEFAULTS },
  ] as const)("train as one rank does: $size ranks, stage $zero, $optimizer.kind", async (each) => {
    const { size, zero, optimizer } = each;
    const whole = await trainOn(oneRank, { batch: ROWS, accumulate: 1, optimizer });
    const setting = { batch: ROWS / size, accumulate: size, optimizer };
    const [results, undivided] = await Promise.all([
      asRanks(size, (ranks) => trainOn(ranks, { ...setting, zero })),
      asRanks(size, (ranks) => trainOn(ranks, setting)),
    ]);
    for (const { losses, weights, norms, bytes } of results) {
      expect(norms[0] as number).toBeCloseTo(whole.norms[0] as number, 5);
      losses.forEach((loss, i) => {
        expect(Math.abs((loss as number) - (whole.losses[i] as number))).toBeLessThan(1e-4);
      });
      expect({ norms, losses }).toEqual({ norms: results[0].norms, losses: results[0].losses });
      expect(weights.equals(results[0].weights)).toBe(true);
      // Muon's workspace is larger than this model's state.
      if (optimizer.kind === "adamw") expect(bytes).toBeLessThan(undivided[0].bytes);
    }
    // The state that rank 0 would save is that of a rank that has all of it.
    const floats = ({ buffer, byteOffset, byteLength }: Buffer) =>
      new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
    expect(results[0].state.length).toBe(undivided[0].state.length);
    expect(relativeDifference(floats(results[0].state), floats(undivided[0].state))).toBeLessThan(1e-3);
  });
});
