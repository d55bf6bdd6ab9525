/** @file Judges labelled pairs in both orders and measures the judge: the library function behind a live `quern judge --meta`. */
import { join } from "node:path";
import type { z } from "zod";
import { withOutput, writeFileAtomic } from "../../../documents/index.js";
import { checkOptions } from "../../../options.js";
import { readJsonItems, textAt } from "../../json-input.js";
import { labelOf, type MetaEvaluation, measurePairs } from "../meta-evaluation.js";
import { judgeLayout } from "./judge-answers.js";
import { labelledOptions } from "./judge-options.js";
import { type JudgedPair, judgePairs } from "./judging.js";
import { type JudgingCalls, openJudge } from "./open-judge.js";
import { type Costs, costsOf, type DropCounts, dropCounts, type Prices, winnerOf } from "./summary.js";

export type JudgeLabelledOptions = z.input<typeof labelledOptions> & JudgingCalls;

export interface LabelledSummary extends MetaEvaluation, DropCounts, Costs {
  readonly judge: string;
  /**
   * Share correct in [0, 1] by the mean preference of both orders, in which a constant position bias cancels out; a tie is half, a pair
   * without preference is wrong.
   */
  readonly accuracy_of_mean: number;
}

/**
 * Measures a judge on pairs with human labels. A tie and a judgement that cannot be read have no winner. With `out`, judgements are kept
 * and resumed, and `out`/result.json holds the winners as LLMBar stores them.
 * @throws QuernError as `evaluateJudge` and `openJudge`
 */
export async function judgeLabelled(options: JudgeLabelledOptions): Promise<LabelledSummary> {
  const { judge, target, named, signal, onProgress, onWarning, ...given } = options;
  const o = checkOptions(labelledOptions, given, named);
  const work = () => measure(o, options);
  if (o.out === undefined) return work();
  const request = { verb: "judge", out: o.out, inputs: [o.meta], layout: judgeLayout, force: o.force };
  return withOutput(request, work);
}

async function measure(
  o: z.output<typeof labelledOptions>,
  { judge: given, target, signal, onProgress, onWarning }: JudgeLabelledOptions,
): Promise<LabelledSummary> {
  const items = await readJsonItems(o.meta, signal);
  const labels = items.map(labelOf);
  const pairs = items.map((item) => ({
    ...{ instruction: textAt(item, "input"), output1: textAt(item, "output_1"), output2: textAt(item, "output_2") },
    ...{ fields: {}, place: item.place },
  }));
  const isOpen = typeof given === "object";
  const cpu = { threads: o.threads, ...target?.cpu };
  const judge = isOpen ? given : await openJudge(given, { ...o, target: { ...target, cpu }, signal, onWarning });
  try {
    const log = o.out === undefined ? undefined : join(o.out, "judgements.jsonl");
    const judged = await judgePairs(pairs, judge, { log, signal, onProgress });
    const orders = judged.map((pair) => winnersOf(pair));
    if (o.out !== undefined) {
      const stored = items.map(({ value }, i) => {
        const { straight, swapped } = orders[i];
        const results = [{ "swap = False": { winner: straight }, "swap = True": { winner: swapped } }];
        return { ...value, results };
      });
      await writeFileAtomic(join(o.out, "result.json"), `${JSON.stringify(stored, null, 1)}\n`);
    }
    return {
      judge: judge.name,
      accuracy_of_mean: accuracyOfMean(judged, labels),
      ...measurePairs(orders.map((winners, i) => ({ ...winners, label: labels[i] }))),
      ...dropCounts(judged),
      ...costsOf(judged, o.price as Prices | undefined),
    };
  } finally {
    if (!isOpen) await judge.close();
  }
}

function accuracyOfMean(judged: readonly JudgedPair[], labels: readonly ("1" | "2")[]): number {
  const points = judged.reduce((sum, { preference }, i) => {
    const winner = winnerOf(preference);
    return sum + (preference === null ? 0 : winner === null ? 0.5 : winner === labels[i] ? 1 : 0);
  }, 0);
  return points / judged.length;
}

/** A judge that sees no order has the same winner in both. */
function winnersOf({ judgements }: JudgedPair) {
  const winner = (switched: boolean) => {
    const own = judgements.find((judgement) => judgement.switched === switched) ?? judgements.at(0);
    return own === undefined ? null : winnerOf(own.preference);
  };
  return { straight: winner(false), swapped: winner(true) };
}
