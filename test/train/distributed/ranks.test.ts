import { createHash, randomBytes } from "node:crypto";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { oneRank } from "../../../src/train/distributed/ranks.js";
import { createSharedFile, openSharedMemory, sharedFolder } from "../../../src/train/distributed/shared-memory.js";
import { OUTBOX_BYTES } from "../../../src/train/distributed/transport.js";
import { asRanks } from "./team.js";

/** Values whose sums depend on the order in which they are added. */
const termOf = (rank: number, i: number) => Math.fround(Math.sin(1 + i * (rank + 1)) * 10 ** ((i + rank) % 7));
const tensorsOf = (rank: number, lengths: readonly number[]) =>
  lengths.map((length, t) => Float32Array.from({ length }, (_, i) => termOf(rank, i + 1000 * t)));
/** Compares bits, and fast. */
const bitsOf = (tensors: readonly Float32Array[]) =>
  createHash("sha256")
    .update(Buffer.concat(tensors.map((tensor) => Buffer.from(tensor.buffer))))
    .digest("hex");
/** ((a + b) + c) + …, rounded to fp32 after each addition. */
const sumsOf = (size: number, lengths: readonly number[]) =>
  lengths.map((length, t) =>
    Float32Array.from({ length }, (_, i) => {
      let sum = termOf(0, i + 1000 * t);
      for (let rank = 1; rank < size; rank++) sum = Math.fround(sum + termOf(rank, i + 1000 * t));
      return sum;
    }),
  );

describe.each([2, 3, 4])("%d ranks with shared memory", (size) => {
  // One value, none, and more than all outboxes hold at once.
  const lengths = [1, 0, 17, 5, OUTBOX_BYTES / 4 + 3, 1021];

  it("add up in the order of the ranks, bit for bit", async () => {
    const results = await asRanks(size, async (ranks) => {
      const tensors = tensorsOf(ranks.rank, lengths);
      await ranks.allReduce(tensors);
      return tensors;
    });
    const expected = bitsOf(sumsOf(size, lengths));
    for (const result of results) expect(bitsOf(result)).toBe(expected);
  });

  it("leave each owner the sums of its own tensors, and copy what each owns to all", async () => {
    const owners = lengths.map((_, i) => (i * 3) % size);
    const results = await asRanks(size, async (ranks) => {
      const tensors = tensorsOf(ranks.rank, lengths);
      await ranks.reduceScatter(tensors, owners);
      tensors.forEach((tensor, i) => {
        if (owners[i] !== ranks.rank) tensor.fill(Number.NaN);
      });
      await ranks.allGather(tensors, owners);
      return tensors;
    });
    const expected = bitsOf(sumsOf(size, lengths));
    for (const result of results) expect(bitsOf(result)).toBe(expected);
  });

  it("copy the tensors of a root, numbers and messages to all", async () => {
    const long = "x".repeat(OUTBOX_BYTES + 7);
    const results = await asRanks(size, async (ranks) => {
      const tensors = tensorsOf(ranks.rank, lengths);
      await ranks.broadcast(tensors, size - 1);
      await ranks.barrier();
      const numbers = await ranks.gatherNumbers([ranks.rank + 0.1, Number.NEGATIVE_INFINITY]);
      const messages = await ranks.share({ rank: ranks.rank, text: ranks.rank === 1 ? long : "é" });
      return { tensors, numbers, messages };
    });
    for (const { tensors, numbers, messages } of results) {
      expect(bitsOf(tensors)).toBe(bitsOf(tensorsOf(size - 1, lengths)));
      expect(numbers.map((list) => Array.from(list))).toEqual(
        Array.from({ length: size }, (_, rank) => [rank + 0.1, Number.NEGATIVE_INFINITY]),
      );
      expect(messages).toEqual(Array.from({ length: size }, (_, rank) => ({ rank, text: rank === 1 ? long : "é" })));
    }
  });

  it("are right however long one rank lets the others wait", async () => {
    const results = await asRanks(size, async (ranks) => {
      const sums: number[] = [];
      for (let round = 0; round < 30; round++) {
        if (round % size === ranks.rank) await new Promise((resolve) => setTimeout(resolve, round % 3));
        const [value] = [Float32Array.of(ranks.rank + round)];
        await ranks.allReduce([value]);
        await ranks.gatherNumbers([round]);
        sums.push(value[0]);
      }
      return sums;
    });
    const expected = Array.from({ length: 30 }, (_, round) => (size * (size - 1)) / 2 + size * round);
    for (const sums of results) expect(sums).toEqual(expected);
  });
});

describe("a rank that comes late", () => {
  it("ends when another has given up waiting, though all counters are raised", async () => {
    const path = join(sharedFolder(2), `quern-test-${randomBytes(8).toString("hex")}`);
    createSharedFile(path, 2);
    const file = openSync(path, "r+");
    writeSync(file, Uint8Array.of(1), 0, 1, 0); // rank 0's counter
    writeSync(file, Uint8Array.of(1), 0, 1, (1 << 16) - 64); // rank 0 gave up
    closeSync(file);
    await expect(openSharedMemory(path, 1, 2)).rejects.toThrow(/^only some of the 2 ranks started within 300 s/);
    rmSync(path);
  });
});

describe("one rank", () => {
  it("leaves all as it is", async () => {
    const tensor = Float32Array.of(1, 2);
    await oneRank.allReduce([tensor]);
    await oneRank.reduceScatter([tensor], [0]);
    await oneRank.allGather([tensor], [0]);
    await oneRank.broadcast([tensor], 0);
    expect(tensor).toEqual(Float32Array.of(1, 2));
    expect(await oneRank.gatherNumbers([3])).toEqual([Float64Array.of(3)]);
    expect(await oneRank.share({ a: 1 })).toEqual([{ a: 1 }]);
  });
});
