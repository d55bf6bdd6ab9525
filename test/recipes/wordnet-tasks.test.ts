/** Exercises, their checker and the judge, on a small dictionary in WordNet's own format. */
import { describe, expect, it } from "vitest";
import { parseWordNet } from "../../recipes/wordnet.js";
import { judge, likeness } from "../../recipes/wordnet-judge.js";
import { createWordNetTasks, lessonOf, promptOf, type Split, splitOf, TASKS } from "../../recipes/wordnet-tasks.js";

const NOUNS = `  1 This line stands for the licence.
00000001 03 n 01 entity 0 000 | a thing that exists
00000002 03 n 02 animal 0 beast 0 001 @ 00000001 n 0000 | a living thing that moves
00000003 05 n 02 dog 0 hound 0 001 @ 00000002 n 0000 | a tame animal that barks; "the dog barked all night"
00000004 05 n 01 terrier 0 001 @ 00000003 n 0000 | a small lively dog
00000005 18 n 02 boy 0 male_child 0 002 @ 00000001 n 0000 ! 00000006 n 0101 | a youthful male person; "the baby was a boy"
00000006 18 n 01 girl 0 002 @ 00000001 n 0000 ! 00000005 n 0101 | a youthful female person
00000007 18 n 01 dog 0 001 @ 00000005 n 0000 | informal term for a man
`;
const VERBS = `00000011 30 v 02 bark 0 yap 1 001 ! 00000012 v 0101 01 + 02 00 | make barking sounds; "The dogs barked"
00000012 30 v 01 hush 0 001 ! 00000011 v 0101 01 + 02 00 | become quiet or quieter
`;
const index = (words: Readonly<Record<string, string>>, part: string, tagged = 1) =>
  Object.entries(words)
    .map(([word, ids]) => {
      const list = ids.split(" ").map((id) => id.padStart(8, "0"));
      return `${word} ${part} ${list.length} 1 @ ${list.length} ${tagged} ${list.join(" ")}  `;
    })
    .join("\n");
const wordnet = parseWordNet([
  {
    part: "noun",
    data: NOUNS,
    index: index(
      {
        entity: "1",
        animal: "2",
        beast: "2",
        dog: "3 7",
        hound: "3",
        terrier: "4",
        boy: "5",
        girl: "6",
        male_child: "5",
      },
      "n",
    ),
  },
  { part: "verb", data: VERBS, index: index({ bark: "11", yap: "11", hush: "12", ghost: "99" }, "v") },
]);
const tasks = createWordNetTasks(wordnet, { least: 2, most: 4, leastFrequency: 1 });

describe("WordNet", () => {
  it("parses senses, their order, chains, sizes and opposites", () => {
    const [dog, man] = wordnet.sensesOf("dog");
    expect(dog.words).toEqual(["dog", "hound"]);
    expect(dog.meaning).toBe("a tame animal that barks");
    expect(dog.examples).toEqual(["the dog barked all night"]);
    expect(man.meaning).toBe("informal term for a man");
    expect(wordnet.chainOf(wordnet.sensesOf("terrier")[0]).map(({ words }) => words[0])).toEqual([
      "dog",
      "animal",
      "entity",
    ]);
    expect(wordnet.sizeOf(wordnet.sensesOf("animal")[0])).toBe(3);
    expect(wordnet.sensesOf("boy")[0].opposites).toEqual([{ word: "boy", opposite: "girl" }]);
    expect(wordnet.sensesOf("male child")).toHaveLength(1);
    expect(wordnet.sensesOf("ghost")).toEqual([]);
    expect(wordnet.frequencyOf("dog")).toBe(1);
  });
});

