/** @file Judges two sets of answers to the same prompts: the library function behind `quern judge --prompts`. */
import { join } from "node:path";
import type { z } from "zod";
import type { CompileOptions } from "../../../backends/index.js";
import { isRemote, withOutput, writeFileAtomic } from "../../../documents/index.js";
import { QuernError } from "../../../errors.js";
import { checkOptions } from "../../../options.js";
import { readAnnotations } from "../annotations.js";
import type { BootstrapInterval } from "../intervals.js";
import { judgeRates, type ModelRates } from "../rates.js";
import { shareOf } from "../win-rate.js";
import { annotationRows, leaderboardCsv } from "./annotation-files.js";
import { answersOf } from "./answering.js";
import { type AnswerSet, type JudgePrompt, readJudgePrompts } from "./answers.js";
import type { Judge } from "./judge.js";
import { judgeOptions } from "./judge-options.js";
import { appendJudgeVotes } from "./judge-votes.js";
import { type JudgedPair, judgePairs, type Pair } from "./judging.js";
import { type JudgingCalls, openJudge } from "./open-judge.js";
import { isAddress } from "./server-address.js";
import {
  agreementWith,
  type Biases,
  biasesOf,
  bootstrapWinRate,
  type Costs,
  costsOf,
  type DropCounts,
  dropCounts,
  type Prices,
  type ReferenceAgreement,
  type SelfPreferenceSummary,
  selfPreferenceOf,
  type Votes,
} from "./summary.js";

export type JudgeAnswersOptions = z.input<typeof judgeOptions> & JudgingCalls;

/** The win rate is that of `model` (b) against `baseline` (a), in percent. */
export interface JudgeSummary extends ModelRates, Biases, DropCounts, Costs {
  readonly judge: string;
  readonly orders: string;
  readonly prompts: number;
  /** Prompts with two answers that the judge compared, or that have the same answer twice. */
  readonly pairs: number;
  /** Pairs whose answers are the same text: a tie without asking. */
  readonly identical: number;
  /** `judgements_needed` pairs give a 95 % interval of ± this many points. */
  readonly within: number;
  /** Percentile interval of the win rate over resampled pairs. */
  readonly bootstrap: BootstrapInterval | null;
  /** Null unless the judge is one of the two models. */
  readonly self_preference: SelfPreferenceSummary | null;
  readonly agreement: ReferenceAgreement | null;
  /** The row of `quern judge rates`. */
  readonly models: readonly ModelRates[];
  /** Votes appended to the arena's file. */
  readonly votes: number;
  readonly out: string;
  readonly warnings: readonly string[];
}

const FILES = [
  ...["judgements.jsonl", "annotations.json", "leaderboard.csv", "summary.json", "result.json"],
  ...["answers_a.jsonl", "answers_b.jsonl", "outputs_a.json", "outputs_b.json"],
];
export const judgeLayout = { writes: (path: string) => FILES.includes(path) };

/** Judgements that fitting length control takes. */
const FIT = 5;

/**
 * Compares two sets of answers. A model answers first. Each judgement is appended to `out`/judgements.jsonl as it comes, so the same call
 * resumes after a kill. Writes annotations.json, leaderboard.csv and the models' outputs in AlpacaEval's formats, and summary.json.
 * @throws QuernError for a wrong file, a model without a chat template, a judge that does not answer, or no readable judgement
 */
export async function judgeAnswers(options: JudgeAnswersOptions): Promise<JudgeSummary> {
  const { judge, target, named, signal, onProgress, onWarning, ...given } = options;
  const o = checkOptions(judgeOptions, given, named);
  const inputs = [o.prompts, o.a, o.b, ...(typeof judge === "string" ? [judge] : []), o.reference, o.weights];
  const request = {
    ...{ verb: "judge", out: o.out, layout: judgeLayout, force: o.force },
    inputs: inputs.filter((path) => path !== undefined && !isRemote(path) && !isAddress(path)) as string[],
  };
  return withOutput(request, () => compare(o, options));
}

type Checked = z.output<typeof judgeOptions>;

