/**
 * @file What a reader sees of a document: its prompt, the choices with log-probabilities, which is right and which the model
 * prefers by each measure, generated answers, and the value of each metric.
 */
import { largest } from "../harness/choice-metrics.js";
import type { EvaluationSample } from "../harness/evaluation-results.js";
import { codePoints, utf8Bytes } from "../harness/python-text.js";
import { textOf } from "../harness/python-values.js";
import { type EvaluationRun, metricsOf } from "./evaluation-run.js";

export interface ViewedChoice {
  /** Context of this choice alone, after the shared prompt. */
  readonly before: string;
  /** The continuation that was scored. */
  readonly text: string;
  readonly logLikelihood: number;
  readonly isGreedy: boolean;
  /** Lengths by which acc_norm and acc_bytes divide; null where samples do not tell the choice's own text. */
  readonly characters: number | null;
  readonly bytes: number | null;
  /** Log-likelihood without the prompt, for acc_mutual_info. */
  readonly unconditional: number | null;
}

/** How a model chooses: by log-likelihood, per character, per byte, or against the choice without its prompt. */
export const MEASURES = ["log p", "per character", "per byte", "gain over no prompt"] as const;

export interface ViewedDocument {
  readonly docId: number;
  readonly prompt: string;
  readonly target: string;
  readonly choices: readonly ViewedChoice[];
  /** Positions of the right choices; null if the samples do not tell. */
  readonly right: readonly number[] | null;
  /** The preferred choice by each of `MEASURES`; null where there is none. */
  readonly preferred: readonly (number | null)[];
  /** Log-likelihood of the whole text, for rolling requests. */
  readonly rolling: number | null;
  /** Generated texts: requests × repeats. */
  readonly answers: readonly (readonly string[])[];
  /** What each filter made of the answers, per request. */
  readonly filtered: readonly { readonly filter: string; readonly results: readonly string[] }[];
  /** By metric and filter, as in `results.json`. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Whether the training data of `--decontaminate` contains the document; undefined if none was given. */
  readonly isContaminated: boolean | undefined;
}

interface Views {
  readonly delimiter: string;
  readonly documents: readonly ViewedDocument[];
}

/** The table, the comparison and the page look at the same samples. */
const viewed = new WeakMap<readonly EvaluationSample[], Views>();

/** Returns the documents of a task, each once with all its filters, in the order of the samples. */
export function viewDocuments(run: EvaluationRun, task: string): readonly ViewedDocument[] {
  const samples = run.samples.get(task);
  if (samples === undefined) return [];
  const given = run.results.configs[task]?.target_delimiter;
  const delimiter = typeof given === "string" ? given : " ";
  const known = viewed.get(samples);
  if (known?.delimiter === delimiter) return known.documents;
  const byDocument = new Map<number, EvaluationSample[]>();
  for (const sample of samples) {
    const own = byDocument.get(sample.doc_id);
    if (own === undefined) byDocument.set(sample.doc_id, [sample]);
    else own.push(sample);
  }
  const documents = [...byDocument.values()].map((own) => viewDocument(own, delimiter));
  viewed.set(samples, { delimiter, documents });
  return documents;
}

interface Request {
  readonly context: string;
  readonly continuation: string;
  readonly logLikelihood: number;
  readonly isGreedy: boolean;
}

function viewDocument(samples: readonly EvaluationSample[], delimiter: string): ViewedDocument {
  const [first] = samples;
  const values: Record<string, unknown> = {};
  for (const sample of samples) {
    for (const metric of metricsOf(sample)) values[`${metric},${sample.filter}`] = sample[metric];
  }
  const isContaminated = typeof first.contaminated === "boolean" ? first.contaminated : undefined;
  const shared = { docId: first.doc_id, target: shownText(first.target), values, isContaminated };
  const requests = Object.values(first.arguments);
  const scored = requests.map((request, i) => scoredRequest(request, first.resps[i]));
  if (scored.length > 0 && scored.every((each) => each !== undefined)) {
    return { ...shared, ...viewChoices(scored, first, values, delimiter), rolling: null, answers: [], filtered: [] };
  }
  const isRolling = requests.length > 0 && requests.every((request) => request.arg_1 === undefined);
  const rolling = isRolling ? Number(flat(first.resps[0])) : Number.NaN;
  const prompt = requests.map(({ arg_0 }) => shownText(arg_0)).join("\n\n");
  return {
    ...{ ...shared, prompt, choices: [], right: null, preferred: [] },
    rolling: Number.isNaN(rolling) ? null : rolling,
    answers: isRolling ? [] : first.resps.map((repeats) => listOf(repeats).map(shownText)),
    filtered: isRolling
      ? []
      : samples.map(({ filter, filtered_resps }) => ({ filter, results: filtered_resps.map(shownText) })),
  };
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);
const flat = (value: unknown): unknown => (Array.isArray(value) ? flat(value[0]) : value);
const shownText = (value: unknown): string =>
  typeof value === "string"
    ? value
    : typeof value === "object" && value !== null
      ? JSON.stringify(value)
      : textOf(value);

