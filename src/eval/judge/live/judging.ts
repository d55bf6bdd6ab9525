/** @file Judges pairs in both orders: skips what a log has already, counts what is dropped, and stops when nothing succeeds. */
import { setMaxListeners } from "node:events";
import { type AppendFile, openAppendFile } from "../../../documents/index.js";
import { QuernError } from "../../../errors.js";
import type { OnProgress } from "../../../progress.js";
import { isSwitched, unswitched } from "../shown-order.js";
import type { Preference } from "../win-rate.js";
import { type Drop, dropped, hashOf, type Judge, type Judgement, type ShownPair } from "./judge.js";
import { rowsOf } from "./rows.js";

/** Two answers to one prompt. */
export interface Pair {
  readonly instruction: string;
  readonly output1: string;
  readonly output2: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly place: string;
}

export const ORDERS = ["both", "random", "given", "swapped"] as const;
/** `given` shows output 1 first; `random` throws AlpacaEval's coin for each instruction. */
export type Orders = (typeof ORDERS)[number];

/** A judgement of a pair in one order. */
export interface OrderedJudgement extends Omit<Judgement, "preference"> {
  /** Whether output 2 was shown first. */
  readonly switched: boolean;
  /** Between output 1 and output 2, whatever the order. */
  readonly preference: Preference;
  /** Taken from the log of an earlier call. */
  readonly reused: boolean;
}

export interface JudgedPair extends Pair {
  /** Names the pair and all that its judgement depends on. */
  readonly key: string;
  /** Mean over the orders; null unless each order has a preference, so that no order counts more than the other. */
  readonly preference: Preference;
  /** Why there is no preference: the first order's reason. */
  readonly drop: Drop | null;
  /** Both answers are the same text: a tie without asking. */
  readonly identical: boolean;
  readonly judgements: readonly OrderedJudgement[];
}

