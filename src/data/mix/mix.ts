/**
 * @file Mixes groups of documents in given shares and puts them in training order. The input is read twice: to measure the
 * groups and to write the mix. Memory use grows with the number of groups, not of documents.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  type AtomicFile,
  createAtomicFile,
  type Document,
  documentLine,
  makeFolder,
  nothingRead,
  type OutputLayout,
  type OutputRequest,
  ReadLog,
  type ReadReport,
  type ReadTextsOptions,
  readTexts,
  withOutput,
  writeFileAtomic,
  writeFolderAtomic,
} from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import type { OnProgress } from "../../progress.js";
import { domainOf } from "../filters/url.js";
import { type CheckedMixRecipe, checkMix, type MixRecipe } from "../recipes/mix-recipe.js";
import { ExternalSort } from "./external-sort.js";
import { copiesAt, QualityHistogram, qualityBin } from "./quality-curve.js";
import { epochsOf, sharesOf } from "./weights.js";

export interface MixOptions {
  readonly recipe: MixRecipe;
  readonly out: string;
  /** Whether to replace the finished mix of an earlier run. */
  readonly force?: boolean;
  readonly textField?: string;
  readonly strict?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface MixedGroup {
  readonly name: string;
  readonly documents: number;
  readonly bytes: number;
  /** Target share of the mix, in bytes. */
  readonly asked: number;
  /** Actual share of the mix, in bytes. */
  readonly share: number;
  /** Average number of copies per document; 0 if the group is left out. */
  readonly epochs: number;
  /** Whether the limit on epochs kept the group below its target share. */
  readonly capped: boolean;
  /** Documents of the group in the mix, including copies. */
  readonly written: number;
  /** Distinct documents of the group in the mix. */
  readonly different: number;
  readonly bytesWritten: number;
}

export interface MixResult extends ReadReport {
  readonly documents: number;
  readonly bytes: number;
  readonly written: number;
  readonly bytesWritten: number;
  readonly groups: readonly MixedGroup[];
  /** Number of documents without a quality score, if the recipe needs one; they are treated as the worst. */
  readonly unjudged: number;
}

/** Size of an output file, in bytes. */
const FILE_BYTES = 256 << 20;

/**
 * Writes the mix to `out/documents/` and its composition to `out/mix.json`. Each document gets the field `group` and, from the
 * second copy on, `copy`. The choice of documents and their order depend only on their texts and the seed.
 *
 * @throws QuernError if the recipe is invalid, the weights sum to 0, or a source has no documents
 */
export async function mix(options: MixOptions): Promise<MixResult> {
  return withOutput(mixClaim(options), () => mixInto(options));
}

/** Files that mixing writes. */
export const mixLayout: OutputLayout = {
  writes: (path) => /^(mix(ture)?\.json|documents\/\d{5,}\.jsonl|\.sorting\/bucket-\d+)$/.test(path),
  folders: /^(documents|\.sorting)$/,
};

export function mixClaim({ recipe, out, force }: Pick<MixOptions, "recipe" | "out" | "force">): OutputRequest {
  const { inputs = [], sources = [] } = checkMix(recipe);
  const all = [...inputs, ...sources.flatMap((source) => source.inputs)];
  return { verb: "data mix", out, inputs: all, layout: mixLayout, force };
}

/** Like `mix`, for a folder that the caller has claimed. */
export async function mixInto(options: MixOptions): Promise<MixResult> {
  const { out, textField, strict, signal, onProgress } = options;
  const recipe = checkMix(options.recipe);
  if (recipe.optimise !== undefined) {
    throw new QuernError("the recipe has `optimise`: use `optimiseMix` of quern/scale or `quern data mix`", {
      exitCode: 2,
    });
  }
  const log = new ReadLog({ strict });
  const note = (task: string) => (done: number, total?: number) =>
    onProgress?.({ task, done, unit: "document", ...(total === undefined ? {} : { total }) });
  const groups = await measure(recipe, { textField, signal, log, note: note("measure the groups") });
  const plan = planMix(recipe, groups);
  await makeFolder(out);
  const total = plan.reduce((sum, { epochs, histogram }) => sum + epochs * histogram.bytes, 0);
  const sort = await ExternalSort.create(join(out, ".sorting"), total);
  try {
    const counts = await draw(recipe, plan, sort, {
      textField,
      signal,
      note: note("draw documents"),
      total: groups.documents,
    });
    await writeFolderAtomic(join(out, "documents"), (folder) => write(sort, folder, signal));
    const bytesWritten = counts.reduce((sum, { bytes }) => sum + bytes, 0);
    const result: MixResult = {
      documents: groups.documents,
      bytes: plan.reduce((sum, { histogram }) => sum + histogram.bytes, 0),
      written: counts.reduce((sum, { written }) => sum + written, 0),
      bytesWritten,
      groups: plan.map(({ name, documents, histogram, asked, epochs, capped }, i) => ({
        ...{ name, documents, bytes: histogram.bytes, asked },
        share: bytesWritten === 0 ? 0 : counts[i].bytes / bytesWritten,
        ...{
          epochs,
          capped,
          written: counts[i].written,
          different: counts[i].different,
          bytesWritten: counts[i].bytes,
        },
      })),
      unjudged: groups.unjudged,
      ...log.report,
    };
    await writeFileAtomic(join(out, "mix.json"), `${JSON.stringify({ recipe, ...result }, null, 2)}\n`);
    return result;
  } finally {
    await sort.remove();
  }
}

