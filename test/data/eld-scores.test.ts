/** Held to eld itself: the same score, to the bit, for each of its languages. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { eld } from "eld/extrasmall";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadEld } from "../../src/data/filters/eld-scores.js";

const own = await loadEld();

function compare(text: string): void {
  const theirs = eld.detect(text).getScores() as Readonly<Record<string, number>>;
  const ours = own.of(text);
  for (const [i, code] of own.languages.entries()) {
    if (ours[i] !== (theirs[code] ?? 0)) expect([code, ours[i]], JSON.stringify(text)).toEqual([code, theirs[code]]);
  }
  if (Object.keys(theirs).some((code) => !own.languages.includes(code))) throw new Error("eld has more languages");
}
const read = (path: string) => gunzipSync(readFileSync(path)).toString("utf8");

describe("scores of eld", () => {
  it("are the same on web pages, piece by piece", () => {
    const fixture = join(import.meta.dirname, "..", "oracle", "fixtures", "datatrove-filters.json.gz");
    const { documents } = JSON.parse(read(fixture)) as { readonly documents: readonly { readonly text: string }[] };
    for (const { text } of documents) for (let at = 0; at < text.length; at += 700) compare(text.slice(at, at + 400));
    expect(documents.length).toBeGreaterThan(100);
  });

  const shared = join(process.env.QUERN_SHARED ?? "", "data", "documents", "udhr.jsonl.gz");
  it.skipIf(!process.env.QUERN_SHARED || !existsSync(shared))("are the same in 530 languages", () => {
    const lines = read(shared).trim().split("\n");
    for (const line of lines) {
      const { text } = JSON.parse(line) as { readonly text: string };
      for (let at = 0; at < Math.min(text.length, 4000); at += 1170) compare(text.slice(at, at + 400));
    }
    expect(lines.length).toBeGreaterThan(500);
  });

  it("are the same for every n-gram in the tables, as a word and inside one", async () => {
    const entry = import.meta.resolve("eld/extrasmall");
    const { ngramsData } = (await import(new URL("../ngrams/extrasmall.js", entry).href)) as {
      readonly ngramsData: { readonly ngrams: Readonly<Record<string, object>> };
    };
    const { dictionary } = (await import(new URL("../dictionary.js", entry).href)) as {
      readonly dictionary: readonly string[];
    };
    const byteOf = new Map([...dictionary.entries()].map(([byte, character]) => [character, byte]));
    let whole = 0;
    for (const gram of Object.keys(ngramsData.ngrams)) {
      const bytes = Buffer.from([...gram].map((character) => byteOf.get(character) ?? 32));
      const text = bytes.toString("utf8");
      // Some begin or end within a character: these are met in the texts above only.
      if (text.includes("\ufffd")) continue;
      whole += 1;
      compare(text);
      compare(`abc${text}de`);
    }
    expect(whole).toBeGreaterThan(5000);
  });

  it("are the same on hostile texts", () => {
    const parts = fc.oneof(
      fc.constantFrom(
        "'",
        "’",
        "`",
        " ",
        "\n",
        "Σ",
        "ΟΔΟΣ ",
        "İ",
        "ß",
        "\ud800",
        "😀",
        "𝒜",
        "don't",
        "l’",
        "1",
        "\u0307",
        "\ufeff",
        "e",
      ),
      fc.string({ unit: "grapheme", maxLength: 12 }),
      fc.string({ unit: "binary", maxLength: 6 }),
      fc.string({ unit: fc.constantFrom("a", "É", "ж", "字", "ก"), maxLength: 90 }),
    );
    const texts = fc.array(parts, { maxLength: 120 }).map((list) => list.join(""));
    fc.assert(
      fc.property(texts, (text) => compare(text)),
      { numRuns: 500 },
    );
    for (const text of [
      "",
      " ",
      "'",
      "a".repeat(71),
      `${"a".repeat(75)} ${"b".repeat(75)} ${"a".repeat(75)}`,
      "a ".repeat(600),
    ])
      compare(text);
  });
});
