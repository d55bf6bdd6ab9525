/** @file What a set of judgements shows: win rates with intervals, biases, agreement with a reference, costs, dropped judgements. */
import { cohenKappa, leaveOneOutAgreement, type MajorityAgreement } from "../agreement.js";
import {
  type LengthBias,
  lengthBias,
  type PositionBias,
  positionBias,
  type SelfPreference,
  selfPreference,
} from "../biases.js";
import { type BootstrapInterval, bootstrapInterval } from "../intervals.js";
import { type Preference, shareOf } from "../win-rate.js";
import type { JudgedPair } from "./judging.js";

/** Judgements without a preference, by reason; `no_answer` and `duplicate` count prompts that were never judged. */
export interface DropCounts {
  readonly dropped: Readonly<Record<string, number>>;
  /** The first places of each reason, with details. */
  readonly dropped_at: Readonly<Record<string, readonly string[]>>;
}

export interface Costs {
  readonly judgements: number;
  /** From the cache of completions, and from an earlier call with the same output. */
  readonly cached: number;
  readonly reused: number;
  /** Of the judgements that were made anew; null if the judge does not count tokens. */
  readonly prompt_tokens: number | null;
  readonly completion_tokens: number | null;
  /** Of all judgements in this result, also those from the cache, as AlpacaEval's `price_per_example`; null without prices. */
  readonly price: number | null;
  /** Of the judgements that were made anew. */
  readonly price_now: number | null;
}

/** Dollars per million tokens of prompts and completions. */
export type Prices = readonly [prompt: number, completion: number];

export interface Biases {
  /** Null unless pairs were judged in both orders. */
  readonly position_bias: PositionBias | null;
  /** Mean share in percent that goes to the answer shown first; 50 is no bias. Null unless judged in both orders. */
  readonly first_shown_preferred: number | null;
  readonly length_bias: LengthBias | null;
}

export interface SelfPreferenceSummary {
  /** The judge's own answers. */
  readonly generator: string;
  readonly by_itself: number;
  /** Null without a reference. */
  readonly by_reference: number | null;
  readonly difference: number | null;
  readonly judgements: number;
}

/** Preferences of other annotators for one pair. */
export type Votes = readonly number[];

/** Agreement with other judgements of the same pairs, such as people's. */
export interface ReferenceAgreement {
  /** Share in [0, 1] of the same winner as by the mean of the reference, ties included. */
  readonly agreement: number;
  readonly kappa: number | null;
  readonly pairs: number;
  /** Of the judge, and of each annotator, with the majority of the other annotators; null without pairs that have several. */
  readonly leave_one_out: { readonly judge: MajorityAgreement; readonly annotators: MajorityAgreement } | null;
}

/** Places listed for a reason. */
const PLACES = 5;

export function dropCounts(
  pairs: readonly JudgedPair[],
  before: readonly { readonly reason: string; readonly place: string }[] = [],
): DropCounts {
  const dropped: Record<string, number> = {};
  const dropped_at: Record<string, string[]> = {};
  const add = (reason: string, text: string) => {
    dropped[reason] = (dropped[reason] ?? 0) + 1;
    dropped_at[reason] ??= [];
    if (dropped_at[reason].length < PLACES) dropped_at[reason].push(text);
  };
  for (const { reason, place } of before) add(reason, place);
  for (const { place, judgements } of pairs) {
    for (const { drop } of judgements) if (drop !== null) add(drop.reason, `${place}: ${drop.detail}`);
  }
  return { dropped, dropped_at };
}

export function costsOf(pairs: readonly JudgedPair[], prices?: Prices): Costs {
  const all = pairs.flatMap(({ judgements }) => judgements);
  const fresh = all.filter(({ cached, reused }) => !cached && !reused);
  const sum = (list: typeof all, key: "promptTokens" | "completionTokens") =>
    list.some((judgement) => judgement[key] === null && judgement.drop === null)
      ? null
      : list.reduce((total, judgement) => total + (judgement[key] ?? 0), 0);
  const price = (list: typeof all) => {
    const [prompt, completion] = [sum(list, "promptTokens"), sum(list, "completionTokens")];
    return prices === undefined || prompt === null || completion === null ? null : priceOf(prompt, completion, prices);
  };
  return {
    judgements: all.length,
    cached: all.filter(({ cached, reused }) => cached && !reused).length,
    reused: all.filter(({ reused }) => reused).length,
    prompt_tokens: sum(fresh, "promptTokens"),
    completion_tokens: sum(fresh, "completionTokens"),
    price: price(all),
    price_now: price(fresh),
  };
}

