/**
 * @file Instructions made from WordNet and one-digit arithmetic. They ask for a word's meaning, class, opposite,
 * synonym, spelling, or an example sentence. WordNet or arithmetic decides whether an answer is right, so that a model
 * can be rewarded for answers that are not in the data (verifiable rewards: Lambert et al., arXiv:2411.15124).
 */
import type { ChatMessage } from "../src/tokenizer/index.js";
import type { Sense, WordNet } from "./wordnet.js";

export const TASKS = ["define", "kind", "opposite", "synonym", "example", "spell", "arithmetic"] as const;
export type TaskName = (typeof TASKS)[number];

/** `lessons` have reference answers, `practice` has only prompts, `test` is held out. No word is in two splits. */
export type Split = "lessons" | "practice" | "test";

export interface Exercise {
  readonly task: TaskName;
  /** The word that the question is about, or operands and operator: `3 + 4`. */
  readonly word: string;
  readonly messages: readonly ChatMessage[];
  /** The reference answer; there may be other right ones. */
  readonly answer: string;
}

export interface WordNetTasks {
  /** Exercises of one task in a fixed order that depends on the seed. */
  exercises(task: TaskName, split: Split, options?: { readonly limit?: number; readonly seed?: number }): Exercise[];
  /** All reference answers, one per sense. */
  references(task: TaskName, word: string): readonly string[];
  /** Whether WordNet or arithmetic says that an answer is right. */
  accepts(task: TaskName, word: string, answer: string): boolean;
}

/**
 * Several wordings of each question. Each ends with the word, so that a small model finds it at the same distance from its
 * answer.
 */
const QUESTIONS: Readonly<Record<TaskName, readonly ((word: string) => string)[]>> = {
  define: [(w) => `What is the meaning of ${w}?`, (w) => `Define the word ${w}.`, (w) => `How would you explain ${w}?`],
  kind: [
    (w) => `What kind of thing is ${w}?`,
    (w) => `Name the category of ${w}.`,
    (w) => `How would you classify ${w}?`,
  ],
  opposite: [
    (w) => `What is the opposite of ${w}?`,
    (w) => `Name an antonym of ${w}.`,
    (w) => `Which word contradicts ${w}?`,
  ],
  synonym: [
    (w) => `What is another word for ${w}?`,
    (w) => `Name a synonym of ${w}.`,
    (w) => `Which word means the same as ${w}?`,
  ],
  example: [
    (w) => `Write a sentence with ${w}.`,
    (w) => `Make a sentence that uses ${w}.`,
    (w) => `Give me an example of ${w}.`,
  ],
  spell: [(w) => `How do you spell ${w}?`, (w) => `Spell the word ${w}.`, (w) => `What are the letters of ${w}?`],
  arithmetic: [(w) => `What is ${w}?`, (w) => `Calculate ${w}.`, (w) => `How much is ${w}?`],
};

/** Share of words that are held out, and share whose prompts have no reference answers. */
const TEST_SHARE = 0.1;
const PRACTICE_SHARE = 0.25;

/** Assigns a word, or an unordered pair of operands, to a split: `3 + 4` and `4 × 3` are in the same one. */
export function splitOf(task: TaskName, word: string): Split {
  const key = task === "arithmetic" ? (word.match(/\d/g) ?? []).sort().join(" ") : word.toLowerCase();
  const place = hashOf(key) / 2 ** 32;
  return place < TEST_SHARE ? "test" : place < TEST_SHARE + PRACTICE_SHARE ? "practice" : "lessons";
}

/**
 * Makes exercises of words of 3 to 10 letters.
 * @param limits numbers of noun senses that a class covers: one with more than `most` (thing, object) is no answer to "what
 * kind of thing", and reference answers have at least `least`; words are used if they occur `leastFrequency` times in the tagged texts
 */
