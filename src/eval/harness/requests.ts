/** @file Builds the requests of a task: the prompts and continuations of each document, byte for byte as lm-eval 0.4 builds them. */
import { QuernError } from "../../errors.js";
import { type ChatRenderer, type PromptOptions, promptsOf, type TaskShape } from "./contexts.js";
import type { TaskDocuments } from "./documents.js";
import type { FunctionTable, TaskDocument } from "./functions.js";
import { endsWithSpace, isInteger, textOf } from "./python-values.js";
import { FunctionReference, type YamlValue } from "./python-yaml.js";
import type { LoadedTask } from "./registry.js";
import { createSampler, FEW_SHOT_SEED } from "./samplers.js";
import type { OutputType } from "./task-config.js";
import { DocumentRules } from "./templates.js";

interface RequestOrigin {
  readonly task: string;
  /** Index among the documents that are evaluated. */
  readonly documentIndex: number;
  /** Index among all documents of the split; another one with `samples`. */
  readonly position: number;
  readonly document: TaskDocument;
  /** Index among the document's requests. */
  readonly index: number;
  /** How often the model answers. */
  readonly repeats: number;
}

/** A request to a model. */
export type EvalRequest =
  | (RequestOrigin & { readonly type: "loglikelihood"; readonly context: string; readonly continuation: string })
  | (RequestOrigin & { readonly type: "loglikelihood_rolling"; readonly text: string })
  | (RequestOrigin & {
      readonly type: "generate_until";
      readonly context: string;
      /** `until`, `max_gen_toks`, `temperature` … as the task file has them. */
      readonly options: Readonly<Record<string, YamlValue>>;
    });

export interface RequestOptions extends PromptOptions {
  /** Overrides the task's number, unless that is 0. */
  readonly numFewshot?: number;
  /** Of the few-shot examples; default 1234. */
  readonly seed?: number;
  /** Only the first documents: a number, or a share below 1. */
  readonly limit?: number;
  /** Only documents with these indices, in the order of the data. */
  readonly samples?: readonly number[];
  /** Override keys of `generation_kwargs`. */
  readonly generationOptions?: Readonly<Record<string, YamlValue>>;
  /** Python functions in TypeScript; default Quern's own. */
  readonly functions?: FunctionTable;
  readonly signal?: AbortSignal;
}

/** Returns how many few-shot examples a task gets. A task that fixes 0 keeps it, as in lm-eval. */
export function fewshotCount(task: LoadedTask, given?: number): number {
  const { numFewshot } = task.config;
  return numFewshot === 0 ? 0 : (given ?? numFewshot ?? 0);
}

/** Whether a task also asks for each choice without its question. */
export const needsUnconditional = (task: LoadedTask): boolean =>
  task.config.metrics?.some(({ metric }) => metric === "acc_mutual_info") ?? false;

/**
 * Builds all requests of a task. One generator of random numbers draws the few-shot examples of all documents in turn.
 * @param documents of `readTaskDocuments`
 * @throws QuernError that names the document, the file and the key if a rule fails on a document
 */
export async function buildRequests(
  task: LoadedTask,
  documents: TaskDocuments,
  options: RequestOptions = {},
): Promise<readonly EvalRequest[]> {
  const { config } = task;
  const { evaluated, fewshot } = documents;
  const rules = new DocumentRules(task, new Set(Object.keys(evaluated[0] ?? {})), options.functions);
  const shots = fewshotCount(task, options.numFewshot);
  if (shots > 0 && fewshot === null) throw new QuernError(`no few-shot examples were read for the task ${task.name}`);
  const shape = shapeOf(task, rules, evaluated[0]);
  const { sampler: name } = config.fewshot;
  if (name instanceof FunctionReference) {
    throw new QuernError(
      `${task.file}: the few-shot sampler ${name.name} is a Python function; use default or first_n`,
    );
  }
  const sampler = createSampler(name, fewshot ?? [], { seed: options.seed ?? FEW_SHOT_SEED });
  // lm-eval compares the names of the splits, so two missing ones are the same.
  const mayDrawItself = config.fewshot.split === config.testSplit;
  const requests: EvalRequest[] = [];
  for (const [documentIndex, [position, document]] of chosen(evaluated, options).entries()) {
    options.signal?.throwIfAborted();
    try {
      const examples = shots === 0 ? [] : sampler.sample(shots, mayDrawItself ? document : undefined);
      const prompts = await promptsOf(task, rules, shape, document, examples, options);
      const origin = { task: task.name, documentIndex, position, document, repeats: config.repeats };
      requests.push(...requestsOf(task, rules, origin, prompts, options));
    } catch (error) {
      if (!(error instanceof QuernError)) throw error;
      throw new QuernError(`task ${task.name}, document ${position}: ${error.message}`, { cause: error });
    }
  }
  return requests;
}