export const priceOf = (prompt: number, completion: number, [input, output]: Prices) =>
  (prompt * input + completion * output) / 1e6;

/** The better answer; null for a tie or no preference. */
export function winnerOf(preference: Preference): "1" | "2" | null {
  const share = shareOf(preference);
  return share === null || share === 0.5 ? null : share < 0.5 ? "1" : "2";
}

/** Returns the winners of a pair in both orders; undefined if it was judged in one. */
export function twoOrdersOf({ judgements }: JudgedPair) {
  const straight = judgements.find(({ switched }) => !switched);
  const swapped = judgements.find(({ switched }) => switched);
  if (straight === undefined || swapped === undefined) return undefined;
  return { straight: winnerOf(straight.preference), swapped: winnerOf(swapped.preference) };
}

export function biasesOf(pairs: readonly JudgedPair[]): Biases {
  const both = pairs.filter((pair) => twoOrdersOf(pair) !== undefined);
  const first = both.flatMap(({ preference, judgements }) =>
    preference === null
      ? []
      : judgements.map(({ preference, switched }) => {
          const share = shareOf(preference)!;
          return switched ? share : 1 - share;
        }),
  );
  return {
    position_bias: positionBias(both.map((pair) => twoOrdersOf(pair)!)),
    first_shown_preferred: first.length === 0 ? null : (100 * first.reduce((a, b) => a + b, 0)) / first.length,
    length_bias: lengthBias(pairs),
  };
}

/** The interval of the win rate in percent, by resampling pairs; null for fewer than two. */
export function bootstrapWinRate(
  pairs: readonly JudgedPair[],
  options: { readonly samples: number; readonly seed: number },
): BootstrapInterval | null {
  const shares = pairs.flatMap(({ preference }) => shareOf(preference) ?? []);
  if (shares.length < 2) return null;
  return bootstrapInterval(shares, (sample) => (100 * sample.reduce((a, b) => a + b, 0)) / sample.length, options);
}

/** Models differ in punctuation between files and servers: `gpt4_1106_preview`, `gpt-4-1106-preview`. */
const plainName = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, "");

/**
 * Returns how the judge rates its own answers; null if neither generator is the judge's model, or both are.
 * @param reference other preferences of the same pairs, by pair
 */
export function selfPreferenceOf(
  pairs: readonly JudgedPair[],
  {
    model,
    generators,
    reference,
  }: {
    readonly model: string | null;
    readonly generators: readonly [string, string];
    readonly reference?: readonly Votes[];
  },
): SelfPreferenceSummary | null {
  if (model === null) return null;
  const own = generators.map((generator) => plainName(generator) === plainName(model));
  if (own[0] === own[1]) return null;
  const towardsOwn = (preference: Preference): Preference =>
    own[1] || preference === null || preference === 0 ? preference : 3 - preference;
  const judged = pairs.map(({ preference }, i) => {
    const mine = towardsOwn(preference);
    return { judge: mine, reference: reference === undefined ? mine : towardsOwn(meanOf(reference[i])) };
  });
  const found: SelfPreference | null = selfPreference(judged);
  if (found === null) return null;
  const generator = generators[own[1] ? 1 : 0];
  if (reference !== undefined) return { generator, ...found };
  const { by_itself, judgements } = found;
  return { generator, by_itself, by_reference: null, difference: null, judgements };
}

const meanOf = (votes: Votes): Preference =>
  votes.length === 0 ? null : votes.reduce((sum, vote) => sum + vote, 0) / votes.length;

const labelOf = (preference: Preference) => winnerOf(preference) ?? "tie";

/** Compares winners with those of a reference; null if no pair has both. */
export function agreementWith(pairs: readonly JudgedPair[], reference: readonly Votes[]): ReferenceAgreement | null {
  const both = pairs.flatMap(({ preference }, i) => {
    const other = meanOf(reference[i]);
    if (shareOf(preference) === null || shareOf(other) === null) return [];
    return [{ own: labelOf(preference), other: labelOf(other), votes: reference[i].map(labelOf) }];
  });
  if (both.length === 0) return null;
  const own = both.map((pair) => pair.own);
  const kappa = cohenKappa(
    own,
    both.map(({ other }) => other),
  );
  const votes = both.map((pair) => pair.votes);
  return {
    agreement: both.filter(({ own, other }) => own === other).length / both.length,
    kappa: Number.isNaN(kappa) ? null : kappa,
    pairs: both.length,
    leave_one_out: votes.some(({ length }) => length > 1)
      ? { judge: leaveOneOutAgreement(votes, own), annotators: leaveOneOutAgreement(votes) }
      : null,
  };
}
