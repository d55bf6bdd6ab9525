/** @file A judge that is a function, of the library's caller or from a TypeScript or JavaScript file. */
import { basename, extname } from "node:path";
import { QuernError } from "../../../errors.js";
import { show } from "../../../options.js";
import { quoted } from "../../../printable.js";
import { exportedFunction, openUserModule } from "../../../user-module.js";
import type { Preference } from "../win-rate.js";
import { dropped, FREE, hashOf, type Judge, type Judgement } from "./judge.js";

/** What a judging function sees beside the two answers. */
export interface JudgeContext {
  /** Further fields of the prompt's line. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/**
 * Returns 1 if the answer shown first is better, 2 if the second is, 1.5 for a tie, a number between for a weighted preference, or null
 * if it cannot tell.
 */
export type JudgeFunction = (
  instruction: string,
  first: string,
  second: string,
  context: JudgeContext,
) => Preference | Promise<Preference>;

/** Calls at the same time. */
const CALLS = 8;

/** @param source what identifies the function's code, such as its text */
export function functionJudge(judge: JudgeFunction, name = judge.name || "function", source = String(judge)): Judge {
  return {
    ...{ name, model: null, seesOrder: true, group: 1, concurrency: CALLS },
    identity: ["function", name, hashOf(source)],
    async judge([{ instruction, first, second, fields, place }], { signal } = {}): Promise<readonly Judgement[]> {
      const start = performance.now();
      let value: unknown;
      try {
        const context = { fields, signal: signal ?? new AbortController().signal };
        // A function that never answers must not hold up an interrupt.
        value = await Promise.race([judge(instruction, first, second, context), aborted(context.signal)]);
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        const why = error instanceof Error ? error.message : String(error);
        throw new QuernError(`the judge ${name} failed for ${place}: ${quoted(why)}`, { cause: error });
      }
      const cost = { ...FREE, seconds: (performance.now() - start) / 1000 };
      if (value === 0 || (typeof value === "number" && value >= 1 && value <= 2)) {
        return [{ preference: value === 0 ? 1.5 : value, drop: null, raw: null, ...cost }];
      }
      return [dropped("unreadable", `the function returned ${show(value)}`, cost)];
    },
    close: async () => {},
  };
}

/** Rejects once the signal is aborted. */
function aborted(signal: AbortSignal): Promise<never> {
  const ended = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  ended.catch(() => {}); // also rejects when the function came first
  return ended;
}

export const isFunctionFile = (path: string) => /\.[cm]?[jt]s$/.test(path);

/**
 * Loads a file that exports `judge`, or a default function.
 * @throws QuernError for a file that cannot be loaded, or exports no function
 */
export async function openFunctionFile(path: string): Promise<Judge> {
  const module = await openUserModule(path, { "quern/infer": () => import("../../../infer/index.js") });
  let loaded: Readonly<Record<string, unknown>>;
  try {
    loaded = await module.load();
  } catch (cause) {
    const why = quoted(cause instanceof Error ? cause.message.split("\n")[0] : String(cause));
    throw new QuernError(`the judge ${path} cannot be loaded: ${why}`, { exitCode: 2, cause });
  }
  const found = exportedFunction(loaded, "judge");
  if (found !== undefined) return functionJudge(found as JudgeFunction, basename(path, extname(path)), module.source);
  const names = Object.keys(loaded).join(", ");
  throw new QuernError(
    `${path} exports no judge; export a function judge(instruction, first, second)${names && ` (it exports ${names})`}`,
    { exitCode: 2 },
  );
}
