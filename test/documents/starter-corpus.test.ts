import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { SHARED_LINE, splitHeldOut } from "../../src/documents/held-out.js";
import { readStarterCorpus, STARTER_SOURCES } from "../../src/documents/starter-corpus.js";

// The corpus comes from the cache, or once from the network; without either, these tests are skipped.
const corpus = await readStarterCorpus().catch((error: Error) => error.message);

describe.skipIf(typeof corpus === "string")(
  `the starter corpus${typeof corpus === "string" ? ` (${corpus})` : ""}`,
  () => {
    const documents = typeof corpus === "string" ? [] : corpus;

    it("is the same on every machine", () => {
      const hash = createHash("sha256");
      for (const { text, id, source } of documents) hash.update(`${source}\0${id}\0${text}\0`);
      expect(documents.length).toBe(2337);
      expect(hash.digest("hex").slice(0, 16)).toBe("3ce6eb9175742b88");
    });

    it("is text: every source is present, and no document is empty or damaged", () => {
      expect(new Set(documents.map(({ source }) => source))).toEqual(new Set(STARTER_SOURCES));
      expect(documents.filter(({ text }) => text.trim().length < 100 || text.includes("\ufffd"))).toEqual([]);
      const chapters = documents.filter(({ source }) => source === "moby-dick").map(({ id }) => id);
      expect(chapters.indexOf("chapter_9")).toBeLessThan(chapters.indexOf("chapter_10"));
      expect(documents.find(({ id }) => id === "chapter_1")?.text).toMatch(
        /^CHAPTER 1\. Loomings\.\n\nCall me Ishmael\./,
      );
      expect(documents.find(({ id }) => id === "verb-131")?.text).toContain("\nreforest: forest anew. ");
    });

    it("is split so that no long line is on both sides", () => {
      const { training, heldOut, trainingBytes, heldOutBytes } = splitHeldOut(documents);
      expect(heldOutBytes).toBeGreaterThanOrEqual(200_000);
      expect(heldOutBytes).toBeGreaterThanOrEqual(0.05 * (trainingBytes + heldOutBytes));
      const lines = (text: string) =>
        text
          .split("\n")
          .map((line) => line.trim())
          .filter((line) => line.length >= SHARED_LINE);
      const seen = new Set(training.flatMap(({ text }) => lines(text)));
      expect(heldOut.flatMap(({ text }) => lines(text)).filter((line) => seen.has(line))).toEqual([]);
      const again = splitHeldOut(documents.toReversed());
      expect(again.heldOut.map(({ id }) => id).sort()).toEqual(heldOut.map(({ id }) => id).sort());
    });
  },
);
