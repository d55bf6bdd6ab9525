/** @file Evaluates a model on tasks and writes what came out: the library function behind `quern eval`. */
import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { z } from "zod";
import type { CompileOptions } from "../backends/index.js";
import { withOutput, writeFileAtomic } from "../documents/index.js";
import { fileError, QuernError } from "../errors.js";
import { type LanguageModel, openNamedModel } from "../infer/index.js";
import { checkOptions, type NameOption } from "../options.js";
import { quoted } from "../printable.js";
import type { OnProgress } from "../progress.js";
import { alone, type Ranks, refuseOtherOptions, type Team } from "../train/index.js";
import { version } from "../version.js";
import { answerRequests, withDividedModel } from "./divided-model.js";
import { evaluateOptions } from "./evaluate-options.js";
import {
  type EvaluationResults,
  evaluateTasks,
  type FunctionTable,
  openRegistry,
  openRequestCache,
  sampleLine,
  type TaskEvaluation,
  type TaskRunOptions,
  type YamlValue,
} from "./harness/index.js";
import { filesOf } from "./model-files.js";
import {
  compareRuns,
  type EvaluationRun,
  type RunComparison,
  readRun,
  tokenPieces,
  writeEvaluationReport,
} from "./report/index.js";

export type EvaluateOptions = z.input<typeof evaluateOptions> & {
  /** Python functions of task files in TypeScript, beside Quern's own. */
  readonly functions?: FunctionTable;
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly named?: NameOption;
};

export interface EvaluateResult extends TaskEvaluation {
  readonly seconds: number;
  /** What changed against another run; also in `results.against`. */
  readonly comparison: RunComparison | null;
}

type Calls = Omit<EvaluateOptions, keyof z.input<typeof evaluateOptions>>;

/**
 * Evaluates a model on tasks. With `out`, writes results.json in lm-eval's layout and a report.
 * @throws QuernError for an unknown task, one that cannot run, missing data, or a rule of a task that fails on a document
 */
export async function evaluate(options: EvaluateOptions): Promise<EvaluateResult> {
  return (await evaluateByRanks(options, alone)) as EvaluateResult;
}

/**
 * The same by several ranks, which divide the requests to the model. Rank 0 reads the tasks, writes, and gets the result of
 * `evaluate` with as many threads, bit for bit; the others read only the model, and get null.
 * @throws QuernError as `evaluate` does, and if a rank has other options or another model
 */
export async function evaluateByRanks(
  { functions, target, signal, onProgress, named, ...given }: EvaluateOptions,
  team: Team,
): Promise<EvaluateResult | null> {
  const o = checkOptions(evaluateOptions, given, named);
  // The ranks of a machine divide its cores.
  const threads = o.threads ?? (process.env.QUERN_THREADS ? undefined : (team.threads ?? undefined));
  const cpu = { threads, ...target?.cpu };
  const calls = { functions, target: { ...target, cpu }, signal, onProgress, named };
  return team.run(async (ranks) => {
    if (ranks.size > 1) await refuseOtherOptions(ranks, o);
    if (ranks.rank === 0) return evaluateInto(o, calls, ranks);
    await using model = await openNamedModel(o.model, calls.target);
    await answerRequests(model, ranks, signal);
    return null;
  });
}

function evaluateInto(o: z.output<typeof evaluateOptions>, calls: Calls, ranks: Ranks): Promise<EvaluateResult> {
  if (o.out === undefined) return evaluateChecked(o, calls, ranks);
  // A folder of tasks or data may hold the output: nothing there is overwritten.
  const taskFiles = o.tasks.filter((task) => statSync(task, { throwIfNoEntry: false })?.isFile());
  const inputs = [...taskFiles, o.against, o.model].filter((each) => each !== undefined);
  return withOutput({ verb: "eval", out: o.out, inputs, layout: LAYOUT, force: o.force }, () =>
    evaluateChecked(o, calls, ranks),
  );
}

/** What `quern eval` writes; only these files are replaced with `force`. */
const LAYOUT = {
  writes: (path: string) => path === "results.json" || path === "report.html" || /^samples_[^/]*\.jsonl$/.test(path),
};

