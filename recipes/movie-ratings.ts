/**
 * @file Sentences of movie reviews with the ratings of individual people, −4 to 4, from PyPI's vaderSentiment archive (Hutto &
 * Gilbert, ICWSM 2014): pairs of sentences that two raters put in an order, and how well other raters foretell that order.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { QuernError } from "../src/errors.js";
import { type RandomStream, randomStream } from "../src/model/index.js";

export interface RatedSentence {
  readonly text: string;
  /** One of each rater, at least one. */
  readonly ratings: readonly number[];
}

/** Two sentences, and the ratings that order them: one rater's of each. */
export interface RaterPair {
  readonly chosen: RatedSentence;
  readonly rejected: RatedSentence;
  /** Numbers of those ratings in `ratings`. */
  readonly chosenRater: number;
  readonly rejectedRater: number;
}

/** Folder of the paper's data, inside a second archive. */
const DATA = join("additional_resources", "hutto_ICWSM_2014");
const HELD_OUT = 0.2;

/** Reads the sentences of movie reviews. @param folder the extracted archive @throws QuernError if its inner archive is packed */
export async function readMovieRatings(folder: string): Promise<RatedSentence[]> {
  const read = (name: string) => readData(folder, `movieReviewSnippets_${name}.txt`);
  return parseRatings(await read("GroundTruth"), await read("anonDataRatings"));
}

/** Sentences of the archive's other collections, for a base model: product reviews, editorials and tweets. */
export async function readOtherSentences(folder: string): Promise<string[]> {
  const files = ["amazonReviewSnippets", "nytEditorialSnippets", "tweets"];
  const texts = await Promise.all(files.map((name) => readData(folder, `${name}_GroundTruth.txt`)));
  return texts.flatMap((text) => columns(text).map(([, , sentence = ""]) => sentence.trim()));
}

async function readData(folder: string, name: string): Promise<string> {
  try {
    return await readFile(join(folder, DATA, name), "utf8");
  } catch (cause) {
    throw new QuernError(
      `${join(folder, DATA)} has no ${name}; extract the archive, and additional_resources/hutto_ICWSM_2014.tar.gz in it`,
      { exitCode: 2, cause },
    );
  }
}

/**
 * Parses lines of number, mean, sentence; and of number, mean, deviation, "[ratings]".
 * @throws QuernError for a sentence without ratings
 */
export function parseRatings(sentences: string, ratings: string): RatedSentence[] {
  const known = new Map(columns(ratings).map(([id, , , list]) => [id, list]));
  return columns(sentences).map(([id, , text]) => {
    const list = known.get(id)?.match(/-?\d+/g)?.map(Number) ?? [];
    if (list.length === 0 || text === undefined) throw new QuernError(`sentence ${id} has no ratings`);
    return { text: text.trim(), ratings: list };
  });
}

const columns = (text: string) =>
  text
    .split(/\r?\n/)
    .filter((line) => line !== "")
    .map((line) => line.split("\t"));

/** Splits sentences by a hash of their text, so that equal ones are on the same side. */
export function splitSentences(sentences: readonly RatedSentence[]) {
  const isHeldOut = ({ text }: RatedSentence) =>
    createHash("sha256").update(text).digest().readUInt32BE(0) / 2 ** 32 < HELD_OUT;
  return { train: sentences.filter((one) => !isHeldOut(one)), heldOut: sentences.filter(isHeldOut) };
}

/** Draws whole numbers below a bound; the same for the same seed and name. */
export function drawing(seed: number, name: string): (bound: number) => number {
  const random: RandomStream = randomStream(seed, name);
  let drawn = 0;
  return (bound) => Math.floor(random.uniform(drawn++) * bound);
}

/** Draws pairs of two sentences and a rater of each; where those rate alike, it draws again. */
export function raterPairs(sentences: readonly RatedSentence[], count: number, seed: number): RaterPair[] {
  const draw = drawing(seed, "rater pairs");
  const pairs: RaterPair[] = [];
  for (let tries = 0; pairs.length < count && tries < 100 * count; tries++) {
    const [a, b] = [sentences[draw(sentences.length)], sentences[draw(sentences.length)]];
    const [ofA, ofB] = [draw(a.ratings.length), draw(b.ratings.length)];
    const [x, y] = [a.ratings[ofA], b.ratings[ofB]];
    if (a.text === b.text || x === y) continue;
    pairs.push(
      x > y
        ? { chosen: a, rejected: b, chosenRater: ofA, rejectedRater: ofB }
        : { chosen: b, rejected: a, chosenRater: ofB, rejectedRater: ofA },
    );
  }
  return pairs;
}

/** How often the mean of half of the other raters has the order of the pair's raters; a tie counts half. */
export function splitHalfCeiling(pairs: readonly RaterPair[], seed: number): number {
  const draw = drawing(seed, "split halves");
  const half = (ratings: readonly number[], without: number) => {
    const others = ratings.filter((_, i) => i !== without);
    for (let i = others.length - 1; i > 0; i--) {
      const j = draw(i + 1);
      [others[i], others[j]] = [others[j], others[i]];
    }
    const kept = others.slice(0, Math.max(1, Math.floor(ratings.length / 2)));
    return kept.reduce((sum, rating) => sum + rating, 0) / kept.length;
  };
  const right = pairs.map(({ chosen, rejected, chosenRater, rejectedRater }) => {
    const margin = half(chosen.ratings, chosenRater) - half(rejected.ratings, rejectedRater);
    return margin === 0 ? 0.5 : margin > 0 ? 1 : 0;
  });
  return right.reduce((sum: number, one) => sum + one, 0) / pairs.length;
}
