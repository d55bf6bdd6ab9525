/** @file Checks that every step takes linear time: measures n, 2n and 4n copies of texts that make patterns backtrack. */
import { expect, it } from "vitest";
import * as steps from "../../src/data/recipes/recipe-steps.js";

const STEPS: Readonly<Record<string, steps.Step>> = {
  adult: steps.adult({ words: ["foo", "bar baz"] }),
  badWords: steps.badWords({ words: ["foo", "bar baz"] }),
  c4Paragraphs: steps.c4Paragraphs(),
  c4Quality: steps.c4Quality(),
  finewebQuality: steps.finewebQuality(),
  gopherQuality: steps.gopherQuality(),
  gopherRepetition: steps.gopherRepetition(),
  language: steps.language({ keep: [] }),
  length: steps.length({ minWords: 1, minCharacters: 1, minBytes: 1 }),
  normalize: steps.normalize(),
  refinedWebLines: steps.refinedWebLines(),
  url: steps.url({ lists: "fineweb" }),
};
const PARTS = [
  "a",
  " ",
  "\n",
  ".",
  "!",
  "(",
  "[",
  "'",
  "a ",
  "a\n",
  "…\n",
  "- a\n",
  "1.",
  "a-b ",
  "Ã",
  "\u0301",
  "字",
  "\u001b[",
  "read more ",
];

it("every filter takes linear time", async () => {
  for (const step of Object.values(STEPS)) await step.prepare?.();
  for (const part of PARTS) {
    for (const [name, step] of Object.entries(STEPS)) {
      const seconds = [1, 2, 4].map((times) => {
        const text = `x${part.repeat(Math.floor((times * 15_000) / part.length))}y`;
        const document = { id: "1", source: "s", url: `http://a.example/${text}`, passage: new steps.Passage(text) };
        const start = performance.now();
        step.judge(document);
        return (performance.now() - start) / 1000;
      });
      expect({ part, name, seconds, slow: seconds[2] > 2 + 10 * seconds[0] }).toMatchObject({ slow: false });
    }
  }
}, 60_000);
