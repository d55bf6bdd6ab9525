/** @file Writes judgements in AlpacaEval's formats: annotations, model outputs, and a row of its leaderboard. */
import type { ModelRates } from "../rates.js";
import type { JudgedPair } from "./judging.js";
import { type Prices, priceOf } from "./summary.js";

/** Returns the rows of `annotations.json`: one for each pair, with the mean preference of its orders. */
export function annotationRows(
  pairs: readonly JudgedPair[],
  {
    generators,
    annotator,
    prices,
  }: {
    readonly generators: readonly [string, string];
    readonly annotator: string;
    readonly prices?: Prices;
  },
): object[] {
  return pairs.map(({ instruction, output1, output2, fields, preference, judgements, identical, drop }) => {
    const tokens = (key: "promptTokens" | "completionTokens") =>
      judgements.reduce((sum, judgement) => sum + (judgement[key] ?? 0), 0);
    const raws = judgements.map(({ raw }) => raw);
    return {
      ...{ instruction, output_1: output1, generator_1: generators[0] },
      ...(typeof fields.dataset === "string" && { dataset: fields.dataset }),
      ...{ output_2: output2, generator_2: generators[1], annotator, preference },
      ...(drop !== null && { dropped: drop.reason }),
      price_per_example:
        prices === undefined ? null : priceOf(tokens("promptTokens"), tokens("completionTokens"), prices),
      time_per_example: judgements.reduce((sum, { seconds }) => sum + seconds, 0),
      raw_completion: identical ? null : raws.length === 1 ? raws[0] : raws,
      orders: judgements.map(({ switched, preference: own }) => ({
        shown_first: switched ? "output_2" : "output_1",
        preference: own,
      })),
    };
  });
}

/** Returns the rows of `model_outputs.json`. */
export const outputRows = (
  prompts: readonly { readonly instruction: string; readonly fields: Readonly<Record<string, unknown>> }[],
  outputs: readonly string[],
  generator: string,
): object[] =>
  prompts.map(({ instruction, fields }, i) => ({
    ...(typeof fields.dataset === "string" && { dataset: fields.dataset }),
    ...{ instruction, output: outputs[i], generator },
  }));

const COLUMNS = [
  ...["win_rate", "standard_error", "n_wins", "n_wins_base", "n_draws", "n_total", "discrete_win_rate"],
  ...["mode", "avg_length", "length_controlled_winrate", "lc_standard_error"],
] as const;

/** Returns a leaderboard (CSV) with one row; the mode `community` marks a row that AlpacaEval's authors did not verify. */
export function leaderboardCsv(row: ModelRates): string {
  const values: Readonly<Record<string, unknown>> = { ...row, mode: "community" };
  const cells = [row.model, ...COLUMNS.map((column) => values[column] ?? "")].map((value) => {
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return `${["", ...COLUMNS].join(",")}\n${cells.join(",")}\n`;
}