/** Returns the documents to evaluate, each with its position in the data. */
function chosen(
  documents: readonly TaskDocument[],
  { limit, samples }: RequestOptions,
): (readonly [number, TaskDocument])[] {
  const all = documents.map((document, position) => [position, document] as const);
  if (samples !== undefined) {
    const beyond = samples.find((index) => !Number.isInteger(index) || index < 0 || index >= documents.length);
    if (beyond !== undefined) {
      throw new QuernError(`sample ${beyond} is not one of the ${documents.length} documents`, { exitCode: 2 });
    }
    const wanted = new Set(samples);
    return all.filter(([position]) => wanted.has(position));
  }
  if (limit === undefined) return all;
  return all.slice(0, limit < 1 ? Math.ceil(documents.length * limit) : Math.floor(limit));
}

/** lm-eval decides by the first document whether the choices of all are inputs. */
function shapeOf(task: LoadedTask, rules: DocumentRules, first: TaskDocument | undefined): TaskShape {
  if (task.config.docToChoice === null || first === undefined) return { hasManyInputs: false };
  try {
    return { hasManyInputs: isInteger(rules.text(first)) };
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    throw new QuernError(`task ${task.name}, document 0: ${error.message}`, { cause: error });
  }
}

function requestsOf(
  task: LoadedTask,
  rules: DocumentRules,
  origin: Omit<RequestOrigin, "index">,
  prompts: string | readonly string[],
  options: RequestOptions,
): EvalRequest[] {
  const { config } = task;
  const { document } = origin;
  const outputType: OutputType = config.outputType;
  const prompt = typeof prompts === "string" ? prompts : (prompts[0] ?? "");
  switch (outputType) {
    case "loglikelihood": {
      const continuation = textOf(rules.target(document));
      return [{ ...origin, index: 0, type: "loglikelihood", context: prompt, continuation }];
    }
    case "loglikelihood_rolling":
      return [{ ...origin, index: 0, type: "loglikelihood_rolling", text: textOf(rules.target(document)) }];
    case "generate_until": {
      const generation = { ...config.generationOptions, ...options.generationOptions };
      return [
        { ...origin, index: 0, type: "generate_until", context: prompt, options: generation },
        ...task.continuations.map(
          (continuation, i) =>
            ({ ...origin, index: i + 1, type: "loglikelihood", context: prompt, continuation }) as const,
        ),
      ];
    }
    case "multiple_choice": {
      const delimiter = delimiterBefore(task, options.chat);
      const choices = rules.choices(document).map(textOf);
      const pairs: (readonly [string, string])[] =
        typeof prompts === "string"
          ? choices.map((choice) => [prompts, delimiter + choice])
          : prompts.map((input) => [input, delimiter + textOf(rules.target(document))]);
      // Mutual information compares each choice with its log-likelihood without the question.
      if (needsUnconditional(task)) pairs.push(...choices.map((choice) => ["", delimiter + choice] as const));
      return pairs.map(([context, continuation], index) => ({
        ...origin,
        index,
        type: "loglikelihood",
        context,
        continuation,
      }));
    }
    default:
      return outputType satisfies never;
  }
}

/** A chat template separates question and answer itself, unless the answer has begun with words. */
function delimiterBefore(task: LoadedTask, chat: ChatRenderer | undefined): string {
  const { targetDelimiter, genPrefix } = task.config;
  if (chat === undefined) return targetDelimiter;
  return genPrefix !== null && genPrefix !== "" && !endsWithSpace(genPrefix) ? targetDelimiter : "";
}