/** Reads the first answer to a log-likelihood request, `[log-likelihood, is greedy]`; undefined for other requests. */
function scoredRequest(request: Readonly<Record<string, unknown>>, repeats: unknown): Request | undefined {
  const { arg_0: context, arg_1: continuation } = request;
  if (typeof context !== "string" || typeof continuation !== "string" || !Array.isArray(repeats)) return undefined;
  const pair: unknown = Array.isArray(repeats[0]) ? repeats[0] : repeats;
  if (!Array.isArray(pair) || pair.length !== 2) return undefined;
  const isGreedy = { True: true, true: true, False: false, false: false, 1: true, 0: false }[String(pair[1])];
  const logLikelihood = parseNumber(pair[0]);
  if (isGreedy === undefined || logLikelihood === undefined) return undefined;
  return { context, continuation, logLikelihood, isGreedy };
}

/** Python writes infinities as inf. */
function parseNumber(value: unknown): number | undefined {
  const text = String(value).replace(/\binf\b/, "Infinity");
  const number = Number(text);
  return text === "" || (Number.isNaN(number) && text !== "nan" && text !== "NaN") ? undefined : number;
}

function viewChoices(
  requests: readonly Request[],
  sample: EvaluationSample,
  values: Readonly<Record<string, unknown>>,
  delimiter: string,
): Pick<ViewedDocument, "prompt" | "choices" | "right" | "preferred"> {
  const hasUnconditional = metricsOf(sample).includes("acc_mutual_info") && requests.length % 2 === 0;
  const conditional = hasUnconditional ? requests.slice(0, requests.length / 2) : requests;
  const prompt = sharedStart(conditional.map(({ context }) => context));
  const sharesPrompt = conditional.every(({ context }) => context === prompt);
  const choices = conditional.map(({ context, continuation, logLikelihood, isGreedy }, i): ViewedChoice => {
    const own = continuation.startsWith(delimiter) ? continuation.slice(delimiter.length) : continuation;
    return {
      before: context.slice(prompt.length),
      text: continuation,
      ...{ logLikelihood, isGreedy },
      characters: sharesPrompt ? codePoints(own) : null,
      bytes: sharesPrompt ? utf8Bytes(own) : null,
      unconditional: hasUnconditional ? requests[conditional.length + i].logLikelihood : null,
    };
  });
  if (choices.length === 1) return { prompt, choices, right: null, preferred: [] };
  const best = (scores: readonly (number | null)[]) =>
    scores.every((score) => score !== null) ? largest(scores as readonly number[]) : null;
  const by = (length: (choice: ViewedChoice) => number | null) =>
    choices.map((choice) => (length(choice) ? choice.logLikelihood / (length(choice) as number) : null));
  const preferred = [
    best(choices.map(({ logLikelihood }) => logLikelihood)),
    best(by(({ characters }) => characters)),
    best(by(({ bytes }) => bytes)),
    best(
      choices.map(({ logLikelihood, unconditional }) =>
        unconditional === null ? null : logLikelihood - unconditional,
      ),
    ),
  ];
  return { prompt, choices, preferred, right: rightChoices(sample.target, choices, delimiter, preferred[0], values) };
}

/** Returns the shared beginning of contexts, whole words without the space after them unless all are equal. */
function sharedStart(contexts: readonly string[]): string {
  const [first = "", ...others] = contexts;
  if (others.every((other) => other === first)) return first;
  let end = 0;
  while (end < first.length && others.every((other) => other[end] === first[end])) end++;
  return first.slice(0, first.slice(0, end).search(/\s*\S*$/));
}

/**
 * Returns the right choices by the target: a position, a list of positions, or a text among the choices. They must agree with
 * `acc`; a target that does not is no position, and `acc` itself then tells the right one of two choices.
 */
function rightChoices(
  target: unknown,
  choices: readonly ViewedChoice[],
  delimiter: string,
  preferred: number | null,
  values: Readonly<Record<string, unknown>>,
): readonly number[] | null {
  const acc = values["acc,none"];
  const isRight = acc === 1 || acc === true ? true : acc === 0 || acc === false ? false : undefined;
  const agrees = (right: readonly number[]) =>
    isRight === undefined || preferred === null || right.includes(preferred) === isRight;
  const given = positionsOf(target, choices, delimiter);
  if (given !== undefined && agrees(given)) return given;
  if (isRight === undefined || preferred === null) return null;
  if (isRight) return [preferred];
  return choices.length === 2 ? [1 - preferred] : null;
}

function positionsOf(
  target: unknown,
  choices: readonly ViewedChoice[],
  delimiter: string,
): readonly number[] | undefined {
  const numbers = Array.isArray(target)
    ? target.map(Number)
    : /^\s*(?:-?\d+|\[\s*\d+(?:\s*,\s*\d+)*\s*\])\s*$/.test(String(target))
      ? String(target)
          .replace(/[[\]\s]/g, "")
          .split(",")
          .map(Number)
      : undefined;
  if (numbers?.every((each) => Number.isInteger(each) && each >= 0 && each < choices.length)) return numbers;
  const sameText = choices.flatMap(({ text }, i) => (text === target || text === `${delimiter}${target}` ? [i] : []));
  return sameText.length === 1 ? sameText : undefined;
}
