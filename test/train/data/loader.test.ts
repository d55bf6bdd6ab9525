import { describe, expect, it } from "vitest";
import { permute } from "../../../src/train/data/loader.js";
import { createLoader } from "../../../src/train/index.js";

/** The text 0, 1, 2 …, so that each token equals its position. */
const counting = (tokens: number) => ({
  tokens,
  read: (offset: number, length: number) => {
    if (offset < 0 || offset + length > tokens) throw new RangeError(`${offset} + ${length} of ${tokens}`);
    return Uint32Array.from({ length }, (_, i) => offset + i);
  },
});

describe("permute", () => {
  it.each([1, 2, 3, 4, 5, 17, 64, 1000])("is a permutation of 0 … %i−1", (size) => {
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
  const documents = { ...counting(1000), documentEnds: [5, 12, 300, 310, 650, 651, 990, 1000] };

  it("shifts targets by one token, and puts end-of-text before each document", async () => {
    const loader = createLoader(documents, { batch: 4, sequence: 8, seed: 1, endOfText: 7777 });
    const idsBefore = new Set<number>(); // the ids before documents
    for (let index = 0; index < loader.rows / 4; index++) {
      const { ids, targets } = await loader.load(index);
      for (let i = 0; i < ids.length; i++) {
        expect(ids[i]).toBe(targets[i] === 0 ? 7777 : targets[i] - 1);
        if ([0, ...documents.documentEnds].includes(targets[i])) idsBefore.add(ids[i]);
      }
    }
    expect(idsBefore.size).toBeGreaterThan(5);
  });

  it("reads a long text in windows: each row once per epoch, with memory for one window", async () => {
    const ranges: [number, number][] = [];
    const windowed = {
      ...counting(1000),
      endsBetween(from: number, to: number) {
        ranges.push([from, to]);
        return documents.documentEnds.filter((end) => end > from && end <= to);
      },
    };
    const options = { batch: 1, sequence: 8, seed: 1, endOfText: 7777, window: 300 };
    const loader = createLoader(windowed, options);
    // Windows end with the documents of tokens 300, 600 and 950: at 300, 650, 990 and 1000.
    expect(loader.rows).toBe(37 + 43 + 42 + 1);
    const same = createLoader(documents, options);
    const orders: string[] = [];
    for (let epoch = 0; epoch < 2; epoch++) {
      const seen: number[] = [];
      for (let row = 0; row < loader.rows; row++) {
        const batch = await loader.load(epoch * loader.rows + row);
        expect(batch).toEqual(await same.load(epoch * loader.rows + row));
        seen.push(...batch.targets);
      }
      expect(new Set(seen).size).toBe(8 * loader.rows);
      orders.push(seen.join());
    }
    expect(orders[0]).not.toBe(orders[1]);
    expect(Math.max(...ranges.map(([from, to]) => to - from))).toBeLessThanOrEqual(701);
    // In the given order, no tokens are left out between windows.
    const inOrder = createLoader(windowed, { ...options, order: "given" });
    for (let row = 0; row < inOrder.rows; row++)
      expect([...(await inOrder.load(row)).targets]).toEqual(Array.from({ length: 8 }, (_, i) => 8 * row + i));
    expect(inOrder.rows).toBe(125);
  });

  it("numbers the pieces of a row", async () => {
    const loader = createLoader(documents, { batch: 1, sequence: 8, seed: 1, endOfText: 7777 });
    let several = 0;
    for (let index = 0; index < loader.rows; index++) {
      const { targets, segments } = await loader.load(index);
      for (let t = 1; t < 8; t++) {
        const continues = targets[t] === targets[t - 1] + 1 && !documents.documentEnds.includes(targets[t]);
        expect(segments[t]).toBe(segments[t - 1] + (continues ? 0 : 1));
      }
      if (segments[7] > 0) several += 1;
    }
    expect(several).toBeGreaterThan(1);
  });

  it.each([undefined, 7777])(
    "reads the text in order with order: given, from its beginning in every epoch",
    async (endOfText) => {
      const loader = createLoader(documents, { batch: 3, sequence: 8, seed: 1, order: "given", endOfText });
      const first = endOfText === undefined ? 1 : 0;
      const seen: number[] = [];
      for (let index = 0; seen.length < 2 * 8 * loader.rows; index++) {
        const { targets, segments } = await loader.load(index);
        for (let i = 0; i < targets.length; i++) {
          if (i % 8 === 0) expect(segments[i]).toBe(0);
          else expect(segments[i] - segments[i - 1]).toBe(documents.documentEnds.includes(targets[i]) ? 1 : 0);
        }
        seen.push(...targets);
      }
      const epoch = Array.from({ length: 8 * loader.rows }, (_, i) => first + i);
      expect(seen.slice(0, 2 * epoch.length)).toEqual([...epoch, ...epoch]);
    },
  );

  it.each([9, 10, 16, 17, 18, 1000, 1007])("reads each of %i tokens once per epoch, in a new order", async (tokens) => {
    const loader = createLoader(counting(tokens), { batch: 1, sequence: 8, seed: 1 });
    const orders = new Set<string>();
    for (const epoch of [0, 1, 2]) {
      const seen: number[] = [];
      for (let i = 0; i < loader.rows; i++) seen.push(...(await loader.load(epoch * loader.rows + i)).targets);
      expect(new Set(seen).size).toBe(seen.length);
      expect(tokens - 1 - seen.length).toBeLessThan(8);
      orders.add(seen.join());
    }
    if (tokens > 100) expect(orders.size).toBe(3);
  });

  it("depends only on the seed and the batch number", async () => {
    const load = async (seed: number, index: number) =>
      Array.from((await createLoader(counting(500), { batch: 2, sequence: 8, seed }).load(index)).ids).join();
    expect(await load(1, 40)).toBe(await load(1, 40));
    expect(await load(1, 40)).not.toBe(await load(2, 40));
  });

  it("refuses a text shorter than a sequence", () => {
    expect(() => createLoader(counting(8), { batch: 1, sequence: 8, seed: 0 })).toThrow(/8 tokens.*needs 9/);
  });
});