export interface JudgingOptions {
  /** Default both; a judge that sees no order judges once. */
  readonly orders?: Orders;
  /** Of the random order. Default 0. */
  readonly seed?: number;
  /** File to which each judgement is appended, and whose judgements are not repeated. */
  readonly log?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** Failed requests in a row after which the judge counts as broken. */
const MOST_FAILURES = 16;

interface Task {
  readonly pair: number;
  readonly switched: boolean;
  readonly key: string;
  readonly shown: ShownPair;
}

/** Whether a later call may succeed. */
const mayRecover = ({ reason }: Drop) => reason === "no_response" || reason.startsWith("status_");

/**
 * Judges pairs. Returns one result per pair, in their order.
 * @throws QuernError if many requests in a row fail; finished judgements stay in the log
 */
export async function judgePairs(
  pairs: readonly Pair[],
  judge: Judge,
  options: JudgingOptions = {},
): Promise<readonly JudgedPair[]> {
  const { orders = "both", seed = 0, log, signal, onProgress } = options;
  const sides = (instruction: string): readonly boolean[] => {
    if (!judge.seesOrder || orders === "given") return [false];
    if (orders === "both") return [false, true];
    return [orders === "swapped" || isSwitched(instruction, seed)];
  };
  const tasks: Task[] = [];
  const keys = pairs.map(({ instruction, output1, output2, fields }) =>
    hashOf([judge.identity, instruction, output1, output2, fieldsOf(fields)]),
  );
  for (const [pair, { instruction, output1, output2, fields, place }] of pairs.entries()) {
    if (output1 === output2) continue;
    for (const switched of sides(instruction)) {
      const [first, second] = switched ? [output2, output1] : [output1, output2];
      const shown = { instruction, first, second, fields, place };
      tasks.push({ pair, switched, key: `${keys[pair]}${switched ? "-21" : "-12"}`, shown });
    }
  }
  const file = log === undefined ? undefined : await openAppendFile(log);
  try {
    const done = reusable(file?.before ?? "", new Set(tasks.map(({ key }) => key)));
    const open = tasks.filter(({ key }) => !done.has(key));
    await judgeAll(open, judge, { file, done, signal, onProgress });
    const byPair = pairs.map((): OrderedJudgement[] => []);
    for (const { pair, key } of tasks) byPair[pair].push(done.get(key) as OrderedJudgement);
    return pairs.map((pair, i) => {
      const own = byPair[i];
      return { ...pair, key: keys[i], identical: pair.output1 === pair.output2, judgements: own, ...verdictOf(own) };
    });
  } finally {
    await file?.close();
  }
}

/** Fields that a template may show; the answers of files are not among them. */
const fieldsOf = (fields: Readonly<Record<string, unknown>>) =>
  Object.entries(fields).filter(([, value]) => ["string", "number", "boolean"].includes(typeof value));

function verdictOf(judgements: readonly OrderedJudgement[]): Pick<JudgedPair, "preference" | "drop"> {
  if (judgements.length === 0) return { preference: 1.5, drop: null };
  const failed = judgements.find(({ preference }) => preference === null);
  if (failed !== undefined) return { preference: null, drop: failed.drop };
  const sum = judgements.reduce((total, { preference }) => total + (preference === 0 ? 1.5 : preference!), 0);
  return { preference: sum / judgements.length, drop: null };
}

interface WorkOptions extends Pick<JudgingOptions, "signal" | "onProgress"> {
  readonly file: AppendFile | undefined;
  readonly done: Map<string, OrderedJudgement>;
}

async function judgeAll(tasks: readonly Task[], judge: Judge, { file, done, signal, onProgress }: WorkOptions) {
  const failed = new AbortController();
  const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  setMaxListeners(0, either); // one for each request
  let next = 0;
  let finished = 0;
  let failures = 0;
  const work = async () => {
    while (next < tasks.length) {
      either.throwIfAborted();
      const group = tasks.slice(next, next + judge.group);
      next += group.length;
      const judgements = await judge.judge(
        group.map(({ shown }) => shown),
        { signal: either },
      );
      await file?.append(group.map((task, i) => rowOf(task, judgements[i])));
      for (const [i, { key, switched }] of group.entries()) {
        const judgement = judgements[i];
        const preference = unswitched(judgement.preference, switched);
        done.set(key, { ...judgement, preference, switched, reused: false });
        failures = judgement.drop !== null && mayRecover(judgement.drop) ? failures + 1 : 0;
        if (failures < Math.max(MOST_FAILURES, judge.group + 1)) continue;
        throw new QuernError(
          `the judge failed ${failures} times in a row: ${judgement.drop?.detail}; finished judgements are kept, so try again later`,
        );
      }
      finished += group.length;
      onProgress?.({ task: "judge", done: finished, total: tasks.length, unit: "judgement" });
    }
  };
  const workers = Array.from({ length: Math.max(1, judge.concurrency) }, () =>
    work().catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(workers);
  if (signal?.aborted) throw signal.reason;
  if (failed.signal.aborted) throw failed.signal.reason;
}

function rowOf({ key, switched, shown }: Task, judgement: Judgement): object {
  const { preference, drop, raw, promptTokens, completionTokens, seconds, cached } = judgement;
  return {
    key,
    instruction: shown.instruction,
    shown_first: switched ? "output_2" : "output_1",
    preference: unswitched(preference, switched),
    ...(drop !== null && { dropped: drop.reason, detail: drop.detail }),
    raw_completion: raw,
    ...{ prompt_tokens: promptTokens, completion_tokens: completionTokens, seconds, cached },
  };
}

/** Returns the judgements of a log by key. Requests that failed are repeated. */
function reusable(text: string, keys: ReadonlySet<string>): Map<string, OrderedJudgement> {
  const found = new Map<string, OrderedJudgement>();
  for (const row of rowsOf(text)) {
    const { key, preference = null, dropped: reason, detail, raw_completion: raw = null, seconds, cached } = row;
    if (typeof key !== "string" || !keys.has(key)) continue;
    const count = (value: unknown) => (typeof value === "number" ? value : null);
    const cost = {
      promptTokens: count(row.prompt_tokens),
      completionTokens: count(row.completion_tokens),
      seconds: count(seconds) ?? 0,
      cached: cached === true,
    };
    const drop = typeof reason === "string" ? { reason, detail: String(detail ?? "") } : null;
    if (drop !== null && mayRecover(drop)) continue;
    if (drop === null && typeof preference !== "number") continue;
    const judgement: Judgement =
      drop === null
        ? { preference: preference as number, drop: null, raw: raw as Judgement["raw"], ...cost }
        : dropped(drop.reason, drop.detail, cost, raw as Judgement["raw"]);
    found.set(key, { ...judgement, switched: key.endsWith("-21"), reused: true });
  }
  return found;
}