export function createWordNetTasks(
  wordnet: WordNet,
  { least = 300, most = 11_000, leastFrequency = 1 } = {},
): WordNetTasks {
  const isClass = (sense: Sense) => wordnet.sizeOf(sense) <= most;

  /** Words that name a class above some sense of the word. */
  const kindsOf = (word: string): ReadonlySet<string> => {
    const kinds = new Set<string>();
    for (const sense of wordnet.sensesOf(word)) {
      if (sense.part !== "noun") continue;
      for (const up of wordnet.chainOf(sense).filter(isClass)) for (const name of up.words) kinds.add(plain(name));
    }
    kinds.delete(word);
    return kinds;
  };
  const oppositesOf = (word: string) =>
    unique(
      wordnet
        .sensesOf(word)
        .flatMap(({ opposites }) => opposites)
        .flatMap(({ word: own, opposite }) => (plain(own) === word ? [plain(opposite)] : [])),
    );
  const synonymsOf = (word: string) =>
    unique(wordnet.sensesOf(word).flatMap(({ words }) => words.map(plain))).filter((other) => other !== word);

  const references = (task: TaskName, word: string): readonly string[] => {
    switch (task) {
      case "define":
        return unique(wordnet.sensesOf(word).map(({ meaning }) => meaning.split(/; /)[0])).filter(isShort);
      case "kind":
        return unique(
          wordnet.sensesOf(word).flatMap((sense) => {
            if (sense.part !== "noun") return [];
            const near = wordnet.chainOf(sense).find((up) => isClass(up) && wordnet.sizeOf(up) >= least);
            return near === undefined || plain(near.words[0]) === word ? [] : [withArticle(plain(near.words[0]))];
          }),
        );
      case "opposite":
        return oppositesOf(word).filter(isWord);
      case "synonym":
        return synonymsOf(word).filter(isWord);
      case "example":
        return unique(wordnet.sensesOf(word).flatMap(({ examples }) => examples))
          .filter((text) => isShort(text) && uses(text, word) && wordsOf(text).length >= MIN_SENTENCE)
          .map(asSentence);
      case "spell":
        return [[...word].join(" ")];
      case "arithmetic":
        return [String(resultOf(word))];
      default:
        return task satisfies never;
    }
  };

  const isKnown = (word: string) => FUNCTION_WORDS.has(word) || basesOf(word).some((base) => wordnet.sensesOf(base)[0]);
  const accepts = (task: TaskName, word: string, answer: string): boolean => {
    const given = plain(answer);
    switch (task) {
      case "define": {
        const content = contentOf(given).filter((each) => each !== word);
        return wordnet.sensesOf(word).some((sense) => {
          const above = sense.part === "noun" ? wordnet.chainOf(sense).filter(isClass) : [];
          const known = new Set(contentOf([sense.meaning, ...above.flatMap(({ words }) => words)].join(" ")));
          return content.length >= 2 && content.filter((each) => known.has(each)).length >= content.length / 2;
        });
      }
      case "kind":
        return kindsOf(word).has(given.replace(/^(an?|the|some) /, ""));
      case "opposite":
        return oppositesOf(word).includes(given);
      case "synonym":
        return synonymsOf(word).includes(given);
      case "example": {
        const words = wordsOf(answer);
        return (
          words.length >= MIN_SENTENCE &&
          words.length <= MAX_SENTENCE &&
          uses(answer, word) &&
          // Irregular forms such as "wore" are not in WordNet.
          words.filter(isKnown).length >= 0.75 * words.length &&
          new Set(words).size >= 0.7 * words.length
        );
      }
      case "spell":
        return answer.trim() === [...word].join(" ");
      case "arithmetic":
        return given === String(resultOf(word));
      default:
        return task satisfies never;
    }
  };

  const all = wordnet.words.filter(isWord);
  const frequent = all.filter((word) => wordnet.frequencyOf(word) >= leastFrequency);
  const antonyms = all.filter((word) => oppositesOf(word).length > 0);
  const short = all.filter((word) => word.length <= LONGEST_SPELLED);
  const words: Readonly<Record<TaskName, readonly string[]>> = {
    ...{ define: frequent, kind: frequent, opposite: antonyms, synonym: frequent, example: frequent },
    // Rare words: a tokenizer divides them into parts whose letters a model can learn from other words.
    spell: short,
    arithmetic: PROBLEMS,
  };

  return {
    exercises(task, split, { limit = Number.POSITIVE_INFINITY, seed = 0 } = {}) {
      const order = new Map(words[task].map((word) => [word, hashOf(`${seed} ${task} ${word}`)]));
      const own = words[task].filter((word) => splitOf(task, word) === split);
      own.sort((a, b) => (order.get(a) as number) - (order.get(b) as number));
      const exercises: Exercise[] = [];
      for (const word of own) {
        if (exercises.length >= limit) break;
        // A held-out word must not be the answer of a lesson either.
        const isNew = (answer: string) => !isWord(answer) || splitOf(task, answer) !== "test";
        const answer = references(task, word).find((each) => split !== "lessons" || task === "spell" || isNew(each));
        if (answer === undefined) continue;
        const questions = QUESTIONS[task];
        // Arithmetic has few facts, so each one uses every wording.
        const first = hashOf(`wording ${seed} ${word}`) % questions.length;
        const wordings = task === "arithmetic" ? questions : [questions[first]];
        for (const question of wordings) {
          exercises.push({ task, word, answer, messages: [{ role: "user", content: question(word) }] });
        }
      }
      return exercises;
    },
    references,
    accepts,
  };
}

