/**
 * @file Makes a corpus from documents: clean → deduplicate → filter by quality → hold out → decontaminate → mix → shards. Each
 * stage writes a folder; a manifest and a report follow at the end. A killed run resumes after the last finished stage.
 */
import { access, constants, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  findInputs,
  isRemote,
  makeFolder,
  type OutputLayout,
  type ReadReport,
  readTexts,
  withOutput,
  writeFileAtomic,
} from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import type { ExecutorInput } from "../../executors/index.js";
import type { OnProgress } from "../../progress.js";
import {
  openTokenizer,
  type ShardsHeader,
  type Tokenizer,
  tokenizerHash,
  trainTokenizer,
} from "../../tokenizer/index.js";
import { version } from "../../version.js";
import { cleanInto, cleanLayout } from "../clean/clean.js";
import { isSampled } from "../clean/run-task.js";
import { decontaminateInto, decontaminateLayout } from "../decontaminate/decontaminate.js";
import { deduplicateInto, deduplicateLayout } from "../deduplicate/deduplicate.js";
import type { Funnel } from "../funnel/funnel.js";
import { mixInto, mixLayout } from "../mix/mix.js";
import { type CheckedCorpusRecipe, type CorpusRecipe, checkCorpus } from "../recipes/corpus-recipe.js";
import { shardDocumentsInto, shardsLayout } from "../shards/shard-documents.js";
import { duplicatePairs, type QualityScores, summarizeScores } from "./examples.js";
import { renderCorpusReport } from "./report.js";
import { HELD_OUT, splitDocuments } from "./split.js";
import { fileHash, hashOf, type StageFile, Stages } from "./stage.js";
import type { CorpusStep, CorpusSummary, DuplicateStage } from "./summary.js";

export interface CorpusOptions {
  readonly inputs: readonly string[];
  readonly recipe: CorpusRecipe;
  readonly out: string;
  /** Whether the finished corpus of an earlier run may be changed. Stages that are still valid are reused. */
  readonly force?: boolean;
  readonly textField?: string;
  readonly strict?: boolean;
  /** Worker threads. The output is the same for any number. */
  readonly workers?: number;
  /** Executor for the work that is divided into tasks, and its resources. Default: threads on this machine. */
  readonly executor?: ExecutorInput;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** On a cluster: called with a line for each submitted job and each lost task. */
  readonly onNotice?: (line: string) => void;
}

export interface CorpusResult extends CorpusSummary, ReadReport {
  readonly out: string;
  readonly report: string;
}

/**
 * Makes a corpus under `out`: a folder for each stage, `shards/`, `manifest.json` and `report.html`.
 *
 * @throws QuernError if the recipe is invalid, an input is missing, or no document is left after a stage
 */
export async function makeCorpus(options: CorpusOptions): Promise<CorpusResult> {
  const { inputs, out, force } = options;
  const { decontaminate, quality } = checkCorpus(options.recipe);
  const read = [...inputs, ...(decontaminate?.against ?? []), ...(quality === undefined ? [] : [quality.model])];
  const claim = { verb: "data corpus", out, inputs: read, layout: corpusLayout, force, replace: "reuse" } as const;
  return withOutput(claim, () => makeCorpusInto(options));
}

const STAGE_LAYOUTS: readonly (readonly [folder: RegExp, layout: OutputLayout])[] = [
  [/^(clean|quality|select)$/, cleanLayout],
  [/^deduplicate-\d+-\w+$/, deduplicateLayout],
  [/^decontaminate$/, decontaminateLayout],
  [/^mix$/, mixLayout],
  [/^shards$/, shardsLayout],
];
/** Files of a corpus other than those that stages write. */
const OWN =
  /^(manifest\.json|report\.html|stages\/[^/]+\.json|(quality|select)\/recipe\.json|split\/(train\/documents\/00000|heldout\/heldout)\.jsonl)$/;

