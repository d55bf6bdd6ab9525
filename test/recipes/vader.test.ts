/** VADER's rules, beside Python's vaderSentiment 3.3.2 on 500 sentences (test/oracle/vader_scores.py). */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createVader, parseVaderLexicon } from "../../recipes/vader.js";

interface Fixture {
  readonly lexicon: Readonly<Record<string, number>>;
  readonly emoji: Readonly<Record<string, string>>;
  readonly sentences: readonly (readonly [text: string, compound: number])[];
}

const fixture = JSON.parse(readFileSync(new URL("../oracle/fixtures/vader.json", import.meta.url), "utf8")) as Fixture;
const vader = createVader({
  valences: new Map(Object.entries(fixture.lexicon)),
  emoji: new Map(Object.entries(fixture.emoji)),
});

describe("VADER's rules", () => {
  it("give 500 sentences the compound scores of Python's program", () => {
    expect(fixture.sentences).toHaveLength(500);
    const wrong = fixture.sentences.flatMap(([text, compound]) => {
      const own = vader(text);
      return Math.abs(own - compound) < 1.01e-4 ? [] : [{ text, compound, own }];
    });
    expect(wrong).toEqual([]);
    // Only rounding of a half may differ in the fourth digit.
    const near = fixture.sentences.filter(([text, compound]) => vader(text) !== compound);
    expect(near.length).toBeLessThan(3);
  });

  it("turn, strengthen and stress", () => {
    expect(vader("The book was good.")).toBeGreaterThan(0.4);
    expect(vader("The book was very good.")).toBeGreaterThan(vader("The book was good."));
    expect(vader("The book was not good.")).toBeLessThan(0);
    expect(vader("The book was good!")).toBeGreaterThan(vader("The book was good."));
    expect(vader("The book was GOOD.")).toBeGreaterThan(vader("The book was good."));
    expect(vader("")).toBe(0);
  });

  it("need a lexicon of words and mean valences", () => {
    const lexicon = parseVaderLexicon("good\t1.9\t0.9\t[2, 1]\n:)\t2.0\t1\t[]\n", "😁\tbeaming face\n");
    expect([...lexicon.valences]).toEqual([
      ["good", 1.9],
      [":)", 2],
    ]);
    expect(lexicon.emoji.get("😁")).toBe("beaming face");
  });
});
