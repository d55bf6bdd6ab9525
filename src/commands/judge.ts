import { z } from "zod";
import { QuernError } from "../errors.js";
import type { JudgeSummary, MetaEvaluation } from "../eval/index.js";
import { judgeOptions, judgeOrResultsOption, labelledOptions } from "../eval/judge/live/judge-options.js";
import { type CommandContext, defineCommand } from "./command.js";

const { prompts, a, b, out } = judgeOptions.shape;
const options = z.object({
  judge: judgeOrResultsOption,
  ...judgeOptions.shape,
  prompts: prompts.optional(),
  a: a.optional(),
  b: b.optional(),
  out: out.optional(),
  meta: labelledOptions.shape.meta.optional(),
});

/** Options of comparisons, which measuring a judge does not use. */
const ONLY_COMPARING = ["prompts", "a", "b", "votes", "reference", "weights", "difficulty", "system"] as const;

export default defineCommand({
  description:
    "Let a judge compare two sets of answers to the same prompts, each pair in both orders: win rate with ties, standard " +
    "error and bootstrap interval, discrete and length-controlled win rate, position and length bias, cost, and dropped " +
    "judgements by reason. A model given as --a or --b answers first. Writes judgements as they come (an interrupted call " +
    "resumes), and annotations, outputs and a leaderboard row in AlpacaEval's formats. With --meta it measures the judge " +
    "against human labels as LLMBar does; --json then has the keys of LLMBar's statistics.json, whose κ with the labels " +
    "counts winner 2 as a category that the labels lack. The printed table has the usual κ.",
  options,
  resumes: true,
  computes: true,
  examples: [
    "quern judge --prompts prompts.jsonl --a baseline.json --b runs/chat --judge http://127.0.0.1:8000/v1 --out runs/judged",
    "quern judge --prompts prompts.jsonl --a runs/sft --b runs/dpo --judge runs/reward --out runs/judged --votes votes.jsonl",
    "quern judge --prompts alpaca_eval.json --a gpt4.json --b model_outputs.json --judge configs.yaml --out runs/judged",
    "quern judge --meta Natural/dataset.json --judge smollm2.gguf",
    "quern judge --meta Natural/dataset.json --judge Natural/result.json",
  ],
  async run(given, context) {
    const { signal, onProgress, log, named } = context;
    const { judge, meta, ...rest } = given;
    const onWarning = (warning: string) => log(`warning: ${warning}`);
    const calls = { signal, onProgress, onWarning, named };
    const wrong = (message: string) => new QuernError(message, { exitCode: 2 });
    if (meta === undefined) {
      const missing = (["prompts", "a", "b", "out"] as const).filter((key) => rest[key] === undefined);
      if (missing.length > 0) {
        throw wrong(`${missing.map(named).join(", ")} missing; or give ${named("meta")} to measure a judge`);
      }
      if (isStored(judge)) throw wrong(`${named("judge")} ${judge} holds stored judgements; use quern judge rates`);
      const { judgeAnswers } = await import("../eval/index.js");
      const summary = await judgeAnswers({ ...(rest as Required<typeof rest>), judge, ...calls });
      printSummary(summary, context);
      return summary;
    }
    const useless = ONLY_COMPARING.find((key) => rest[key] !== undefined);
    if (useless !== undefined) throw wrong(`${named(useless)} has no effect with ${named("meta")}`);
    const { evaluateJudge, judgeLabelled } = await import("../eval/index.js");
    if (isStored(judge)) {
      const result = await evaluateJudge({ meta, judge, signal });
      printLabelled(result, context);
      return result.statistics;
    }
    const own = Object.fromEntries(Object.entries(rest).filter(([key]) => key in labelledOptions.shape));
    const result = await judgeLabelled({ meta, judge, ...own, ...calls });
    printLabelled(result, context);
    context.print(`by the mean of orders ${percent(result.accuracy_of_mean)} correct`);
    const { statistics, position, accuracy, interval, kappa, ...others } = result;
    printCosts(result, context);
    return { ...statistics, accuracy, interval, kappa, position_bias: position, ...others };
  },
});