/** A row of training data: the conversation with its reference answer. */
export const lessonOf = ({ task, word, answer, messages }: Exercise) => ({
  messages: [...messages, { role: "assistant", content: answer }],
  task,
  word,
  answer,
});

/** A row of prompts, with what a reward needs. */
export const promptOf = ({ task, word, answer, messages }: Exercise) => ({ prompt: messages, task, word, answer });

/** All sums, differences that are not negative, and products of two digits. */
const DIGITS = Array.from({ length: 10 }, (_, digit) => digit);
const PROBLEMS: readonly string[] = DIGITS.flatMap((a) =>
  DIGITS.flatMap((b) => [`${a} + ${b}`, ...(a >= b ? [`${a} - ${b}`] : []), `${a} * ${b}`]),
);

function resultOf(problem: string): number {
  const [a, operator, b] = problem.split(" ");
  const [x, y] = [Number(a), Number(b)];
  return operator === "+" ? x + y : operator === "-" ? x - y : x * y;
}

/** Words of a sentence, and characters of a reference answer. */
const MIN_SENTENCE = 3;
const MAX_SENTENCE = 20;
const MAX_ANSWER = 60;
/** Letters of the longest word to spell. */
const LONGEST_SPELLED = 6;

const isWord = (text: string) => /^[a-z]{3,10}$/.test(text);
const isShort = (text: string) => text.length <= MAX_ANSWER;
const unique = <T>(list: readonly T[]): T[] => [...new Set(list)];
/** Lower case, without surrounding quotes and final punctuation. */
const plain = (text: string) =>
  text
    .trim()
    .toLowerCase()
    .replace(/^["']+|["'.!?;,]+$/g, "");
const withArticle = (noun: string) => `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
const wordsOf = (text: string) => text.toLowerCase().match(/[a-z]+(?:'[a-z]+)?|\d+/g) ?? [];
const contentOf = (text: string) => unique(wordsOf(text).filter((word) => !FUNCTION_WORDS.has(word)));
const asSentence = (text: string) => text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

/** Whether a text uses a word, unchanged or with a regular ending. */
const uses = (text: string, word: string) => wordsOf(text).some((each) => basesOf(each).includes(word));

/** What a word may be a regular form of; the word itself first. */
function basesOf(word: string): string[] {
  const own = word.replace(/'s?$/, "");
  const bases = [word, own];
  for (const [ending, ...stems] of ENDINGS) {
    if (!own.endsWith(ending) || own.length - ending.length < 2) continue;
    const stem = own.slice(0, -ending.length);
    for (const rest of stems) bases.push(stem + rest);
    // stopped, stopping
    if (ending !== "s" && stem.at(-1) === stem.at(-2)) bases.push(stem.slice(0, -1));
  }
  return bases;
}

const ENDINGS = [
  ["s", ""],
  ["es", "", "e"],
  ["ies", "y"],
  ["ed", "", "e"],
  ["ied", "y"],
  ["ing", "", "e"],
  ["er", "", "e"],
  ["est", "", "e"],
  ["ly", ""],
] as const;

/** Words that carry no meaning of their own. */
const FUNCTION_WORDS: ReadonlySet<string> = new Set(
  (
    "a an the this that these those some any no each every all both either neither one other another such same own " +
    "i me my mine myself you your yours he him his himself she her hers herself it its itself we us our ours they them " +
    "their theirs who whom whose which what when where why how and or but nor so if then than because as while although " +
    "of in on at to from by for with without about into onto over under after before between through during against " +
    "among upon toward towards within up down out off away is are was were be been being am do does did done has have " +
    "had having will would shall should can could may might must not don't didn't doesn't can't couldn't won't isn't " +
    "wasn't i'm it's there here very too also just only more most less least much many few " +
    "something someone somebody anything anyone used etc"
  ).split(" "),
);

/** FNV-1a with the finalizer of MurmurHash3, 32 bits: similar words must not get similar numbers. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
