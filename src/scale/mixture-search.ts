/**
 * @file Which mixture is best for a model: many small runs on sampled mixtures, a regression from mixture to held-out loss,
 * the best of many simulated mixtures, and a last run that says whether it is (RegMix, Liu et al. 2024; Dolma 3).
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
import { drawMixtures, uniforms } from "./mixture-sampling.js";
import { type GroupTokens, type ProxyOptions, ProxyRuns } from "./proxy-runs.js";

export interface MixtureSearchCall {
  readonly recipe: MixRecipe;
  /** Where the runs compute; by default the cpu backend. */
  readonly target?: ProxyOptions["target"];
  readonly textField?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface MixtureSearch {
  readonly groups: readonly string[];
  /** The mixture that was chosen, and the one that sizes give. */
  readonly weights: Readonly<Record<string, number>>;
  readonly natural: Readonly<Record<string, number>>;
  /** How each group's held-out loss counts in what was made small. */
  readonly target: Readonly<Record<string, number>>;
  readonly runs: readonly ProxyRun[];
  /** The regression, and how it did on runs that it did not see. */
  readonly regression: {
    readonly form: Form;
    readonly ridge: number;
    readonly error: number;
    readonly correlation: number;
  };
  /** Target loss of the chosen mixture as predicted, as a run measured it, and that of the natural mixture. */
  readonly loss: { readonly predicted: number; readonly measured: number; readonly natural: number };
}

/** Simulated mixtures, of which the best hundredth is averaged. */
const CANDIDATES = 20_000;
const MOST_GROUPS = 32;
const HELD_OUT = 0.1;

/**
 * Searches for the weights of a recipe that has `optimise`.
 *
 * @throws QuernError for groups with too little text, or more than 32 of them
 */
export async function searchMixture(call: MixtureSearchCall): Promise<MixtureSearch> {
  const { recipe, target, textField, signal, onProgress } = call;
  const checked = checkMix({ ...recipe, optimise: recipe.optimise ?? {} });
  const o = checked.optimise as NonNullable<CheckedMixRecipe["optimise"]>;
  const { names, sizes, tokens, tokenizer } = await readTokens(checked, o, { textField, signal, onProgress });
  const total = checked.bytes ?? sizes.reduce((sum, size) => sum + size, 0);
  const bytes = names.map((name, i) => ({ name, bytes: sizes[i] }));
  const all = sizes.reduce((sum, size) => sum + size, 0);
  const natural = sizes.map((size) => size / all);
  const weighed = targetOf(names, o.target);
  /** What the cap on epochs leaves of a mixture. */
  const possible = (shares: readonly number[]) => {
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
    const mixtures = [natural, ...drawMixtures(natural, o.runs - 1, draws)].map(possible);
    const run = async (shares: readonly number[]) => {
      runs.push({ shares, losses: await proxies.run(shares) });
      const note = `loss ${targetLoss(runs[runs.length - 1].losses, weighed).toFixed(3)}`;
      onProgress?.({ task: "proxy runs", done: runs.length, total: o.runs + 1, unit: "run", note });
    };
    for (const shares of mixtures) await run(shares);
    const model = fitMixtureModel(runs, weighed);
    const chosen = possible(bestMixture(drawMixtures(natural, CANDIDATES, draws).map(possible), model, weighed));
    const predicted = targetLoss(model.predict(chosen), weighed);
    await run(chosen);
    const { form, ridge, error, correlation } = model;
    const table = (values: readonly number[]) => Object.fromEntries(names.map((name, i) => [name, values[i]]));
    return {
      groups: names,
      weights: table(chosen),
      natural: table(natural),
      target: table(weighed),
      runs,
      regression: { form, ridge, error, correlation },
      loss: {
        predicted,
        measured: targetLoss(runs[runs.length - 1].losses, weighed),
        natural: targetLoss(runs[0].losses, weighed),
      },
    };
  } finally {
    proxies.dispose();
  }
}

/**
 * Mixes by the weights that a search finds, and writes `mixture.json` beside the mix.
 *
 * @throws QuernError as `searchMixture` and `mix` do
 */
export async function optimiseMix(
  call: MixtureSearchCall & { readonly out: string; readonly force?: boolean; readonly strict?: boolean },
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
  const strange = Object.keys(target ?? {}).find((name) => !names.includes(name));
  if (strange !== undefined)
    throw new QuernError(`the target names ${strange}, but there is no such group; there are ${names.join(", ")}`, {
      exitCode: 2,
    });
  const weights = names.map((name) => (target === undefined ? 1 : (target[name] ?? 0)));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (!(sum > 0)) throw new QuernError("the target's weights sum to nothing", { exitCode: 2 });
  return weights.map((weight) => weight / sum);
}

interface Calls {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** Texts of each group, some held out by their hash, no more of a group than the runs draw from; sizes of all. */
async function readTokens(
  recipe: CheckedMixRecipe,
  o: NonNullable<CheckedMixRecipe["optimise"]>,
  { textField, signal, onProgress }: Calls & { readonly textField?: string },
) {
  const groups = new Map<string, { bytes: number; kept: number; texts: string[]; held: string[] }>();
  let read = 0;
  for await (const { group, document } of readGroups(recipe, { textField, signal })) {
    let own = groups.get(group);
    if (own === undefined) {
      own = { bytes: 0, kept: 0, texts: [], held: [] };
      groups.set(group, own);
      if (groups.size > MOST_GROUPS)
        throw new QuernError(`there are more than ${MOST_GROUPS} groups; a search needs fewer`, { exitCode: 2 });
    }
    const { text } = document;
    own.bytes += Buffer.byteLength(text);
    // About four bytes are a token.
    if (own.kept < 4 * o.tokens) {
      own.kept += Buffer.byteLength(text);
      (isHeldOut(text, HELD_OUT) ? own.held : own.texts).push(text);
    }
    read += 1;
    if (read % 1000 === 0) onProgress?.({ task: "read the groups", done: read, unit: "document" });
  }
  const names = [...groups.keys()].sort();
  if (names.length < 2)
    throw new QuernError(
      `there is nothing to search for: ${names.length === 0 ? "no document" : `one group, ${names[0]}`}`,
      { exitCode: 2 },
    );
  const own = names.map((name) => groups.get(name) as NonNullable<ReturnType<typeof groups.get>>);
  const tokenizer = await trainTokenizer(
    own.flatMap(({ texts }) => texts),
    { vocabSize: o.vocabSize, signal, onProgress },
  );
  const tokens = own.map(({ texts, held }, i): GroupTokens => {
    const least = 2 * o.sequence + 2;
    const [learned, apart] = [encodeAll(tokenizer, texts), encodeAll(tokenizer, held)];
    // A group of a few long documents may have none held out: then its end is.
    const cut = Math.floor(learned.length * (1 - HELD_OUT));
    const encoded =
      apart.length >= least
        ? { train: learned, heldOut: apart }
        : { train: learned.subarray(0, cut), heldOut: learned.subarray(cut) };
    if (encoded.train.length < least || encoded.heldOut.length < least) {
      throw new QuernError(
        `the group ${names[i]} has too little text to search with: ${encoded.train.length} tokens and ${encoded.heldOut.length} held out, where ${least} of each are needed`,
      );
    }
    // A twentieth of what a run trains on tells its loss well enough.
    const judged = Math.max(least, Math.floor((o.steps * o.batch * o.sequence) / 20));
    return { train: encoded.train, heldOut: encoded.heldOut.subarray(0, judged) };
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