/** Layout of a corpus on disk: a folder for each stage, with the files of that stage. */
export const corpusLayout: OutputLayout = {
  writes(path) {
    const end = path.indexOf("/");
    const [stage, inside] = [path.slice(0, end), path.slice(end + 1)];
    return OWN.test(path) || STAGE_LAYOUTS.some(([folder, layout]) => folder.test(stage) && layout.writes(inside));
  },
  folders: /^(stages|clean|quality|select|split|decontaminate|mix|shards|deduplicate-\d+-\w+)$/,
};

async function makeCorpusInto(options: CorpusOptions): Promise<CorpusResult> {
  const { inputs, out, textField, strict, workers, executor, signal, onProgress, onNotice } = options;
  const recipe = checkCorpus(options.recipe);
  const run = { ...executor, workers, signal, onProgress, onNotice };
  // Check the files of later stages before the first stage starts.
  const { quality, decontaminate: against, shards: shardRecipe } = recipe;
  const files = [...(quality === undefined ? [] : [quality.model]), ...(against?.against ?? [])];
  for (const file of files) await requireReadable(file);
  if (shardRecipe !== false && shardRecipe.tokenizer !== undefined)
    await openTokenizer(shardRecipe.tokenizer, { signal });
  await makeFolder(out);

  // 1. Clean. Cleaning resumes task by task. The keys of all later stages depend on its manifest.
  const cleaned = await cleanStage(recipe, inputs, out, { ...run, textField, strict });
  const stages = new Stages(out, hashOf(version, await fileHash(join(out, "clean", "manifest.json"))));
  const steps: CorpusStep[] = cleaned.steps.filter(
    ({ step, documents }) => step !== "extract" || documents.dropped + documents.edited > 0,
  );
  if (cleaned.output.documents === 0) throw noDocumentsLeft("cleaning", join(out, "clean", "report.html"));
  let at = join(out, "clean", "documents");

  // 2. Remove duplicates, one stage per rule.
  const duplicates: DuplicateStage[] = [];
  for (const [i, rule] of recipe.deduplicate.entries()) {
    const before = at;
    const result = await stages.run(
      `${i + 2}-deduplicate-${rule.by}`,
      rule,
      { folder: `deduplicate-${i + 1}-${rule.by}` },
      async (folder) => {
        const ruleRun = { workers: rule.workers ?? workers, executor, signal, onProgress, onNotice };
        const counts = await deduplicateInto({ ...rule, ...ruleRun, inputs: [before], out: folder });
        const pairs = await duplicatePairs(before, join(folder, "documents"), join(folder, "removed.jsonl"), signal);
        return { ...counts, pairs };
      },
    );
    const { documents, kept, bytes, bytesKept, clusters, pieces, pairs } = result;
    at = join(out, `deduplicate-${i + 1}-${rule.by}`, "documents");
    duplicates.push({ by: rule.by, clusters, pieces, pairs });
    steps.push(
      stepOf(`duplicates: ${rule.by}`, [documents, kept], [bytes, bytesKept], { duplicate: documents - kept }),
    );
  }

  // 3. Score quality with a model, then filter. The threshold may depend on all scores.
  let scores: QualityScores | null = null;
  if (quality !== undefined) {
    const before = at;
    const model = await fileHash(quality.model);
    scores = await stages.run("quality", quality, { inputs: [model], folder: "quality" }, async (folder) => {
      const { model: file, label, field, sources } = quality;
      const step = { quality: { model: resolve(file), label, field, sources } };
      await runSteps("quality", [step], before, folder, run);
      return summarizeScores(join(folder, "documents"), quality, signal);
    });
    at = join(out, "quality", "documents");
    const { least } = scores;
    if (least !== null) {
      const scored = at;
      const step = await stages.run("select", { least }, { folder: "select" }, async (folder) => {
        const chosen = [{ "at-least": { field: quality.field, least, missing: quality.sources ? "keep" : "drop" } }];
        const { documents, bytes, reasons } = (await runSteps("select", chosen, scored, folder, run)).steps[1];
        return { step: "quality", documents, bytes, reasons };
      });
      at = join(out, "select", "documents");
      steps.push(step);
    }
  }

  // 4. Hold out documents, before any are repeated or cut.
  const beforeSplit = at;
  const held = recipe.heldout;
  const splitResult = await stages.run("split", { heldout: held }, { folder: "split" }, (folder) =>
    splitDocuments(beforeSplit, folder, held, signal),
  );
  at = join(out, "split", "train", "documents");
  const heldout = join(out, "split", HELD_OUT);
  const { documents: all, train, bytes: allBytes, trainBytes } = splitResult;
  if (train === 0) throw noDocumentsLeft("holding out", join(out, "split"));
  if (held > 0) steps.push(stepOf("held out", [all, train], [allBytes, trainBytes], { "held out": all - train }));

  // 5. Remove documents that overlap evaluation sets or, if chosen, the held-out text.
  let contamination: CorpusSummary["contamination"] = null;
  if (against !== undefined) {
    const before = at;
    const { heldout: own, ...settings } = against;
    const hashes = await Promise.all(against.against.map(fileHash));
    const sets = [...against.against, ...(own && train < all ? [heldout] : [])];
    const result = await stages.run(
      "decontaminate",
      against,
      { inputs: hashes, folder: "decontaminate" },
      async (folder) => {
        const request = { inputs: [before], out: folder, workers, executor, signal, onProgress };
        const { benchmarks, ...counts } = await decontaminateInto({ ...settings, against: sets, ...request });
        return { ...counts, benchmarks: benchmarks.map(({ file: _, ...benchmark }) => benchmark) };
      },
    );
    at = join(out, "decontaminate", "documents");
    contamination = result.benchmarks;
    const { documents, kept, cut, bytes, bytesKept } = result;
    const found = Object.fromEntries(
      contamination.filter((each) => each.documents > 0).map((each) => [each.name, each.documents]),
    );
    steps.push(stepOf("evaluation sets", [documents, kept], [bytes, bytesKept], kept === documents ? {} : found, cut));
  }

  // 6. Mix, in training order.
  const before = at;
  const mixed = await stages.run("mix", recipe.mix, { folder: "mix" }, (folder) =>
    mixInto({ recipe: { ...recipe.mix, inputs: [before] }, out: folder, signal, onProgress }),
  );
  at = join(out, "mix", "documents");
  if (mixed.written === 0) throw noDocumentsLeft("mixing", join(out, "mix", "mix.json"));

  // 7. Train or open the tokenizer and write shards.
  let shards: ShardsHeader | null = null;
  let hash: string | null = null;
  if (recipe.shards !== false) {
    const { fileTokens } = recipe.shards;
    const tokenizer = await tokenizerFor(recipe.shards, at, mixed.bytesWritten, run);
    hash = tokenizerHash(tokenizer);
    shards = await stages.run("shards", recipe.shards, { inputs: [hash], folder: "shards" }, (folder) => {
      const files = { inputs: [at], heldout: [heldout], out: folder };
      return shardDocumentsInto({ ...files, tokenizer, fileTokens, resumeKey: stages.key, signal, onProgress });
    });
  }

  const report = join(out, "report.html");
  const result = {
    out,
    report,
    steps,
    funnel: cleaned,
    duplicates,
    quality: scores,
    contamination,
    mix: mixed,
    shards,
    documents: at,
    heldout,
    ...cleaned.reading,
  };
  await writeFileAtomic(report, renderCorpusReport(result, recipe, inputs));
  await writeFileAtomic(
    join(out, "manifest.json"),
    await manifestText(recipe, inputs, out, stages, hash, cleaned.reading),
  );
  return result;
}

