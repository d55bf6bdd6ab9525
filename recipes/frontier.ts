/**
 * @file Points of the reward–KL frontier: what completions of a policy earn, and how far it is from its reference in nats (figure 2
 * of Rafailov et al., arXiv:2305.18290).
 */
import { setMaxListeners } from "node:events";
import type { RewardModel } from "../src/align/index.js";
import { createDecoder, createScorer, openTextModel, type Window } from "../src/infer/index.js";

export interface Sample {
  readonly prompt: number;
  /** Prompt and completion. */
  readonly text: string;
  readonly ids: readonly number[];
  /** Tokens of the prompt at the beginning of `ids`. */
  readonly given: number;
  /** Of the completion under the policy. */
  readonly logProbability: number;
}

export interface FrontierPoint {
  readonly method: string;
  /** The setting and the step, or n. */
  readonly setting: string;
  /** Nats per completion. */
  readonly kl: number;
  /** Mean score of the judge, which no method trained on, with its 95 % interval. */
  readonly gold: number;
  readonly gold_low: number;
  readonly gold_high: number;
  /** Mean score of the reward model. */
  readonly proxy: number;
}

export interface SampleOptions {
  /** Completions of each prompt. */
  readonly n: number;
  readonly tokens: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

/** Samples completions at temperature 1, prompt by prompt. */
export async function samplePolicy(path: string, prompts: readonly string[], o: SampleOptions): Promise<Sample[]> {
  const { model, tokenizer, endOfText, close } = await openTextModel(path);
  const decoder = createDecoder(model.config, model.readParameter);
  if (o.signal !== undefined) setMaxListeners(0, o.signal); // each request listens
  try {
    const given = prompts.map((prompt) => Array.from(tokenizer.encode(prompt, { addSpecial: true })));
    const drawn = await Promise.all(
      given.map((prompt, i) =>
        decoder.generate(
          { prompt, tokens: o.tokens, n: o.n, temperature: 1, topK: 0, seed: o.seed + i * o.n, endOfText },
          { signal: o.signal },
        ),
      ),
    );
    return drawn.flatMap((completions, prompt) =>
      completions.map(({ tokens, end }): Sample => {
        const all = end === null ? tokens : [...tokens, end];
        return {
          prompt,
          text: prompts[prompt] + tokenizer.decode(tokens.map(({ id }) => id)),
          ids: [...given[prompt], ...all.map(({ id }) => id)],
          given: given[prompt].length,
          logProbability: all.reduce((sum, { logprob }) => sum + logprob, 0),
        };
      }),
    );
  } finally {
    decoder.dispose();
    await close();
  }
}

/** Log-probabilities of the completions under another model. */
export async function scoreSamples(path: string, samples: readonly Sample[], signal?: AbortSignal): Promise<number[]> {
  const { model, close } = await openTextModel(path);
  const scorer = createScorer(model.config, model.readParameter);
  const scores = samples.map(() => 0);
  try {
    const windows = samples.map((sample, number): Window & { readonly number: number } => ({
      ...{ number, ids: sample.ids, start: 0, length: sample.ids.length - 1, from: sample.given },
    }));
    await scorer.score(windows, {
      signal,
      onWindow: ({ number }, nats) => {
        scores[number] = -nats.reduce((sum, value) => sum + value, 0);
      },
    });
    return scores;
  } finally {
    scorer.dispose();
    await close();
  }
}

export interface Judges {
  readonly gold: (text: string) => number;
  readonly proxy: RewardModel;
}

/** The point of a checkpoint. @param reference what the KL is measured from */
export async function policyPoint(
  name: Pick<FrontierPoint, "method" | "setting">,
  checkpoint: string,
  reference: string,
  prompts: readonly string[],
  judges: Judges,
  o: SampleOptions,
): Promise<FrontierPoint> {
  const samples = await samplePolicy(checkpoint, prompts, o);
  const under = await scoreSamples(reference, samples, o.signal);
  const kl = mean(samples.map(({ logProbability }, i) => logProbability - under[i]));
  const proxy = await judges.proxy.score(samples.map(({ text }) => text));
  return { ...name, kl, ...goldOf(samples, judges.gold), proxy: mean(proxy) };
}

/** Points of best-of-n: the KL is its upper bound ln n − (n − 1) / n (Stiennon et al., arXiv:2009.01325). */
export async function bestOfPoints(
  samples: readonly Sample[],
  judges: Judges,
  ns: readonly number[],
): Promise<FrontierPoint[]> {
  const scores = await judges.proxy.score(samples.map(({ text }) => text));
  const groups = new Map<number, number[]>();
  for (const [i, { prompt }] of samples.entries()) groups.set(prompt, [...(groups.get(prompt) ?? []), i]);
  return ns.map((n) => {
    const best = [...groups.values()].flatMap((group) =>
      // All disjoint sets of n of a prompt's samples are used.
      Array.from({ length: Math.floor(group.length / n) }, (_, set) =>
        group.slice(set * n, (set + 1) * n).reduce((a, b) => (scores[b] > scores[a] ? b : a)),
      ),
    );
    return {
      ...{ method: "best of n", setting: `n = ${n}`, kl: Math.log(n) - (n - 1) / n },
      ...goldOf(
        best.map((i) => samples[i]),
        judges.gold,
      ),
      proxy: mean(best.map((i) => scores[i])),
    };
  });
}

/** The judge's mean with a normal interval over the prompts, whose completions resemble each other. */
function goldOf(samples: readonly Sample[], judge: Judges["gold"]) {
  const byPrompt = new Map<number, number[]>();
  for (const { prompt, text } of samples) byPrompt.set(prompt, [...(byPrompt.get(prompt) ?? []), judge(text)]);
  const means = [...byPrompt.values()].map(mean);
  const gold = mean(means);
  const variance = means.reduce((sum, value) => sum + (value - gold) ** 2, 0) / Math.max(1, means.length - 1);
  const half = 1.96 * Math.sqrt(variance / means.length);
  return { gold, gold_low: gold - half, gold_high: gold + half };
}

/** Says what the frontier shows: the best method, and where more of the reward model's score no longer helps. */
export function frontierSentence(points: readonly FrontierPoint[]): string {
  const methods = [...new Set(points.map(({ method }) => method))];
  const bests = methods.map((method) =>
    points.filter((point) => point.method === method).reduce((a, b) => (b.gold > a.gold ? b : a)),
  );
  const ranked = bests.toSorted((a, b) => b.gold - a.gold);
  const shown = ranked
    .map(({ method, gold, kl }) => `${method} ${gold.toFixed(2)} at ${kl.toFixed(1)} nats`)
    .join(", ");
  const over = bests.flatMap((best) => {
    const later = points.filter(
      ({ method, kl, proxy, gold_high }) =>
        method === best.method && kl > best.kl && proxy > best.proxy && gold_high < best.gold_low,
    );
    return later.length === 0 ? [] : [`${best.method} beyond ${best.kl.toFixed(1)} nats`];
  });
  const end =
    over.length === 0
      ? "no method's judged sentiment falls significantly while the reward model's score still rises"
      : `the reward model is over-optimised by ${over.join(" and ")}: its score rises while the judged sentiment falls`;
  return `Highest judged sentiment: ${shown}; ${end}.`;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
