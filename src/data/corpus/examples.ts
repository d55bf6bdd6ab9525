/** @file Example documents for the report: duplicates side by side, texts over the range of quality scores. */
import { readTexts } from "../../documents/index.js";
import { readLines } from "../lines.js";

/** Two texts to show side by side. */
export interface Pair {
  readonly reason: string;
  readonly left: Excerpt;
  readonly right: Excerpt;
}

export interface Excerpt {
  readonly id: string;
  readonly url?: string;
  readonly text: string;
}

/** Maximum characters of an excerpt. */
const EXCERPT_LENGTH = 1200;
const MAX_PAIRS = 6;

/** Returns the beginning of a text, without lone surrogates: the cut may have split a surrogate pair. */
const beginning = (text: string) => text.slice(0, EXCERPT_LENGTH).replace(/\p{Cs}/gu, "");

/** A line of removed.jsonl. */
interface Removed {
  /** Absent if the input line was not a document. */
  readonly id?: string;
  /** Place of an input line that was not a document. */
  readonly where?: string;
  readonly reason: string;
  /** The kept duplicate, or the documents that contained the lines or spans first. */
  readonly kept?: string | readonly string[];
  readonly cluster?: number;
}

/**
 * Pairs removed documents with the kept duplicate, one pair per cluster, and cut documents with their remaining text. Takes
 * the first ones in removed.jsonl. Reads the stage's input and its output once each.
 */
export async function duplicatePairs(
  before: string,
  after: string,
  removed: string,
  signal: AbortSignal | undefined,
): Promise<readonly Pair[]> {
  const chosen: { readonly id: string; readonly reason: string; readonly kept: string }[] = [];
  const clusters = new Set<number>();
  for await (const line of readLines(removed, signal)) {
    if (chosen.length >= MAX_PAIRS) break;
    if (line === "") continue;
    const { id, where, reason, kept, cluster } = JSON.parse(line) as Removed;
    if (id === undefined || where !== undefined) continue;
    // Two documents with the same id cannot be distinguished, so they make no pair.
    if (kept === id || (cluster !== undefined && clusters.has(cluster))) continue;
    if (cluster !== undefined) clusters.add(cluster);
    // A cut document is shown beside its remaining text.
    chosen.push({ id, reason, kept: typeof kept === "string" ? kept : id });
  }
  const own = await textsOf(before, new Set(chosen.map(({ id }) => id)), signal);
  const left = await textsOf(after, new Set(chosen.map(({ kept }) => kept)), signal);
  return chosen.flatMap(({ id, reason, kept }) => {
    const [a, b] = [own.get(id), left.get(kept)];
    if (a === undefined) return [];
    return [{ reason, left: a, right: b ?? { id: kept, text: "" } }];
  });
}

async function textsOf(
  folder: string,
  ids: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): Promise<Map<string, Excerpt>> {
  const found = new Map<string, Excerpt>();
  if (ids.size === 0) return found;
  for await (const { id, url, text } of readTexts([folder], { signal })) {
    if (ids.has(id) && !found.has(id))
      found.set(id, { id, ...(url === undefined ? {} : { url }), text: beginning(text) });
    if (found.size === ids.size) break;
  }
  return found;
}

/** Quality scores of a corpus and the threshold of the filter. */
export interface QualityScores {
  readonly documents: number;
  /** Number of documents by score, in equal intervals from 0 to 1. */
  readonly histogram: readonly number[];
  /** Minimum score of kept documents; null if none is dropped. */
  readonly least: number | null;
  readonly kept: number;
  /** The first documents of each tenth of the range. */
  readonly examples: readonly (Excerpt & { readonly score: number })[];
}

const BARS = 50;
const EXAMPLES_PER_TENTH = 2;
/** Scores have six decimal digits. */
const SCORE_STEPS = 1e6;

/**
 * Reads the scores of a folder of documents and chooses the threshold: `least`, or the highest one that keeps at least the
 * share `keep` of the documents.
 */
export async function summarizeScores(
  folder: string,
  { field, keep, least }: { readonly field: string; readonly keep?: number; readonly least?: number },
  signal: AbortSignal | undefined,
): Promise<QualityScores> {
  const countByScore = new Uint32Array(SCORE_STEPS + 1);
  const examples: (Excerpt & { score: number })[] = [];
  const tenths = new Array<number>(10).fill(0);
  let documents = 0;
  for await (const { id, url, text, fields } of readTexts([folder], { signal })) {
    const value = fields?.[field];
    if (typeof value !== "number") continue; // from a source that is not scored
    const score = Math.min(1, Math.max(0, value));
    documents += 1;
    countByScore[Math.round(score * SCORE_STEPS)] += 1;
    const tenth = Math.min(9, Math.floor(score * 10));
    if (tenths[tenth] >= EXAMPLES_PER_TENTH) continue;
    tenths[tenth] += 1;
    examples.push({ id, ...(url === undefined ? {} : { url }), score, text: beginning(text) });
  }
  const histogram = new Array<number>(BARS).fill(0);
  for (const [i, count] of countByScore.entries())
    histogram[Math.min(BARS - 1, Math.floor((i * BARS) / SCORE_STEPS))] += count;
  let threshold = least === undefined ? 0 : Math.ceil(least * SCORE_STEPS);
  if (keep !== undefined) {
    const wanted = Math.ceil(keep * documents);
    threshold = SCORE_STEPS;
    for (let kept = countByScore[threshold]; kept < wanted && threshold > 0; kept += countByScore[threshold])
      threshold -= 1;
  }
  const kept = countByScore.subarray(threshold).reduce((sum, count) => sum + count, 0);
  examples.sort((a, b) => a.score - b.score);
  return { documents, histogram, least: threshold === 0 ? null : threshold / SCORE_STEPS, kept, examples };
}
