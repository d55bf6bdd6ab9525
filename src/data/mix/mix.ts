/**
 * @file Mixing: documents of several groups, each group as much of the whole as it is to be, in the order in which a model
 * sees them. The input is read twice, for sizes and to write; memory holds numbers of groups, not of documents.
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
  /** Whether the finished mix of an earlier run is replaced. */
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
  /** Share of the mix that was asked for, and that came of it, in bytes. */
  readonly asked: number;
  readonly share: number;
  /** How often it is seen on average; 0 leaves it out. */
  readonly epochs: number;
  /** True where the cap on epochs left it smaller than asked for. */
  readonly capped: boolean;
  /** Of the mix: its documents, copies counted, different ones, and bytes. */
  readonly written: number;
  readonly different: number;
  readonly bytesWritten: number;
}

export interface MixResult extends ReadReport {
  readonly documents: number;
  readonly bytes: number;
  readonly written: number;
  readonly bytesWritten: number;
  readonly groups: readonly MixedGroup[];
  /** Documents without a quality, where one is needed: they count as the worst. */
  readonly unjudged: number;
}

/** Bytes of an output file. */
const FILE_BYTES = 256 << 20;

/**
 * Writes the mix to `out/documents/`, each line with `group`, and `copy` from the second copy on, and what it is made of to
 * `out/mix.json`. Which documents are taken and their order hang on their texts and the seed alone.
 *
 * @throws QuernError for a recipe that is wrong, weights that sum to nothing, groups without documents
 */
export async function mix(options: MixOptions): Promise<MixResult> {
  return withOutput(mixClaim(options), () => mixInto(options));
}

/** What mixing writes. */
export const mixLayout: OutputLayout = {
  writes: (path) => /^(mix(ture)?\.json|documents\/\d{5,}\.jsonl|\.sorting\/bucket-\d+)$/.test(path),
  folders: /^(documents|\.sorting)$/,
};

export function mixClaim({ recipe, out, force }: Pick<MixOptions, "recipe" | "out" | "force">): OutputRequest {
  const { inputs = [], sources = [] } = checkMix(recipe);
  const all = [...inputs, ...sources.flatMap((source) => source.inputs)];
  return { verb: "data mix", out, inputs: all, layout: mixLayout, force };
}

/** `mix` into a folder that the caller has claimed. */
export async function mixInto(options: MixOptions): Promise<MixResult> {
  const { out, textField, strict, signal, onProgress } = options;
  const recipe = checkMix(options.recipe);
  if (recipe.optimise !== undefined) {
    throw new QuernError("a mix that is to be optimised needs `optimiseMix` of quern/scale, or `quern data mix`", {
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
    const counts = await draw(recipe, plan, sort, { textField, signal, note: note("draw"), total: groups.documents });
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

/** The documents of a recipe with the groups that they belong to. */
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

interface Call {
  readonly textField?: string;
  readonly signal?: AbortSignal;
  readonly note: (done: number, total?: number) => void;
}

async function measure(recipe: CheckedMixRecipe, call: Call & { readonly log: ReadLog }): Promise<Measured> {
  const groups = new Map<string, Group>();
  // A source that is named is a group even without documents: that is worth an error.
  for (const { name } of recipe.sources ?? [])
    groups.set(name, { name, documents: 0, histogram: new QualityHistogram() });
  let [documents, unjudged] = [0, 0];
  for await (const { group: name, document } of readGroups(recipe, call)) {
    let group = groups.get(name);
    if (group === undefined) {
      group = { name, documents: 0, histogram: new QualityHistogram() };
      groups.set(name, group);
    }
    const quality = qualityOf(document, recipe);
    if (quality === undefined) unjudged += 1;
    group.documents += 1;
    group.histogram.add(binOf(quality), Buffer.byteLength(document.text));
    documents += 1;
    if (documents % 256 === 0) call.note(documents);
  }
  const sorted = [...groups.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  if (documents === 0) {
    throw nothingRead(recipe.sources?.flatMap(({ inputs }) => inputs) ?? recipe.inputs ?? [], call.log.report);
  }
  const empty = sorted.find((group) => group.documents === 0);
  if (empty !== undefined) throw new QuernError(`the source ${empty.name} has no document`, { exitCode: 2 });
  const needsQuality = recipe.power > 0 || recipe.order === "quality-last";
  if (needsQuality && unjudged === documents) {
    throw new QuernError(
      `no document has a number in its field "${recipe.quality}"; judge them first, or mix without power and order`,
      {
        exitCode: 2,
      },
    );
  }
  return { groups: sorted, documents, unjudged: needsQuality ? unjudged : 0 };
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
  /** How often a document of this quality is seen on average. */
  readonly copies: (bin: number) => number;
}

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

async function draw(
  recipe: CheckedMixRecipe,
  plan: readonly PlannedGroup[],
  sort: ExternalSort,
  { textField, signal, note, total }: Call & { readonly total: number },
) {
  const numbers = new Map(plan.map(({ name }, i) => [name, i]));
  const counts = plan.map(() => ({ written: 0, different: 0, bytes: 0 }));
  const phaseOf = recipe.order === "quality-last" ? phases(plan, recipe.phases) : () => 0;
  const width = recipe.order === "quality-last" ? 1 / recipe.phases : 1;
  let read = 0;
  for await (const { group, document } of readGroups(recipe, { textField, signal })) {
    const number = numbers.get(group);
    if (number === undefined) throw new QuernError(`the input changed while it was read: ${group} is new`);
    const bin = binOf(qualityOf(document, recipe));
    const digest = createHash("sha1").update(document.text).digest();
    const copies = Math.floor(plan[number].copies(bin) + uniform(digest, `copies ${recipe.seed}`));
    for (let copy = 0; copy < copies; copy++) {
      const place = (phaseOf(bin) + uniform(digest, `order ${recipe.seed} ${copy}`)) * width;
      const fields = { ...document.fields, group, ...(copy === 0 ? {} : { copy }) };
      await sort.add({ place, tie: document.id }, documentLine({ ...document, fields }));
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

/** A number from 0 to 1 that hangs on a text and a purpose. */
function uniform(digest: Buffer, purpose: string): number {
  const bytes = createHash("sha1").update(digest).update(purpose).digest();
  return (bytes.readUInt32LE(0) * 2 ** 21 + (bytes.readUInt32LE(4) >>> 11)) / 2 ** 53;
}

/** The phase of each quality, so that all phases of the mix have about as many bytes. */
function phases(plan: readonly PlannedGroup[], count: number): (bin: number) => number {
  const all = new QualityHistogram();
  for (const { histogram, copies } of plan)
    for (const [bin, bytes] of histogram.sorted) all.add(bin, bytes * copies(bin));
  return (bin) => Math.min(count - 1, Math.floor(all.place(bin) * count));
}

/** Files of whole lines. */
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