async function compare(o: Checked, options: JudgeAnswersOptions): Promise<JudgeSummary> {
  const { judge: given, signal, onProgress, onWarning } = options;
  const target: CompileOptions = { ...options.target, cpu: { threads: o.threads, ...options.target?.cpu } };
  const warnings: string[] = [];
  const warn = (warning: string) => {
    warnings.push(warning);
    onWarning?.(warning);
  };
  const at = (name: string) => join(o.out, name);
  const writeJson = (name: string, value: unknown) => writeFileAtomic(at(name), `${JSON.stringify(value, null, 1)}\n`);

  const prompts = await readJudgePrompts(o.prompts, signal);
  const answer = (side: "a" | "b"): Promise<AnswerSet> =>
    answersOf(o[side], prompts, {
      ...{ system: o.system, tokens: o.maxTokens, temperature: o.temperature, seed: o.seed },
      ...{ log: at(`answers_${side}.jsonl`), outputs: at(`outputs_${side}.json`) },
      ...{ target, signal, onProgress, onWarning: warn },
    });

  /** Writes annotations and the leaderboard, and rates them as any other annotations. */
  const rate = async (judged: readonly JudgedPair[], names: Names, prices: Prices | undefined) => {
    await writeJson("annotations.json", annotationRows(judged, { ...names, prices }));
    const readable = judged.filter(({ preference }) => shareOf(preference) !== null).length;
    const canFit = readable >= FIT || o.weights !== undefined;
    if (!canFit)
      warn(`no length-controlled win rate: it takes at least ${FIT} judged prompts, and there are ${readable}`);
    const { models, warnings } = await judgeRates({
      ...{ annotations: [at("annotations.json")], within: o.within, signal },
      ...(canFit && { lengthControlled: true, weights: o.weights, difficulty: o.difficulty }),
    });
    for (const warning of warnings) warn(warning);
    if (models[0].standard_error === 0)
      warn("all preferences are equal, so the intervals have no width; trust none of them");
    await writeFileAtomic(at("leaderboard.csv"), leaderboardCsv(models[0]));
    return models;
  };

  const compareBy = async (judge: Judge): Promise<JudgeSummary> => {
    const [a, b] = [await answer("a"), await answer("b")];
    const generators = distinct(a.generator, b.generator);
    const { pairs, unjudged } = pairsOf(prompts, a, b);
    if (pairs.length === 0) throw new QuernError(`no prompt of ${o.prompts} has an answer in both ${o.a} and ${o.b}`);
    const reference = o.reference === undefined ? undefined : await readReference(o.reference, pairs, signal);
    const { orders, seed } = o;
    const judged = await judgePairs(pairs, judge, { orders, seed, log: at("judgements.jsonl"), signal, onProgress });
    const drops = dropCounts(judged, unjudged);
    if (judged.every(({ preference }) => shareOf(preference) === null)) throw unreadable(judge, drops);
    const prices = o.price as Prices | undefined;
    const models = await rate(judged, { generators, annotator: judge.name }, prices);
    const battles = judged.map((pair) => ({ pair, generators }));
    const summary: JudgeSummary = {
      ...{ judge: judge.name, orders: judge.seesOrder ? orders : "none", prompts: prompts.length },
      ...{ pairs: pairs.length, identical: judged.filter(({ identical }) => identical).length },
      ...models[0],
      within: o.within,
      bootstrap: bootstrapWinRate(judged, { samples: o.bootstrap, seed }),
      ...biasesOf(judged),
      self_preference: selfPreferenceOf(judged, { model: judge.model, generators, reference }),
      agreement: reference === undefined ? null : agreementWith(judged, reference),
      ...drops,
      ...costsOf(judged, prices),
      models,
      votes: o.votes === undefined ? 0 : await appendJudgeVotes(o.votes, battles, judge.name),
      ...{ out: o.out, warnings },
    };
    await writeJson("summary.json", summary);
    return summary;
  };

  if (typeof given === "object") return compareBy(given);
  // Before the answers: a judge that cannot be opened must not cost their time.
  const judge = await openJudge(given, { ...o, target, signal, onWarning: warn });
  try {
    return await compareBy(judge);
  } finally {
    await judge.close();
  }
}

interface Names {
  readonly generators: readonly [string, string];
  readonly annotator: string;
}

const distinct = (a: string, b: string): [string, string] => (a === b ? [`${a} (a)`, `${b} (b)`] : [a, b]);

function unreadable({ name }: Judge, { dropped, dropped_at }: DropCounts): QuernError {
  const reasons = Object.entries(dropped).map(([reason, count]) => `${count} ${reason} (${dropped_at[reason][0]})`);
  return new QuernError(`the judge ${name} gave no preference that can be read: ${reasons.join("; ")}`);
}

interface Unjudged {
  readonly reason: string;
  readonly place: string;
}

/** Pairs the answers. A prompt without two answers, or the same prompt with the same answers again, is not judged. */
export function pairsOf(prompts: readonly JudgePrompt[], a: AnswerSet, b: AnswerSet) {
  const pairs: Pair[] = [];
  const unjudged: Unjudged[] = [];
  const seen = new Set<string>();
  for (const [i, { instruction, fields, place }] of prompts.entries()) {
    const [output1, output2] = [a.outputs[i], b.outputs[i]];
    if (output1 === null || output2 === null) {
      unjudged.push({
        reason: "no_answer",
        place: `${place}: no answer of ${output1 === null ? a.generator : b.generator}`,
      });
      continue;
    }
    const key = JSON.stringify([instruction, output1, output2]);
    if (seen.has(key)) unjudged.push({ reason: "duplicate", place: `${place}: the same prompt and answers as before` });
    else pairs.push({ instruction, output1, output2, fields, place });
    seen.add(key);
  }
  return { pairs, unjudged };
}

/** Returns the preferences of other annotators by pair, whichever answer they have as output 1. */
async function readReference(path: string, pairs: readonly Pair[], signal?: AbortSignal): Promise<readonly Votes[]> {
  const votes = new Map<string, number[]>();
  const add = (key: readonly string[], preference: number) => {
    const text = JSON.stringify(key);
    const list = votes.get(text);
    if (list === undefined) votes.set(text, [preference]);
    else list.push(preference);
  };
  for (const { annotations } of await readAnnotations([path], signal)) {
    for (const { instruction, output1, output2, preference } of annotations) {
      const share = shareOf(preference);
      if (share === null) continue;
      add([instruction, output1, output2], 1 + share);
      if (output1 !== output2) add([instruction, output2, output1], 2 - share);
    }
  }
  const found = pairs.map(
    ({ instruction, output1, output2 }) => votes.get(JSON.stringify([instruction, output1, output2])) ?? [],
  );
  if (found.every((list) => list.length === 0)) throw new QuernError(`${path} judges none of these answers`);
  return found;
}
