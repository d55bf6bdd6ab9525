/**
 * @file Near-duplicate removal over a million synthetic documents with planted pairs: memory, and whether pairs are found as
 * often as the theory of MinHash bands predicts. Takes a few minutes and 4 GB of disk; `--documents 100000` a tenth.
 */
import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { bandProbability, simplifyText } from "../src/data/index.js";
import { type Pair, writeDocuments } from "./corpus-generator.js";
import { runVerb, type Section, sharedTexts } from "./corpus-row.js";

const [BANDS, ROWS] = [14, 8];

export const near = (documents: number): Section => ({
  name: "near",
  async run({ folder }) {
    const input = join(folder, "documents.jsonl");
    const out = join(folder, "near");
    const made = await writeDocuments(input, { documents, texts: sharedTexts().map(simplifyText), seed: 1 });
    const { seconds, memory } = runVerb(["data", "deduplicate", input, "--out", out, "--by", "near"]);
    const partner = await partners(join(out, "removed.jsonl"));
    await rm(input);
    await rm(out, { recursive: true });

    const rows = [];
    for (const [low, high] of [
      [0.45, 0.6],
      [0.6, 0.7],
      [0.7, 0.8],
      [0.8, 0.9],
      [0.9, 1],
    ]) {
      const bin = made.pairs.filter(({ jaccard }) => jaccard >= low && jaccard < high);
      rows.push({
        name: `recall of ${bin.length} pairs at ${low} to ${high}, σ from the curve`,
        ...deviation(bin, partner),
      });
    }
    const planted = made.pairs.filter(({ jaccard }) => jaccard >= 0.45);
    const unlike = made.pairs.filter(({ jaccard }) => jaccard < 0.3);
    rows.push({ name: `recall of all ${planted.length} pairs, σ from the curve`, ...deviation(planted, partner) });
    rows.push({
      name: `${unlike.length} pairs below .3 treated as copies, σ from the curve`,
      ...deviation(unlike, partner),
    });
    // Any other joined pair: the curve predicts none, because the other documents share almost no n-gram.
    const known = new Set(made.pairs.map(({ a, b }) => `${a} ${b}`));
    let others = 0;
    for (const [a, b] of partner) if (!known.has(`${Math.min(a, b)} ${Math.max(a, b)}`)) others += 1;
    rows.push({ name: "other documents joined", value: others, unit: "", most: 0 });
    rows.push({ name: `near-duplicates of ${documents} documents, memory`, value: memory, unit: "MB", most: 2000 });
    rows.push({ name: "throughput with all threads", value: made.bytes / 1e6 / seconds, unit: "MB/s" });
    return rows;
  },
});

/** Deviation of the number of pairs found from the curve's expectation, in standard deviations. */
function deviation(pairs: readonly Pair[], partner: ReadonlyMap<number, number>) {
  let [expected, variance, found] = [0, 0, 0];
  for (const { a, b, jaccard } of pairs) {
    const p = bandProbability(jaccard, BANDS, ROWS);
    expected += p;
    variance += p * (1 - p);
    if (partner.get(a) === b || partner.get(b) === a) found += 1;
  }
  const sigma = Math.sqrt(variance);
  const share = (count: number) => (pairs.length === 0 ? 0 : count / pairs.length);
  const peer = { name: `found ${share(found).toFixed(4)}, expected`, value: share(expected) };
  return { value: sigma === 0 ? 0 : Math.abs(found - expected) / sigma, unit: "σ", peer, most: 2 };
}

/** For each removed document, the one that was kept. */
async function partners(path: string): Promise<ReadonlyMap<number, number>> {
  const map = new Map<number, number>();
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const { id, kept } = JSON.parse(line) as { id: string; kept: string };
    map.set(Number(id), Number(kept));
  }
  return map;
}
