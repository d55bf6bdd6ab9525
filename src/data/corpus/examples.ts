/** @file A few documents of a stage to be looked at: duplicates side by side, texts along the scale of quality. */
import { readTexts } from "../../documents/index.js";
import { readLines } from "../lines.js";

/** Two texts side by side. */
export interface Pair {
  readonly reason: string;
  readonly left: Shown;
  readonly right: Shown;
}

export interface Shown {
  readonly id: string;
  readonly url?: string;
  readonly text: string;
}

const SHOWN = 1200;
const MOST_PAIRS = 6;

/** The beginning of a text; a cut may have halved a surrogate pair, which is no text. */
const beginning = (text: string) => text.slice(0, SHOWN).replace(/\p{Cs}/gu, "");

interface Removed {
  /** Absent of a line of the input that was no document. */
  readonly id?: string;
  /** Of a line of the input that was no document, where it is. */
  readonly where?: string;
  readonly reason: string;
  /** The document that stayed, or those that had the lines or spans before. */
  readonly kept?: string | readonly string[];
  readonly cluster?: number;
}

/**
 * Duplicates beside what stayed, one pair a cluster, or documents beside what is left of them: the first that
 * removed.jsonl names. Texts come from one reading of what went in and one of what came out.
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
    if (chosen.length >= MOST_PAIRS) break;
    if (line === "") continue;
    const { id, where, reason, kept, cluster } = JSON.parse(line) as Removed;
    if (id === undefined || where !== undefined) continue;
    // One document with two lines under one id, or a copy under the id of what stayed, cannot be told apart by ids.
    if (kept === id || (cluster !== undefined && clusters.has(cluster))) continue;
    if (cluster !== undefined) clusters.add(cluster);
    // What was cut stands beside what is left of it.
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
): Promise<Map<string, Shown>> {
  const found = new Map<string, Shown>();
  if (ids.size === 0) return found;
  for await (const { id, url, text } of readTexts([folder], { signal })) {
    if (ids.has(id) && !found.has(id))
      found.set(id, { id, ...(url === undefined ? {} : { url }), text: beginning(text) });
    if (found.size === ids.size) break;
  }
  return found;
}

/** What a corpus scores, and where to draw the line. */
export interface QualityScores {
  readonly documents: number;
  /** Documents by score, from 0 to 1 in as many equal parts. */
  readonly histogram: readonly number[];
  /** The least score of what is kept; null where nothing is dropped. */
  readonly least: number | null;
  readonly kept: number;
  /** The first documents of each tenth of the scale. */
  readonly examples: readonly (Shown & { readonly score: number })[];
}

const BARS = 50;
const EXAMPLES_A_TENTH = 2;
/** Scores have six digits. */
const FINENESS = 1e6;

/** Looks at the scores of a folder of documents. With `keep`, the line is drawn so that at least that share of them stays. */
export async function lookAtScores(
  folder: string,
  { field, keep, least }: { readonly field: string; readonly keep?: number; readonly least?: number },
  signal: AbortSignal | undefined,
): Promise<QualityScores> {
  const fine = new Uint32Array(FINENESS + 1);
  const examples: (Shown & { score: number })[] = [];
  const tenths = new Array<number>(10).fill(0);
  let documents = 0;
  for await (const { id, url, text, fields } of readTexts([folder], { signal })) {
    const judged = fields?.[field];
    if (typeof judged !== "number") continue; // of a source that is not judged
    const score = Math.min(1, Math.max(0, judged));
    documents += 1;
    fine[Math.round(score * FINENESS)] += 1;
    const tenth = Math.min(9, Math.floor(score * 10));
    if (tenths[tenth] >= EXAMPLES_A_TENTH) continue;
    tenths[tenth] += 1;
    examples.push({ id, ...(url === undefined ? {} : { url }), score, text: beginning(text) });
  }
  const histogram = new Array<number>(BARS).fill(0);
  for (const [i, count] of fine.entries()) histogram[Math.min(BARS - 1, Math.floor((i * BARS) / FINENESS))] += count;
  let line = least === undefined ? 0 : Math.ceil(least * FINENESS);
  if (keep !== undefined) {
    const wanted = Math.ceil(keep * documents);
    line = FINENESS;
    for (let kept = fine[line]; kept < wanted && line > 0; kept += fine[line]) line -= 1;
  }
  const kept = fine.subarray(line).reduce((sum, count) => sum + count, 0);
  examples.sort((a, b) => a.score - b.score);
  return { documents, histogram, least: line === 0 ? null : line / FINENESS, kept, examples };
}