/** @throws QuernError if the file cannot be read */
async function requireReadable(file: string): Promise<void> {
  try {
    await access(file, constants.R_OK);
  } catch (error) {
    throw fileError(error, "read", file);
  }
}

interface StageRun extends ExecutorInput {
  readonly workers?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly onNotice?: (line: string) => void;
}

async function cleanStage(
  recipe: CheckedCorpusRecipe,
  inputs: readonly string[],
  out: string,
  run: StageRun & { readonly textField?: string; readonly strict?: boolean },
): Promise<Funnel> {
  const folder = join(out, "clean");
  const options = { ...run, inputs: [...inputs], out: folder };
  return (await cleanInto({ ...options, recipe: recipe.clean })).funnel;
}

/** Runs a few cleaning steps, given as in a JSON recipe. */
async function runSteps(
  name: string,
  steps: readonly object[],
  input: string,
  folder: string,
  run: StageRun,
): Promise<Funnel> {
  await makeFolder(folder);
  const recipe = join(folder, "recipe.json");
  await writeFileAtomic(recipe, `${JSON.stringify({ name, steps }, null, 1)}\n`);
  const { funnel } = await cleanInto({ ...run, inputs: [input], out: folder, recipe });
  if (funnel.output.documents === 0) throw noDocumentsLeft(name, join(folder, "report.html"));
  return funnel;
}

