import { describe, expect, it } from "vitest";
import { cutDocument } from "../../src/documents/cut.js";
import type { GivenDocument } from "../../src/documents/document.js";
import { isHeldOut, planHeldOut, SHARED_LINE, splitHeldOut } from "../../src/documents/held-out.js";

/** Generated lines, the same at each call. */
function lines(count: number, seed: number): string[] {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  };
  return Array.from({ length: count }, () =>
    Array.from({ length: 4 + (random() % 12) }, () =>
      random()
        .toString(36)
        .slice(0, 2 + (random() % 6)),
    ).join(" "),
  );
}

const documents: GivenDocument[] = Array.from({ length: 120 }, (_, index) => ({
  text: lines(100, index + 1).join("\n"),
  id: `${index}`,
  source: index < 80 ? "a" : "b",
}));

const longLines = (side: readonly GivenDocument[]) =>
  side.flatMap(({ text }) => text.split("\n")).filter((line) => line.trim().length >= SHARED_LINE);
const size = (side: readonly GivenDocument[]) => side.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);

function expectApart(split: ReturnType<typeof splitHeldOut>) {
  const training = new Set(longLines(split.training).map((line) => line.trim()));
  expect(longLines(split.heldOut).filter((line) => training.has(line.trim()))).toEqual([]);
  expect(split.heldOutBytes).toBe(size(split.heldOut));
  expect(split.trainingBytes).toBe(size(split.training));
}

describe("splitHeldOut", () => {
  it("holds out the requested share of each source, and keeps the rest unchanged", () => {
    const split = splitHeldOut(documents, { share: 0.1, bytes: 0 });
    expectApart(split);
    expect(split.heldOutBytes).toBeGreaterThanOrEqual(0.1 * size(documents));
    expect(split.heldOutBytes).toBeLessThan(0.16 * size(documents));
    expect(new Set(split.heldOut.map(({ source }) => source))).toEqual(new Set(["a", "b"]));
    expect(split.training.length + split.heldOut.length).toBe(documents.length);
  });

  it("does not depend on the order of the documents", () => {
    const ids = (split: ReturnType<typeof splitHeldOut>) => split.heldOut.map(({ id }) => id).sort();
    expect(ids(splitHeldOut(documents.toReversed()))).toEqual(ids(splitHeldOut(documents)));
  });

  it("removes lines that both sides share from the held-out side, and makes up for them", () => {
    const chorus = lines(400, 999).filter((line) => line.length >= SHARED_LINE);
    const repeating = documents.map((document, index) => ({
      ...document,
      text: [...document.text.split("\n"), ...chorus.slice(index % 50, (index % 50) + 40)].join("\n"),
    }));
    const split = splitHeldOut(repeating, { share: 0.05, bytes: 0 });
    expectApart(split);
    expect(split.sharedLines).toBeGreaterThan(0);
    expect(split.heldOutBytes).toBeGreaterThanOrEqual(0.05 * size(repeating));
  });

  it("cuts one long document at line ends, and loses nothing", () => {
    const text = lines(20_000, 5).join("\n");
    const split = splitHeldOut([{ text, id: "book" }]);
    expectApart(split);
    expect(split.heldOutBytes).toBeGreaterThan(60_000);
    expect(size(split.training) + size(split.heldOut)).toBeGreaterThan(0.99 * Buffer.byteLength(text));
    for (const { text: piece } of split.training.slice(0, -1)) expect(piece.endsWith("\n")).toBe(true);
  });

  it("cuts one long line at spaces and never inside a character", () => {
    const split = splitHeldOut([{ text: lines(8000, 3).join(" "), id: "line" }]);
    expect(split.heldOutBytes).toBeGreaterThan(20_000);
    const faces = Array.from({ length: 40_000 }, (_, index) => String.fromCodePoint(0x1f600 + ((index * index) % 79)));
    const emoji = splitHeldOut([{ text: faces.join(""), id: "emoji" }]);
    for (const { text } of [...emoji.training, ...emoji.heldOut]) {
      expect(Buffer.from(text).toString()).toBe(text);
    }
  });

  it("splits a text read several times like one in memory, with bounded memory", async () => {
    const open = async function* (longest: number) {
      for (const document of documents) yield* cutDocument(document, longest);
    };
    const plan = await planHeldOut(open, { share: 0.1, bytes: 0 });
    const split = splitHeldOut(documents, { share: 0.1, bytes: 0 });
    expect(plan.heldOut).toEqual(split.heldOut);
    const pieces: GivenDocument[] = [];
    for await (const piece of open(plan.longest)) pieces.push(piece);
    expect(plan.pieces).toBe(pieces.length);
    expect(pieces.filter((_, number) => plan.isTraining(number))).toEqual(split.training);
    const bounded = splitHeldOut(documents, { share: 0.5, most: 20_000 });
    expect(bounded.heldOutBytes).toBeGreaterThanOrEqual(20_000);
    expect(bounded.heldOutBytes).toBeLessThan(30_000);
    // The documents with the smallest hashes are held out, so a larger share includes a smaller one.
    const held = documents.filter(({ text }) => isHeldOut(text, 0.1));
    expect(held.length).toBeGreaterThan(0);
    expect(held.filter(({ text }) => !isHeldOut(text, 0.2))).toEqual([]);
  });

  it("refuses text that is too short, and reports copies as overlapping", () => {
    expect(() => splitHeldOut([{ text: "short", id: "1" }])).toThrow(/too short/);
    const copies = Array.from({ length: 50 }, (_, id) => ({ text: lines(50, 1).join("\n"), id: `${id}` }));
    const split = splitHeldOut(copies);
    expect([split.overlapping, split.sharedLines]).toEqual([true, 0]);
    expect(split.heldOutBytes).toBeGreaterThan(0.05 * size(copies));
    expect(splitHeldOut(documents).overlapping).toBe(false);
  });
});
