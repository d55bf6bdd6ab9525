/**
 * @file Token shards of the same text in other mixtures: each source is thinned or repeated. Tokenizer and held-out text are those
 * of the shared dataset, so that losses can be compared.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type GivenDocument, textHash } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { loadTokenizer, writeDocumentShards } from "../../tokenizer/index.js";
import { runPaths } from "../run/run-folder.js";
import { openDataset, type TextSplit } from "./dataset.js";
import { type SharedDatasetOptions, sharedHeldOut, splitOf } from "./shared-dataset.js";

export interface MixtureShards {
  readonly shards: string;
  readonly trainingTokens: number;
  /** Estimated from the bytes of documents that occur at least once. */
  readonly uniqueTokens: number;
}

/**
 * Writes `mixtures/<n>/` in `out` for each mixture, unless an earlier call did. A mixture has as many bytes as the whole text.
 * Call `shareDataset` first.
 * @param mixtures shares by source, which sum to 1
 * @throws QuernError for an unknown source, or a text of one source
 */
export async function shareMixtures(
  out: string,
  mixtures: readonly Readonly<Record<string, number>>[],
  options: SharedDatasetOptions,
): Promise<MixtureShards[]> {
  const { heldOutTokens, signal, onProgress } = options;
  const tokenizer = await loadTokenizer(runPaths(out).tokenizer);
  const split = await splitOf(options);
  const bytes = await bytesBySource(split);
  const total = [...bytes.values()].reduce((sum, each) => sum + each, 0);
  const made: MixtureShards[] = [];
  for (const [index, shares] of mixtures.entries()) {
    requireSources(Object.keys(shares), [...bytes.keys()]);
    const epochs = new Map([...bytes].map(([source, size]) => [source, ((shares[source] ?? 0) * total) / size]));
    const folder = join(out, "mixtures", String(index));
    if (!existsSync(join(folder, "shards.json"))) {
      const heldout = sharedHeldOut(split, heldOutTokens);
      await writeDocumentShards(folder, { tokenizer, train: mixed(split, epochs), heldout, signal, onProgress });
    }
    const distinct = [...bytes].reduce((sum, [source, size]) => sum + Math.min(1, epochs.get(source) ?? 0) * size, 0);
    const dataset = openDataset(folder, tokenizer);
    const trainingTokens = dataset.train.tokens;
    dataset.close();
    made.push({ shards: folder, trainingTokens, uniqueTokens: Math.round((trainingTokens * distinct) / total) });
  }
  return made;
}

const sourceOf = ({ source }: GivenDocument) => source ?? "";

async function bytesBySource(split: TextSplit): Promise<Map<string, number>> {
  const bytes = new Map<string, number>();
  for await (const document of split.training()) {
    const source = sourceOf(document);
    bytes.set(source, (bytes.get(source) ?? 0) + Buffer.byteLength(document.text));
  }
  return bytes;
}

function requireSources(named: readonly string[], known: readonly string[]): void {
  if (known.length < 2) {
    throw new QuernError(
      `the text has only the source ${JSON.stringify(known[0] ?? "")}, so there is nothing to mix; give text of several sources`,
      { exitCode: 2 },
    );
  }
  const unknown = named.find((source) => !known.includes(source));
  if (unknown === undefined) return;
  throw new QuernError(`the text has no source ${JSON.stringify(unknown)}; its sources are ${known.join(", ")}`, {
    exitCode: 2,
  });
}

/** Repeats each document by its source's epochs; a fraction of a copy is drawn by the hash of the text. */
async function* mixed(split: TextSplit, epochs: ReadonlyMap<string, number>): AsyncGenerator<GivenDocument> {
  for await (const document of split.training()) {
    const wanted = epochs.get(sourceOf(document)) ?? 0;
    const copies = Math.floor(wanted) + (textHash(document.text)[1] < (wanted % 1) * 2 ** 32 ? 1 : 0);
    for (let copy = 0; copy < copies; copy++) yield document;
  }
}
