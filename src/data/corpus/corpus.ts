/**
 * @file From documents to a corpus, top to bottom: clean → deduplicate → judge quality → decontaminate → mix → shards, each
 * stage a folder, and in the end a manifest and a report. A run that was killed goes on behind the stages that are whole.
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
import { duplicatePairs, lookAtScores, type QualityScores } from "./examples.js";
import { renderCorpusReport } from "./report.js";
import { HELD_OUT, splitDocuments } from "./split.js";
import { fileHash, hashOf, type StageFile, Stages } from "./stage.js";
import type { CorpusStep, CorpusStory, DuplicateStage } from "./story.js";

export interface CorpusOptions {
  readonly inputs: readonly string[];
  readonly recipe: CorpusRecipe;
  readonly out: string;
  /** Whether the finished corpus of an earlier run is changed. Stages that are still right stay. */
  readonly force?: boolean;
  readonly textField?: string;
  readonly strict?: boolean;
  /** Worker threads. The output is the same for any number. */
  readonly workers?: number;
  /** Who does what is divided into tasks, and what is asked of the cluster; by default threads here. */
  readonly executor?: ExecutorInput;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** On a cluster: a line for each job that was submitted and each task that was lost. */
  readonly onNotice?: (line: string) => void;
}

export interface CorpusResult extends CorpusStory, ReadReport {
  readonly out: string;
  readonly report: string;
}