/** Whether a judge is a file of stored judgements. */
const isStored = (judge: string) => !/^\w+:\/\//.test(judge) && /\.(json|jsonl)(\.gz|\.zst)?$/i.test(judge);

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function printSummary(summary: JudgeSummary, context: CommandContext): void {
  const { print } = context;
  const { model, baseline, interval, bootstrap, position_bias: position, length_bias: length } = summary;
  const { self_preference: own, agreement, standard_error: error } = summary;
  const range = ({ lower, upper }: { lower: number; upper: number }) => `[${lower.toFixed(1)}, ${upper.toFixed(1)}]`;
  print(`${model} against ${baseline}, judged by ${summary.judge}`);
  print(
    `win rate              ${summary.win_rate.toFixed(2)} %` +
      (error === null ? "" : ` ± ${error.toFixed(2)} (standard error)`) +
      (interval === null ? "" : `, 95 % ${range(interval)}`),
  );
  if (bootstrap !== null) print(`  bootstrap           95 % ${range(bootstrap)}`);
  print(`  discrete            ${summary.discrete_win_rate.toFixed(2)} %`);
  if (summary.length_controlled_winrate !== null) {
    print(`  at equal lengths    ${summary.length_controlled_winrate.toFixed(2)} %`);
  }
  print(
    `wins, losses, ties    ${summary.n_wins}, ${summary.n_wins_base}, ${summary.n_draws} of ${summary.n_total} pairs`,
  );
  if (position !== null) {
    print(
      `same winner           ${percent(position.consistent)} of the pairs in both orders; first shown wins both ` +
        `${percent(position.favours_first)}, second ${percent(position.favours_second)}`,
    );
  }
  if (length !== null) print(`longer answer wins    ${percent(length.longer_preferred)} of ${length.judgements}`);
  if (own !== null) {
    const reference = own.by_reference === null ? "" : `, by the reference ${percent(own.by_reference)}`;
    print(`the judge's own       ${percent(own.by_itself)} wins of ${own.generator} by its own judgement${reference}`);
  }
  if (agreement !== null) {
    const kappa = agreement.kappa === null ? "" : `, κ ${agreement.kappa.toFixed(3)}`;
    print(`agreement             ${percent(agreement.agreement)} of ${agreement.pairs} with the reference${kappa}`);
  }
  if (summary.judgements_needed !== null) {
    print(`prompts needed        ${summary.judgements_needed} for ± ${summary.within} points`);
  }
  printCosts(summary, context);
  print(`written to ${summary.out}${summary.votes > 0 ? `, and ${summary.votes} votes` : ""}`);
}

type Counted = Pick<
  JudgeSummary,
  "judgements" | "cached" | "reused" | "prompt_tokens" | "completion_tokens" | "price_now" | "dropped" | "dropped_at"
>;

function printCosts(counted: Counted, { print }: CommandContext): void {
  const { judgements, cached, reused, prompt_tokens, completion_tokens, price_now, dropped, dropped_at } = counted;
  const tokens = prompt_tokens === null ? "" : `, ${prompt_tokens} + ${completion_tokens} tokens`;
  const price = price_now === null ? "" : `, ${price_now.toFixed(4)} dollars`;
  print(`judgements            ${judgements} (${cached} cached, ${reused} from before)${tokens}${price}`);
  for (const [reason, count] of Object.entries(dropped)) {
    print(`dropped               ${count} ${reason}, such as ${dropped_at[reason][0]}`);
  }
}

function printLabelled({ statistics, accuracy, interval, kappa, position }: MetaEvaluation, { print }: CommandContext) {
  print(`pairs                 ${position.pairs}`);
  print(`accuracy              ${percent(accuracy)} [${percent(interval.lower)}, ${percent(interval.upper)}]`);
  print(`  given order         ${statistics.correct_False}`);
  print(`  swapped order       ${statistics.correct_True}`);
  print(`  both                ${statistics.correct_both}`);
  print(`same winner           ${statistics.equal}`);
  print(`κ with the labels     ${kappa.straight.toFixed(3)} given order, ${kappa.swapped.toFixed(3)} swapped`);
  print(`κ of the two orders   ${kappa.orders.toFixed(3)}`);
  print(`first shown wins      ${percent(position.favours_first)} of the pairs in both orders`);
  print(`second shown wins     ${percent(position.favours_second)}`);
  if (position.unread > 0) print(`without a winner      ${percent(position.unread)}`);
}
