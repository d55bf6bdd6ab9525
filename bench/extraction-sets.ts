/** @file Reads the two sets of pages in QUERN_SHARED's data/extraction and scores extracted text as their README specifies. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

export interface Page {
  readonly id: string;
  readonly set: "articles" | "pages";
  readonly bytes: Uint8Array;
  /** The expected text. */
  readonly truth: string;
  readonly type: string;
}

/** Returns the pages of both sets in a fixed order; ends the process if QUERN_SHARED has none. */
export function readSets(): Page[] {
  const shared = process.env.QUERN_SHARED ?? "";
  const folder = join(shared, "data", "extraction");
  if (shared === "" || !existsSync(folder)) {
    console.error("set QUERN_SHARED to a folder that contains data/extraction");
    process.exit(2);
  }
  return [...readSet(folder, "articles"), ...readSet(folder, "pages")];
}

function readSet(folder: string, set: Page["set"]): Page[] {
  const truth = JSON.parse(readFileSync(join(folder, set, "truth.json"), "utf8")) as Readonly<
    Record<string, { readonly articleBody?: string; readonly text?: string | null; readonly type?: string }>
  >;
  return readdirSync(join(folder, set))
    .filter((name) => name.endsWith(".html.gz"))
    .sort()
    .map((name) => {
      const id = name.slice(0, -".html.gz".length);
      const { articleBody, text, type } = truth[id];
      const bytes = gunzipSync(readFileSync(join(folder, set, name)));
      return { id, set, bytes, truth: articleBody ?? text ?? "", type: type ?? "article" };
    });
}

/** Returns precision and recall for a page, over multisets of 4-word shingles (articles) or lower-case words (pages). */
export interface Score {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

export function scoreOf({ set, truth }: Page, text: string): Score {
  const [got, want] =
    set === "articles"
      ? [shingles(text), shingles(truth)]
      : [wordsOf(text.toLowerCase()), wordsOf(truth.toLowerCase())];
  const both = common(countsOf(got), countsOf(want));
  return {
    precision: got.length === 0 ? Number(want.length === 0) : both / got.length,
    recall: want.length === 0 ? Number(got.length === 0) : both / want.length,
    f1: got.length + want.length === 0 ? 1 : (2 * both) / (got.length + want.length),
  };
}

/** Returns the score of the set of articles: average precision and recall over pages, and the F1 of these averages. */
export function articleFigure(scores: readonly Score[]): { precision: number; recall: number; f1: number } {
  const precision = mean(scores.map((score) => score.precision));
  const recall = mean(scores.map((score) => score.recall));
  return { precision, recall, f1: (2 * precision * recall) / (precision + recall) };
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const wordsOf = (text: string): string[] => text.match(/[\p{L}\p{N}_]+/gu) ?? [];

function shingles(text: string): string[] {
  const words = wordsOf(text);
  if (words.length === 0) return [];
  if (words.length < 4) return [words.join(" ")];
  return Array.from({ length: words.length - 3 }, (_, i) => words.slice(i, i + 4).join(" "));
}

function countsOf(items: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

function common(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): number {
  let shared = 0;
  for (const [item, count] of a) shared += Math.min(count, b.get(item) ?? 0);
  return shared;
}

/** Splits the pages by a seed, each set and type evenly. Returns for each page whether it is in the first half. */
export function halves(pages: readonly Page[], seed: number): boolean[] {
  let state = seed * 7919 + 12345;
  const random = (): number => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  const first = Array<boolean>(pages.length).fill(false);
  const groups = new Map<string, number[]>();
  pages.forEach(({ set, type }, i) => {
    const key = `${set} ${type}`;
    groups.set(key, [...(groups.get(key) ?? []), i]);
  });
  for (const group of groups.values()) {
    const order = group.map((i) => ({ i, at: random() })).sort((a, b) => a.at - b.at);
    order.forEach(({ i }, place) => {
      first[i] = place < order.length / 2;
    });
  }
  return first;
}