async function evaluateChecked(
  o: z.output<typeof evaluateOptions>,
  { functions, target, signal, onProgress, named }: Calls,
  ranks: Ranks,
): Promise<EvaluateResult> {
  const name = named ?? ((key: string) => key);
  const started = Date.now();
  if (o.limit !== undefined && o.samples !== undefined) {
    throw new QuernError(`give ${name("limit")} or ${name("samples")}, not both`, { exitCode: 2 });
  }
  for (const key of ["fewshotAsMultiturn", "fewshotInOneTurn"] as const) {
    if (o[key] && !o.applyChatTemplate) {
      throw new QuernError(`${name(key)} needs ${name("applyChatTemplate")}`, { exitCode: 2 });
    }
  }
  if (o.fewshotAsMultiturn && o.fewshotInOneTurn) {
    throw new QuernError(`give ${name("fewshotAsMultiturn")} or ${name("fewshotInOneTurn")}, not both`, {
      exitCode: 2,
    });
  }
  const selection = (await openRegistry(o.include)).select(o.tasks);
  const samples = o.samples === undefined ? undefined : await samplesOf(o.samples, name("samples"));
  for (const task of Object.keys(samples ?? {})) {
    if (selection.tasks.has(task)) continue;
    throw new QuernError(`${name("samples")} names ${quoted(task)}, which is none of the tasks`, { exitCode: 2 });
  }
  const seeds = o.seed.split(",").map(Number);
  const seedAt = (index: number): number => seeds[Math.min(index, seeds.length - 1)]!;
  const generationOptions = o.genKwargs === undefined ? undefined : generationOptionsOf(o.genKwargs, name("genKwargs"));
  const against = o.against === undefined ? undefined : await readRun(o.against, { signal });
  if (against !== undefined && against.samples.size === 0) {
    throw new QuernError(`${o.against} has no samples to compare with; that run needs ${name("logSamples")}`, {
      exitCode: 2,
    });
  }
  await using model = await openNamedModel(o.model, target);
  const cache = o.cache === undefined ? undefined : openRequestCache(o.cache);
  try {
    const tasks: TaskRunOptions = {
      data: o.data,
      numFewshot: o.numFewshot,
      limit: o.limit,
      samples,
      batch: o.batch,
      fewshotSeed: seedAt(3),
      samplingSeed: seedAt(2),
      applyChatTemplate: o.applyChatTemplate,
      system: o.system,
      fewshotAsMultiturn: !o.fewshotInOneTurn,
      generationOptions,
      bootstrap: o.bootstrap,
      decontaminate: o.decontaminate && {
        paths: o.decontaminate,
        ngram: o.decontaminateNgram,
        threshold: o.decontaminateThreshold,
        textField: o.textField,
      },
      functions,
      cache,
      identity: cache === undefined ? undefined : await identityOf(o.model, model),
      signal,
      onProgress,
    };
    const evaluation = await withDividedModel(model, ranks, (divided) => evaluateTasks(divided, selection, tasks));
    const seconds = (Date.now() - started) / 1000;
    const results = {
      ...evaluation.results,
      ...recordOf(model, o, evaluation, { started, seconds, generationOptions }),
    };
    const evaluated: EvaluationRun = { name: o.out ?? o.model, results, samples: evaluation.samples };
    const comparison = against === undefined ? undefined : compareRuns(evaluated, against);
    const result = {
      ...evaluation,
      results: { ...results, ...(comparison && { against: comparison }) },
      seconds,
      comparison: comparison ?? null,
    };
    if (o.out !== undefined) {
      await writeEvaluation(o.out, result, o.logSamples);
      const pieces = model.tokenizer && tokenPieces(model.tokenizer);
      await writeEvaluationReport(o.out, evaluated, { pieces, against, comparison });
    }
    return result;
  } finally {
    cache?.close();
  }
}