/**
 * Makes a corpus under `out`: a folder for each stage, `shards/`, `manifest.json` and `report.html`.
 *
 * @throws QuernError for a recipe that is wrong, inputs that are not there, a stage that leaves nothing
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
const OWN =
  /^(manifest\.json|report\.html|stages\/[^/]+\.json|(quality|select)\/recipe\.json|split\/(train\/documents\/00000|heldout\/heldout)\.jsonl)$/;

/** What a corpus is on disk: a folder for each stage, of the files that the stage writes by itself. */
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
  const call = { ...executor, workers, signal, onProgress, onNotice };
  // What the last stages read is looked for before the first begins.
  const { quality: judge, decontaminate: sets, shards: written } = recipe;
  for (const file of [...(judge === undefined ? [] : [judge.model]), ...(sets?.against ?? [])]) await mustBeThere(file);
  if (written !== false && written.tokenizer !== undefined) await openTokenizer(written.tokenizer, { signal });
  await makeFolder(out);

  // 1. Clean. Its own tasks go on where they were; the stages behind hang on what came of them.
  const cleaned = await cleanStage(recipe, inputs, out, { ...call, textField, strict });
  const stages = new Stages(out, hashOf(version, await fileHash(join(out, "clean", "manifest.json"))));
  const steps: CorpusStep[] = cleaned.steps.filter(
    ({ step, documents }) => step !== "extract" || documents.dropped + documents.edited > 0,
  );
  if (cleaned.output.documents === 0) throw nothingLeft("cleaning", join(out, "clean", "report.html"));
  let at = join(out, "clean", "documents");

  // 2. Duplicates, a stage for each rule.
  const duplicates: DuplicateStage[] = [];
  for (const [i, rule] of recipe.deduplicate.entries()) {
    const before = at;
    const result = await stages.run(
      `${i + 2}-deduplicate-${rule.by}`,
      rule,
      { folder: `deduplicate-${i + 1}-${rule.by}` },
      async (folder) => {
        const calls = { workers: rule.workers ?? workers, executor, signal, onProgress, onNotice };
        const counts = await deduplicateInto({ ...rule, ...calls, inputs: [before], out: folder });
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

  // 3. Quality by a model: scores, then the line, which may depend on all of them.
  const { quality } = recipe;
  let scores: QualityScores | null = null;
  if (quality !== undefined) {
    const before = at;
    const model = await fileHash(quality.model);
    scores = await stages.run("quality", quality, { inputs: [model], folder: "quality" }, async (folder) => {
      const { model: file, label, field, sources } = quality;
      const step = { quality: { model: resolve(file), label, field, sources } };
      await run("quality", [step], before, folder, call);
      return lookAtScores(join(folder, "documents"), quality, signal);
    });
    at = join(out, "quality", "documents");
    const { least } = scores;
    if (least !== null) {
      const scored = at;
      const step = await stages.run("select", { least }, { folder: "select" }, async (folder) => {
        const chosen = [{ "at-least": { field: quality.field, least, missing: quality.sources ? "keep" : "drop" } }];
        const { documents, bytes, reasons } = (await run("select", chosen, scored, folder, call)).steps[1];
        return { step: "quality", documents, bytes, reasons };
      });
      at = join(out, "select", "documents");
      steps.push(step);
    }
  }

  // 4. What is held out, before anything is repeated or cut.
  const whole = at;
  const held = recipe.heldout;
  const apart = await stages.run("split", { heldout: held }, { folder: "split" }, (folder) =>
    splitDocuments(whole, folder, held, signal),
  );
  at = join(out, "split", "train", "documents");
  const heldout = join(out, "split", HELD_OUT);
  const { documents: all, train, bytes: allBytes, trainBytes } = apart;
  if (train === 0) throw nothingLeft("holding out", join(out, "split"));
  if (held > 0) steps.push(stepOf("held out", [all, train], [allBytes, trainBytes], { "held out": all - train }));

  // 5. Evaluation sets, and the held-out text as one of them.
  let contamination: CorpusStory["contamination"] = null;
  const { decontaminate: against } = recipe;
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
        const call = { inputs: [before], out: folder, workers, executor, signal, onProgress };
        const { benchmarks, ...counts } = await decontaminateInto({ ...settings, against: sets, ...call });
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

  // 6. The mix, in the order of training.
  const before = at;
  const mixed = await stages.run("mix", recipe.mix, { folder: "mix" }, (folder) =>
    mixInto({ recipe: { ...recipe.mix, inputs: [before] }, out: folder, signal, onProgress }),
  );
  at = join(out, "mix", "documents");
  if (mixed.written === 0) throw nothingLeft("mixing", join(out, "mix", "mix.json"));

  // 7. Tokenizer and shards.
  let shards: ShardsHeader | null = null;
  let hash: string | null = null;
  if (recipe.shards !== false) {
    const { fileTokens } = recipe.shards;
    const tokenizer = await tokenizerFor(recipe.shards, at, mixed.bytesWritten, call);
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

async function mustBeThere(file: string): Promise<void> {
  try {
    await access(file, constants.R_OK);
  } catch (error) {
    throw fileError(error, "read", file);
  }
}

interface Call extends ExecutorInput {
  readonly workers?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly onNotice?: (line: string) => void;
}

async function cleanStage(
  recipe: CheckedCorpusRecipe,
  inputs: readonly string[],
  out: string,
  call: Call & { readonly textField?: string; readonly strict?: boolean },
): Promise<Funnel> {
  const folder = join(out, "clean");
  const options = { ...call, inputs: [...inputs], out: folder };
  return (await cleanInto({ ...options, recipe: recipe.clean })).funnel;
}

/** A cleaning run of a few steps that are data. */
async function run(name: string, steps: readonly object[], input: string, folder: string, call: Call): Promise<Funnel> {
  await makeFolder(folder);
  const recipe = join(folder, "recipe.json");
  await writeFileAtomic(recipe, `${JSON.stringify({ name, steps }, null, 1)}\n`);
  const { funnel } = await cleanInto({ ...call, inputs: [input], out: folder, recipe });
  if (funnel.output.documents === 0) throw nothingLeft(name, join(folder, "report.html"));
  return funnel;
}

const nothingLeft = (stage: string, report: string) =>
  new QuernError(`no document is left after ${stage}; ${report} says why`);

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

/** The tokenizer that is named, or one that is trained on a sample of the mix, the same in every run. */
async function tokenizerFor(
  recipe: Exclude<CheckedCorpusRecipe["shards"], false>,
  input: string,
  bytes: number,
  call: Call,
): Promise<Tokenizer> {
  const { signal, onProgress } = call;
  const { tokenizer, vocabSize, tokenizerBytes } = recipe;
  if (tokenizer !== undefined) return openTokenizer(tokenizer, { signal });
  const share = Math.min(1, tokenizerBytes / bytes);
  async function* texts(): AsyncGenerator<string> {
    for await (const { id, text, fields } of readTexts([input], { signal }))
      if (fields?.copy === undefined && (share === 1 || isSampled(id, share))) yield text;
  }
  return trainTokenizer(texts(), { vocabSize, signal, onProgress });
}

/** Every setting, checksum and count, from what came in to the shards; the same for the same run. */
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

/** A result without the examples that are there to be looked at. */
function withoutTexts(result: unknown): unknown {
  if (typeof result !== "object" || result === null) return result;
  const { pairs: _, examples: __, ...rest } = result as Record<string, unknown>;
  return rest;
}