describe("the checker", () => {
  it("accepts any class above any sense, but none that covers nearly everything", () => {
    for (const answer of ["an animal", "Animal.", "a beast", "a boy"]) {
      expect(tasks.accepts("kind", "dog", answer), answer).toBe(true);
    }
    for (const answer of ["an entity", "a dog", "a girl", ""]) {
      expect(tasks.accepts("kind", "dog", answer), answer).toBe(false);
    }
    expect(tasks.accepts("kind", "terrier", "a dog")).toBe(true);
  });

  it("accepts opposites and synonyms of any sense, never the word itself", () => {
    expect(tasks.accepts("opposite", "boy", "girl")).toBe(true);
    expect(tasks.accepts("opposite", "boy", "boy")).toBe(false);
    expect(tasks.accepts("opposite", "hound", "girl")).toBe(false);
    expect(tasks.accepts("synonym", "dog", "Hound")).toBe(true);
    expect(tasks.accepts("synonym", "boy", "male child")).toBe(true);
    expect(tasks.accepts("synonym", "dog", "dog")).toBe(false);
  });

  it("accepts a definition of which half the content words belong to a meaning or a class", () => {
    expect(tasks.accepts("define", "terrier", "a small dog")).toBe(true);
    expect(tasks.accepts("define", "terrier", "a lively animal")).toBe(true);
    expect(tasks.accepts("define", "terrier", "a small young girl of the town")).toBe(false);
    // One word is no definition, and the word itself does not count.
    expect(tasks.accepts("define", "terrier", "a dog")).toBe(false);
    expect(tasks.accepts("define", "terrier", "a terrier that is a dog")).toBe(false);
  });

  it("accepts a sentence that uses the word, of known words without much repetition", () => {
    expect(tasks.accepts("example", "dog", "The dogs bark at a terrier.")).toBe(true);
    expect(tasks.accepts("example", "bark", "The dog barked at me.")).toBe(true);
    expect(tasks.accepts("example", "dog", "The terrier barks at me.")).toBe(false);
    expect(tasks.accepts("example", "dog", "The dog qzx vrrt mlp.")).toBe(false);
    expect(tasks.accepts("example", "dog", "dog dog dog dog dog")).toBe(false);
    expect(tasks.accepts("example", "dog", "A dog.")).toBe(false);
  });

  it("accepts exact spelling and the results of arithmetic", () => {
    expect(tasks.accepts("spell", "dog", "d o g")).toBe(true);
    expect(tasks.accepts("spell", "dog", "d o g g")).toBe(false);
    for (const [problem, result] of [
      ["3 + 4", "7"],
      ["9 - 4", "5"],
      ["9 * 9", "81"],
    ]) {
      expect(tasks.accepts("arithmetic", problem, result), problem).toBe(true);
      expect(tasks.accepts("arithmetic", problem, `${result}0`), problem).toBe(false);
    }
  });
});

describe("exercises", () => {
  const splits: readonly Split[] = ["lessons", "practice", "test"];
  it("has reference answers that the checker accepts", () => {
    for (const task of TASKS) {
      const all = splits.flatMap((split) => tasks.exercises(task, split));
      expect(all.length, task).toBeGreaterThan(0);
      for (const { word, answer } of all)
        expect(tasks.accepts(task, word, answer), `${task} ${word}: ${answer}`).toBe(true);
    }
  });

  it("splits by word and by unordered pair of operands", () => {
    expect(splitOf("arithmetic", "3 + 4")).toBe(splitOf("arithmetic", "4 * 3"));
    expect(splitOf("spell", "dog")).toBe(splitOf("kind", "dog"));
    for (const task of TASKS) {
      const words = splits.map((split) => new Set(tasks.exercises(task, split).map(({ word }) => word)));
      for (const word of words[0]) expect(words[1].has(word) || words[2].has(word)).toBe(false);
      for (const word of words[1]) expect(words[2].has(word)).toBe(false);
      // No lesson answers with a held-out word.
      for (const { answer } of tasks.exercises(task, "lessons")) {
        if (task === "opposite" || task === "synonym") expect(splitOf(task, answer)).not.toBe("test");
      }
    }
    const counts = splits.map((split) => tasks.exercises("arithmetic", split).length);
    expect(counts[0] + counts[1] + counts[2]).toBe(3 * 255);
    expect(counts[2]).toBeGreaterThan(20);
  });

  it("repeats with its seed, and keeps within the limit", () => {
    const some = tasks.exercises("arithmetic", "lessons", { limit: 9, seed: 1 });
    expect(some).toHaveLength(9);
    expect(tasks.exercises("arithmetic", "lessons", { limit: 9, seed: 1 })).toEqual(some);
    expect(tasks.exercises("arithmetic", "lessons", { limit: 9, seed: 2 })).not.toEqual(some);
    expect(lessonOf(some[0]).messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
    expect(promptOf(some[0])).toMatchObject({ task: "arithmetic", word: some[0].word, answer: some[0].answer });
  });
});

describe("the judge", () => {
  it("computes chrF as sacrebleu does, up to word order and spaces", () => {
    expect(likeness("a small dog", ["a small dog"])).toBe(1);
    expect(likeness("xyz", ["abc"])).toBe(0);
    // 1-grams: 2 of 3 and 2 of 4; 2-grams: 1 of 2 and 1 of 3; 3-grams: none.
    const f = (p: number, r: number) => (5 * p * r) / (4 * p + r);
    expect(likeness("abx", ["abcd"])).toBeCloseTo((f(2 / 3, 2 / 4) + f(1 / 2, 1 / 3)) / 3, 12);
    expect(likeness("abx", ["zz", "abcd"])).toBe(likeness("abx", ["abcd"]));
    expect(likeness("", ["abc"])).toBe(0);
  });

  it("prefers the answer that is nearer to a reference", () => {
    expect(judge("a small dog", "a tall girl", ["a small lively dog"])).toBe(1);
    expect(judge("a tall girl", "a small dog", ["a small lively dog"])).toBe(0);
    expect(judge("same", "same", ["other"])).toBe(0.5);
  });
});
