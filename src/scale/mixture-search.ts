/**
 * @file Searches for the best training mixture (RegMix, Liu et al. 2024; Dolma 3). Small runs on sampled mixtures fit a
 * regression from mixture to held-out loss. The best of many simulated mixtures is chosen, and a final run checks it.
 */
import { join } from "node:path";
import {
  type CheckedMixRecipe,
  checkMix,
  epochsOf,
  type MixRecipe,
  type MixResult,
  mixClaim,
  mixInto,
  readGroups,
} from "../data/index.js";
import { isHeldOut, withOutput, writeFileAtomic } from "../documents/index.js";
import { QuernError } from "../errors.js";
import { randomStream } from "../model/index.js";
import type { OnProgress } from "../progress.js";
import { type Tokenizer, trainTokenizer } from "../tokenizer/index.js";
import { bestMixture, type Form, fitMixtureModel, type ProxyRun, targetLoss } from "./mixture-regression.js";
import { sampleMixtures, uniforms } from "./mixture-sampling.js";
import { type GroupTokens, type ProxyOptions, ProxyRuns } from "./proxy-runs.js";

export interface MixtureSearchRequest {
  readonly recipe: MixRecipe;
  /** Backend for the proxy runs; default cpu. */
  readonly target?: ProxyOptions["target"];
  readonly textField?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface MixtureSearch {
  readonly groups: readonly string[];
  /** The chosen mixture, and the natural one, which is proportional to the groups' sizes. */
  readonly weights: Readonly<Record<string, number>>;
  readonly natural: Readonly<Record<string, number>>;
  /** Weight of each group's held-out loss in the minimized target loss. */
  readonly target: Readonly<Record<string, number>>;
  readonly runs: readonly ProxyRun[];
  /** The regression, with its leave-one-out error in nats and rank correlation. */
  readonly regression: {
    readonly form: Form;
    readonly ridge: number;
    readonly error: number;
    readonly correlation: number;
  };
  /** Target loss in nats per token: of the chosen mixture, predicted and measured; and of the natural mixture, measured. */
  readonly loss: { readonly predicted: number; readonly measured: number; readonly natural: number };
}

/** Simulated mixtures; the best 1 % are averaged. */
const CANDIDATES = 20_000;
const MOST_GROUPS = 32;
const HELD_OUT = 0.1;

/**
 * Searches for the weights of a recipe with `optimise`.
 *
 * @throws QuernError if a group has too little text, or there are more than 32 groups
 */
export async function searchMixture(call: MixtureSearchRequest): Promise<MixtureSearch> {
  const { recipe, target, textField, signal, onProgress } = call;
  const checked = checkMix({ ...recipe, optimise: recipe.optimise ?? {} });
  const o = checked.optimise as NonNullable<CheckedMixRecipe["optimise"]>;
  const { names, sizes, tokens, tokenizer } = await readTokens(checked, o, { textField, signal, onProgress });
  const total = checked.bytes ?? sizes.reduce((sum, size) => sum + size, 0);
  const bytes = names.map((name, i) => ({ name, bytes: sizes[i] }));
  const all = sizes.reduce((sum, size) => sum + size, 0);
  const natural = sizes.map((size) => size / all);
  const targetWeights = targetOf(names, o.target);
  /** Returns a mixture after applying the limit on epochs. */
  const capped = (shares: readonly number[]) => {
    const given = epochsOf(bytes, shares, total, checked.epochs).map((epochs, i) => epochs * sizes[i]);
    const sum = given.reduce((a, b) => a + b, 0);
    return given.map((each) => each / sum);
  };
  const uniform = uniforms(randomStream(checked.seed, "mixtures"));
  const draws = { concentration: o.concentration, uniform };
  const { vocabSize } = tokenizer;
  const proxies = await ProxyRuns.create({
    ...o,
    groups: tokens,
    bytesOf: new Uint8Array(vocabSize),
    vocabSize,
    seed: checked.seed,
    target,
    signal,
  });
  try {
    const runs: ProxyRun[] = [];
    const mixtures = [natural, ...sampleMixtures(natural, o.runs - 1, draws)].map(capped);
    const run = async (shares: readonly number[]) => {
      runs.push({ shares, losses: await proxies.run(shares) });
      const note = `loss ${targetLoss(runs[runs.length - 1].losses, targetWeights).toFixed(3)}`;
      onProgress?.({ task: "proxy runs", done: runs.length, total: o.runs + 1, unit: "run", note });
    };
    for (const shares of mixtures) await run(shares);
    const model = fitMixtureModel(runs, targetWeights);
    const chosen = capped(bestMixture(sampleMixtures(natural, CANDIDATES, draws).map(capped), model, targetWeights));
    const predicted = targetLoss(model.predict(chosen), targetWeights);
    await run(chosen);
    const { form, ridge, error, correlation } = model;
    const table = (values: readonly number[]) => Object.fromEntries(names.map((name, i) => [name, values[i]]));
    return {
      groups: names,
      weights: table(chosen),
      natural: table(natural),
      target: table(targetWeights),
      runs,
      regression: { form, ridge, error, correlation },
      loss: {
        predicted,
        measured: targetLoss(runs[runs.length - 1].losses, targetWeights),
        natural: targetLoss(runs[0].losses, targetWeights),
      },
    };
  } finally {
    proxies.dispose();
  }
}

/**
 * Searches for weights, mixes by them, and writes `mixture.json` next to the mix.
 *
 * @throws QuernError like `searchMixture` and `mix`
 */
export async function optimiseMix(
  call: MixtureSearchRequest & { readonly out: string; readonly force?: boolean; readonly strict?: boolean },
): Promise<MixResult & { readonly search: MixtureSearch }> {
  const { recipe, out, textField, strict, signal, onProgress } = call;
  return withOutput(mixClaim(call), async () => {
    const search = await searchMixture(call);
    await writeFileAtomic(join(out, "mixture.json"), `${JSON.stringify(search, null, 2)}\n`);
    const { optimise: _, ...rest } = recipe;
    const mixing = { recipe: { ...rest, weights: search.weights }, out, textField, strict, signal, onProgress };
    return { ...(await mixInto(mixing)), search };
  });
}

function targetOf(names: readonly string[], target: Readonly<Record<string, number>> | undefined): number[] {
  const unknown = Object.keys(target ?? {}).find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new QuernError(`optimise.target has an unknown group ${unknown}; the groups are ${names.join(", ")}`, {
      exitCode: 2,
    });
  const weights = names.map((name) => (target === undefined ? 1 : (target[name] ?? 0)));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (!(sum > 0))
    throw new QuernError("the weights of optimise.target sum to 0; give a group a weight", { exitCode: 2 });
  return weights.map((weight) => weight / sum);
}

interface Callbacks {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/**
 * Reads and encodes the text of each group, up to the tokens that the runs need. Holds out a part, chosen by hash.
 * Measures all groups.
 */
async function readTokens(
  recipe: CheckedMixRecipe,
  o: NonNullable<CheckedMixRecipe["optimise"]>,
  { textField, signal, onProgress }: Callbacks & { readonly textField?: string },
) {
  const groups = new Map<string, { bytes: number; kept: number; texts: string[]; held: string[] }>();
  let read = 0;
  for await (const { group, document } of readGroups(recipe, { textField, signal })) {
    let own = groups.get(group);
    if (own === undefined) {
      own = { bytes: 0, kept: 0, texts: [], held: [] };
      groups.set(group, own);
      if (groups.size > MOST_GROUPS)
        throw new QuernError(`there are more than ${MOST_GROUPS} groups, the limit of a search; merge some`, {
          exitCode: 2,
        });
    }
    const { text } = document;
    own.bytes += Buffer.byteLength(text);
    // A token has about four bytes.
    if (own.kept < 4 * o.tokens) {
      own.kept += Buffer.byteLength(text);
      (isHeldOut(text, HELD_OUT) ? own.held : own.texts).push(text);
    }
    read += 1;
    if (read % 1000 === 0) onProgress?.({ task: "read groups", done: read, unit: "document" });
  }
  const names = [...groups.keys()].sort();
  if (names.length < 2)
    throw new QuernError(
      `a search needs at least two groups; there is ${names.length === 0 ? "no document" : `one, ${names[0]}`}`,
      { exitCode: 2 },
    );
  const own = names.map((name) => groups.get(name) as NonNullable<ReturnType<typeof groups.get>>);
  const tokenizer = await trainTokenizer(
    own.flatMap(({ texts }) => texts),
    { vocabSize: o.vocabSize, signal, onProgress },
  );
  const tokens = own.map(({ texts, held }, i): GroupTokens => {
    const least = 2 * o.sequence + 2;
    const [train, heldOut] = [encodeAll(tokenizer, texts), encodeAll(tokenizer, held)];
    // A group of a few long documents may have no held-out document; then its end is held out.
    const cut = Math.floor(train.length * (1 - HELD_OUT));
    const encoded =
      heldOut.length >= least ? { train, heldOut } : { train: train.subarray(0, cut), heldOut: train.subarray(cut) };
    if (encoded.train.length < least || encoded.heldOut.length < least) {
      throw new QuernError(
        `the group ${names[i]} has too little text for a search: ${encoded.train.length} training and ${encoded.heldOut.length} held-out tokens; it needs ${least} of each`,
      );
    }
    // A twentieth of a run's training tokens suffices to measure its loss.
    const scored = Math.max(least, Math.floor((o.steps * o.batch * o.sequence) / 20));
    return { train: encoded.train, heldOut: encoded.heldOut.subarray(0, scored) };
  });
  return { names, sizes: own.map(({ bytes }) => bytes), tokens, tokenizer };
}

function encodeAll(tokenizer: Tokenizer, texts: readonly string[]): Uint32Array {
  const end = tokenizer.endOfText ?? 0;
  const pieces = texts.map((text) => tokenizer.encode(text));
  const ids = new Uint32Array(pieces.reduce((sum, piece) => sum + piece.length + 1, 0));
  let at = 0;
  for (const piece of pieces) {
    ids.set(piece, at);
    at += piece.length;
    ids[at++] = end;
  }
  return ids;
}