/** The keys that lm-eval's results have beside the numbers, and Quern's own counts. */
function recordOf(
  model: LanguageModel,
  o: z.output<typeof evaluateOptions>,
  { counts }: TaskEvaluation,
  run: { readonly started: number; readonly seconds: number; readonly generationOptions: unknown },
): Partial<EvaluationResults> {
  const seeds = o.seed.split(",").map(Number);
  const template = o.applyChatTemplate ? (model.tokenizer?.parts.config?.chat_template ?? null) : null;
  const hash = (text: unknown) => (typeof text === "string" ? createHash("sha256").update(text).digest("hex") : null);
  return {
    config: {
      model: "quern",
      model_args: `pretrained=${o.model}`,
      batch_size: o.batch,
      batch_sizes: [],
      device: "cpu",
      use_cache: o.cache ?? null,
      limit: o.limit ?? null,
      bootstrap_iters: o.bootstrap,
      gen_kwargs: run.generationOptions ?? null,
      random_seed: seeds[0],
      numpy_seed: seeds[1] ?? seeds[0],
      torch_seed: seeds[2] ?? seeds[0],
      fewshot_seed: seeds[3] ?? seeds[0],
    },
    date: run.started / 1000,
    max_length: model.sequence,
    model_source: "quern",
    model_name: o.model,
    model_name_sanitized: o.model.replace(/[^\w.-]+/g, "__"),
    system_instruction: o.system ?? null,
    system_instruction_sha: hash(o.system),
    fewshot_as_multiturn: o.applyChatTemplate ? !o.fewshotInOneTurn : null,
    chat_template: template,
    chat_template_sha: hash(template),
    total_evaluation_time_seconds: String(run.seconds),
    counts,
  };
}

async function writeEvaluation(
  folder: string,
  { results, samples }: EvaluateResult,
  logSamples: boolean,
): Promise<void> {
  for (const [task, list] of logSamples ? samples : []) {
    await writeFileAtomic(join(folder, `samples_${task}.jsonl`), list.map(sampleLine).join(""));
  }
  await writeFileAtomic(
    join(folder, "results.json"),
    `${JSON.stringify(results, jsonValue, 2)}
`,
  );
}

const jsonValue = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);

/** Tells models apart in the cache: Quern's version and the size and time of each file, or a server's address. */
async function identityOf(name: string, { files }: LanguageModel): Promise<string> {
  if (files === undefined) return JSON.stringify([version, name]);
  const facts: unknown[] = [];
  for (const file of await filesOf(files)) {
    const { size, mtimeMs } = await stat(file);
    facts.push([files.includes(file) ? "" : basename(file), size, mtimeMs]);
  }
  return JSON.stringify([version, facts]);
}

async function samplesOf(given: string, option: string): Promise<Record<string, readonly number[]>> {
  let text = given;
  if (!given.trimStart().startsWith("{")) {
    try {
      text = await readFile(given, "utf8");
    } catch (error) {
      throw fileError(error, "read", given);
    }
  }
  const wrong = new QuernError(`${option} must be {"TASK": [positions of documents]}, as JSON or in a file`, {
    exitCode: 2,
  });
  try {
    const parsed = JSON.parse(text) as Record<string, unknown>;
    const isList = (value: unknown) =>
      Array.isArray(value) && value.every((each) => Number.isInteger(each) && each >= 0);
    if (typeof parsed !== "object" || parsed === null || !Object.values(parsed).every(isList)) throw wrong;
    return parsed as Record<string, readonly number[]>;
  } catch {
    throw wrong;
  }
}

/** Reads lm-eval's `temperature=0,do_sample=false`, or a JSON object. */
function generationOptionsOf(given: string, option: string): Record<string, YamlValue> {
  const wrong = new QuernError(`${option} must be KEY=VALUE,… or a JSON object, not ${quoted(given)}`, { exitCode: 2 });
  if (given.trimStart().startsWith("{")) {
    try {
      return JSON.parse(given) as Record<string, YamlValue>;
    } catch {
      throw wrong;
    }
  }
  const options: Record<string, YamlValue> = {};
  for (const part of given.split(",")) {
    const at = part.indexOf("=");
    if (at < 1) throw wrong;
    const value = part.slice(at + 1);
    const lower = value.toLowerCase();
    options[part.slice(0, at).trim()] =
      lower === "true" || lower === "false"
        ? lower === "true"
        : value !== "" && !Number.isNaN(Number(value))
          ? Number(value)
          : value;
  }
  return options;
}
