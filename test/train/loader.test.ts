import { describe, expect, it } from "vitest";
import { createLoader } from "../../src/train/index.js";
import { permute } from "../../src/train/loader.js";

/** The stream 0, 1, 2 …, so that a token tells where it stood. */
const counting = (tokens: number) => ({
  tokens,
  read: (offset: number, length: number) => {
    if (offset < 0 || offset + length > tokens) throw new RangeError(`${offset} + ${length} of ${tokens}`);
    return Uint32Array.from({ length }, (_, i) => offset + i);
  },
});

describe("permute", () => {
  it.each([1, 2, 3, 4, 5, 17, 64, 1000])("takes 0 … %i−1 each to another place", (size) => {
    const images = Array.from({ length: size }, (_, i) => permute(i, size, 9, 2));
    expect([...images].sort((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, i) => i));
  });

  it("orders each epoch and each seed differently", () => {
    const order = (seed: number, epoch: number) =>
      Array.from({ length: 50 }, (_, i) => permute(i, 50, seed, epoch)).join();
    expect(new Set([order(1, 0), order(1, 1), order(2, 0)]).size).toBe(3);
    expect(order(1, 0)).not.toBe(Array.from({ length: 50 }, (_, i) => i).join());
  });
});

describe("createLoader", () => {
  it("gives targets one token further on", async () => {
    const { ids, targets } = await createLoader(counting(1000), { batch: 4, sequence: 8, seed: 1 }).load(3);
    for (let i = 0; i < ids.length; i++) expect(targets[i]).toBe(ids[i] + 1);
    for (let row = 0; row < 4; row++) expect(ids[row * 8 + 7]).toBe(ids[row * 8] + 7);
  });

  it.each([9, 10, 16, 17, 18, 1000, 1007])("takes every window of %i tokens once an epoch", async (tokens) => {
    const loader = createLoader(counting(tokens), { batch: 1, sequence: 8, seed: 1 });
    for (const epoch of [0, 1, 2]) {
      const starts: number[] = [];
      for (let i = 0; i < loader.windows; i++) starts.push((await loader.load(epoch * loader.windows + i)).ids[0]);
      starts.sort((a, b) => a - b);
      expect(starts.every((start, i) => start === starts[0] + i * 8)).toBe(true);
      // Nearly all of the text is seen: what is left over is less than two windows.
      expect(tokens - loader.windows * 8).toBeLessThan(2 * 8 + 1);
    }
  });

  it("is a function of the seed and the number alone", async () => {
    const load = async (seed: number, index: number) =>
      Array.from((await createLoader(counting(500), { batch: 2, sequence: 8, seed }).load(index)).ids).join();
    expect(await load(1, 40)).toBe(await load(1, 40));
    expect(await load(1, 40)).not.toBe(await load(2, 40));
  });

  it("refuses a text shorter than a sequence", () => {
    expect(() => createLoader(counting(8), { batch: 1, sequence: 8, seed: 0 })).toThrow(/8 tokens.*takes 9/);
  });
});