/** Yields the documents of a recipe with the names of their groups. */
export async function* readGroups(
  recipe: Pick<CheckedMixRecipe, "sources" | "inputs" | "by">,
  options: ReadTextsOptions = {},
): AsyncGenerator<{ readonly group: string; readonly document: Document }> {
  for (const { name, inputs } of recipe.sources ?? [{ name: undefined, inputs: recipe.inputs ?? [] }]) {
    for await (const document of readTexts(inputs, options))
      yield { group: name ?? groupOf(document, recipe.by), document };
  }
}

function groupOf(document: Document, by: string): string {
  if (by === "source") return document.source;
  if (by === "domain") return domainOf(document.url);
  const value = by === "language" ? document.language : document.fields?.[by];
  return typeof value === "string" || typeof value === "number" ? String(value) : "(none)";
}

interface Group {
  readonly name: string;
  documents: number;
  readonly histogram: QualityHistogram;
}

interface Measured {
  readonly groups: readonly Group[];
  readonly documents: number;
  readonly unjudged: number;
}

interface ReadPass {
  readonly textField?: string;
  readonly signal?: AbortSignal;
  readonly note: (done: number, total?: number) => void;
}

/** Counts documents and bytes by group and quality. */
async function measure(recipe: CheckedMixRecipe, pass: ReadPass & { readonly log: ReadLog }): Promise<Measured> {
  const groups = new Map<string, Group>();
  // Add named sources first, so that a source without documents is reported as an error.
  for (const { name } of recipe.sources ?? [])
    groups.set(name, { name, documents: 0, histogram: new QualityHistogram() });
  let [documents, unscored] = [0, 0];
  for await (const { group: name, document } of readGroups(recipe, pass)) {
    let group = groups.get(name);
    if (group === undefined) {
      group = { name, documents: 0, histogram: new QualityHistogram() };
      groups.set(name, group);
    }
    const quality = qualityOf(document, recipe);
    if (quality === undefined) unscored += 1;
    group.documents += 1;
    group.histogram.add(binOf(quality), Buffer.byteLength(document.text));
    documents += 1;
    if (documents % 256 === 0) pass.note(documents);
  }
  const sorted = [...groups.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  if (documents === 0) {
    throw nothingRead(recipe.sources?.flatMap(({ inputs }) => inputs) ?? recipe.inputs ?? [], pass.log.report);
  }
  const empty = sorted.find((group) => group.documents === 0);
  if (empty !== undefined) throw new QuernError(`the source ${empty.name} contains no documents`, { exitCode: 2 });
  const needsQuality = recipe.power > 0 || recipe.order === "quality-last";
  if (needsQuality && unscored === documents) {
    throw new QuernError(
      `no document has a number in its field "${recipe.quality}"; score the documents first, or mix without power and order`,
      {
        exitCode: 2,
      },
    );
  }
  return { groups: sorted, documents, unjudged: needsQuality ? unscored : 0 };
}

const qualityOf = ({ fields = {} }: Document, { quality, power, order }: CheckedMixRecipe): number | undefined => {
  if (power === 0 && order === "shuffled") return undefined;
  const value = fields[quality];
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
};
const binOf = (quality: number | undefined) => (quality === undefined ? 0 : qualityBin(quality));

interface PlannedGroup extends Group {
  readonly asked: number;
  readonly epochs: number;
  readonly capped: boolean;
  /** Returns the average number of copies of a document, by its quality bin. */
  readonly copies: (bin: number) => number;
}

/** Decides how often each group is repeated. */
function planMix(recipe: CheckedMixRecipe, { groups }: Measured): PlannedGroup[] {
  const sizes = groups.map(({ name, histogram }) => ({ name, bytes: histogram.bytes }));
  const shares = sharesOf(sizes, recipe);
  const natural = sizes.reduce((sum, { bytes }, i) => sum + (shares[i] > 0 ? bytes : 0), 0);
  const total = recipe.bytes ?? natural;
  const epochs = epochsOf(sizes, shares, total, recipe.epochs);
  return groups.map((group, i) => ({
    ...group,
    asked: shares[i],
    epochs: epochs[i],
    capped: epochs[i] === recipe.epochs && shares[i] * total > recipe.epochs * sizes[i].bytes,
    copies: copiesAt(group.histogram, { epochs: epochs[i], power: recipe.power, most: recipe.epochs }),
  }));
}

/** Adds the copies of every document to `sort` and returns the counts of each group. */
async function draw(
  recipe: CheckedMixRecipe,
  plan: readonly PlannedGroup[],
  sort: ExternalSort,
  { textField, signal, note, total }: ReadPass & { readonly total: number },
) {
  const numbers = new Map(plan.map(({ name }, i) => [name, i]));
  const counts = plan.map(() => ({ written: 0, different: 0, bytes: 0 }));
  const phaseOf = recipe.order === "quality-last" ? phases(plan, recipe.phases) : () => 0;
  const width = recipe.order === "quality-last" ? 1 / recipe.phases : 1;
  let read = 0;
  for await (const { group, document } of readGroups(recipe, { textField, signal })) {
    const number = numbers.get(group);
    if (number === undefined) throw new QuernError(`the input changed during the run: the group ${group} is new`);
    const bin = binOf(qualityOf(document, recipe));
    const digest = createHash("sha1").update(document.text).digest();
    const copies = Math.floor(plan[number].copies(bin) + uniform(digest, `copies ${recipe.seed}`));
    for (let copy = 0; copy < copies; copy++) {
      const position = (phaseOf(bin) + uniform(digest, `order ${recipe.seed} ${copy}`)) * width;
      const fields = { ...document.fields, group, ...(copy === 0 ? {} : { copy }) };
      await sort.add({ position, tie: document.id }, documentLine({ ...document, fields }));
    }
    const count = counts[number];
    count.written += copies;
    count.different += Math.min(1, copies);
    count.bytes += copies * Buffer.byteLength(document.text);
    read += 1;
    if (read % 256 === 0) note(read, total);
  }
  return counts;
}

/** Returns a pseudorandom number in [0, 1) that depends on a text's digest and a purpose. */
function uniform(digest: Buffer, purpose: string): number {
  const bytes = createHash("sha1").update(digest).update(purpose).digest();
  return (bytes.readUInt32LE(0) * 2 ** 21 + (bytes.readUInt32LE(4) >>> 11)) / 2 ** 53;
}

/** Returns a function from quality bin to phase; all phases of the mix have about the same number of bytes. */
function phases(plan: readonly PlannedGroup[], count: number): (bin: number) => number {
  const all = new QualityHistogram();
  for (const { histogram, copies } of plan)
    for (const [bin, bytes] of histogram.sorted) all.add(bin, bytes * copies(bin));
  return (bin) => Math.min(count - 1, Math.floor(all.quantile(bin) * count));
}

/** Writes the sorted lines to files of about `FILE_BYTES`, without splitting a line. */
async function write(sort: ExternalSort, folder: string, signal: AbortSignal | undefined): Promise<void> {
  let number = 0;
  let file: AtomicFile | undefined;
  let waiting: string[] = [];
  let length = 0;
  const flush = async () => {
    file ??= await createAtomicFile(join(folder, `${String(number).padStart(5, "0")}.jsonl`));
    await file.write(waiting.join(""));
    waiting = [];
    length = 0;
  };
  try {
    for await (const line of sort.sorted()) {
      signal?.throwIfAborted();
      waiting.push(`${line}\n`);
      length += line.length;
      if (length > 1 << 18) await flush();
      if (file !== undefined && file.bytes >= FILE_BYTES) {
        await file.commit();
        file = undefined;
        number += 1;
      }
    }
    if (waiting.length > 0 || (file === undefined && number === 0)) await flush();
    await file?.commit();
  } catch (error) {
    await file?.discard();
    throw error;
  }
}