const noDocumentsLeft = (stage: string, report: string) =>
  new QuernError(`no document is left after ${stage}; see ${report} for the reasons`);

function stepOf(
  step: string,
  [documents, kept]: readonly [number, number],
  [bytes, bytesKept]: readonly [number, number],
  reasons: Readonly<Record<string, number>>,
  edited = 0,
): CorpusStep {
  return {
    step,
    documents: { in: documents, kept, dropped: documents - kept, edited },
    bytes: { in: bytes, out: bytesKept },
    reasons: Object.fromEntries(
      Object.entries(reasons)
        .filter(([, count]) => count > 0)
        .map(([reason, count]) => [reason, { documents: count }]),
    ),
  };
}

/** Opens the recipe's tokenizer, or trains one on a deterministic sample of the mix. */
async function tokenizerFor(
  recipe: Exclude<CheckedCorpusRecipe["shards"], false>,
  input: string,
  bytes: number,
  run: StageRun,
): Promise<Tokenizer> {
  const { signal, onProgress } = run;
  const { tokenizer, vocabSize, tokenizerBytes } = recipe;
  if (tokenizer !== undefined) return openTokenizer(tokenizer, { signal });
  const share = Math.min(1, tokenizerBytes / bytes);
  async function* texts(): AsyncGenerator<string> {
    for await (const { id, text, fields } of readTexts([input], { signal }))
      if (fields?.copy === undefined && (share === 1 || isSampled(id, share))) yield text;
  }
  return trainTokenizer(texts(), { vocabSize, signal, onProgress });
}

/** Returns the manifest as JSON: every setting, checksum and count from inputs to shards. Equal runs have equal manifests. */
async function manifestText(
  recipe: CheckedCorpusRecipe,
  inputs: readonly string[],
  out: string,
  stages: Stages,
  tokenizer: string | null,
  reading: ReadReport,
): Promise<string> {
  const files: (StageFile | { readonly path: string })[] = [];
  for (const { location } of await findInputs(inputs, { pages: true })) {
    if (isRemote(location)) files.push({ path: location });
    else files.push({ path: location, bytes: (await stat(location)).size, sha256: await fileHash(location) });
  }
  const manifest = {
    version: 1,
    quern: version,
    recipe: JSON.parse(JSON.stringify(recipe)) as unknown,
    inputs: files,
    ...reading,
    clean: {
      manifest: "clean/manifest.json",
      sha256: await fileHash(join(out, "clean", "manifest.json")),
      funnel: "clean/funnel.json",
    },
    stages: stages.records.map(({ name, key, settings, result, files: written }) => ({
      name,
      key,
      settings,
      result: withoutTexts(result),
      files: written,
    })),
    tokenizer,
  };
  return `${JSON.stringify(manifest, null, 1)}\n`;
}

/** Removes the examples for the report from a stage's result. */
function withoutTexts(result: unknown): unknown {
  if (typeof result !== "object" || result === null) return result;
  const { pairs: _, examples: __, ...rest } = result as Record<string, unknown>;
  return rest;
}
