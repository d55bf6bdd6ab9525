import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/model/index.js";
import { packDocuments } from "../../../src/train/data/packing.js";

const T = 16;

/** The ends of documents of these lengths; the first begins at `start`. */
function endsOf(lengths: readonly number[], start = 0): number[] {
  let end = start;
  return lengths.map((length) => {
    end += length;
    return end;
  });
}

/** Random lengths from 1 to `longest`; short ones are more frequent. */
function drawLengths(count: number, longest: number, seed: number): number[] {
  const random = randomStream(seed, "lengths");
  return Array.from({ length: count }, (_, i) => 1 + Math.floor(random.uniform(i) ** 2 * longest));
}

const documentOf = (ends: readonly number[], place: number) => ends.findIndex((end) => end > place);

describe.each([
  ["many short documents", drawLengths(300, 10, 1), 0],
  ["short and long documents", drawLengths(200, 70, 2), 0],
  ["documents of one length", new Array(50).fill(11), 0],
  ["documents that fill a row each", new Array(20).fill(T), 0],
  ["one long document", [1003], 1],
  ["one row", [T], 1],
])("packing %s", (_, lengths, start) => {
  const ends = endsOf(lengths, start);
  const total = ends[ends.length - 1] - start;

  it.each([0, 1, 2])("fills every row with pieces of single documents, each token once (epoch %i)", (epoch) => {
    const { rows, offsets, lengths, firstPieces } = packDocuments(ends, start, { sequence: T, seed: 3, epoch });
    expect(rows).toBe(Math.floor(total / T));
    const seen = new Uint8Array(start + total);
    for (let row = 0; row < rows; row++) {
      let filled = 0;
      for (let piece = firstPieces[row]; piece < firstPieces[row + 1]; piece++) {
        const [first, last] = [offsets[piece], offsets[piece] + lengths[piece] - 1];
        expect(documentOf(ends, first)).toBe(documentOf(ends, last));
        for (let place = first; place <= last; place++) seen[place] += 1;
        filled += lengths[piece];
      }
      expect(filled).toBe(T);
    }
    expect(Math.max(...seen)).toBe(1);
    expect(seen.reduce((a, b) => a + b)).toBe(rows * T); // fewer than T tokens are left out
  });

  it("cuts a document that fits a row only to fill the last gap of a row", () => {
    const { rows, offsets, lengths, firstPieces } = packDocuments(ends, start, { sequence: T, seed: 3, epoch: 0 });
    const begins = new Set([start, ...ends]);
    let cuts = 0;
    for (let row = 0; row < rows; row++) {
      for (let piece = firstPieces[row]; piece < firstPieces[row + 1]; piece++) {
        const document = documentOf(ends, offsets[piece]);
        const length = ends[document] - (ends[document - 1] ?? start);
        const behind = offsets[piece] + lengths[piece];
        if (length > T || ends.includes(behind)) continue;
        cuts += 1;
        expect(piece).toBe(firstPieces[row + 1] - 1); // the last piece of its row
        expect(begins.has(offsets[piece]) || lengths[piece] < T).toBe(true);
      }
    }
    expect(cuts).toBeLessThanOrEqual(rows);
  });
});

describe("packing", () => {
  const ends = endsOf(drawLengths(200, 70, 2));
  const pack = (seed: number, epoch: number) => JSON.stringify(packDocuments(ends, 0, { sequence: T, seed, epoch }));

  it("depends only on the seed and the epoch", () => {
    expect(pack(1, 0)).toBe(pack(1, 0));
    expect(new Set([pack(1, 0), pack(1, 1), pack(2, 0)]).size).toBe(3);
  });

  it("cuts at most 4 % of documents that fit a row", () => {
    const { offsets } = packDocuments(endsOf(drawLengths(1000, T, 5)), 0, { sequence: T, seed: 1, epoch: 0 });
    expect(offsets.length).toBeLessThan(1040);
  });
});
