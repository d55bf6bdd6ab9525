/**
 * @file What texts cost a model, in nats: each token once, in windows of T tokens that begin every `stride` tokens. A window
 * scores the tokens that no window before it has scored, so all but those of the first window see at least T − stride
 * tokens before them.
 */
import { type CompileOptions, compile, type Program } from "../backends/index.js";
import { type ModelConfig, modelVariables, tokenLosses } from "../model/index.js";
import { input } from "../tensor/index.js";

export interface ScorerOptions extends CompileOptions {
  /** T, tokens of a window. */
  readonly sequence: number;
  /** Tokens from one window's start to the next, at most T. */
  readonly stride: number;
  /** B, windows that go through the model at once. */
  readonly batch: number;
}

/** A text to score. */
export interface ScoredText {
  readonly ids: ArrayLike<number>;
  /** Tokens at its beginning that are given and cost nothing; at least 1, since nothing stands before the first. */
  readonly given: number;
}

export interface Scorer {
  /**
   * The nats of each text, −Σ log p over its tokens that are not given.
   * @param onScored is told how many tokens were scored since it was last called
   */
  score(
    texts: Iterable<ScoredText>,
    options?: { readonly signal?: AbortSignal; readonly onScored?: (tokens: number) => void },
  ): Promise<number[]>;
  dispose(): void;
}

/** No target: the loss there is 0. */
const IGNORED = -100;

/** Compiles a model for judging and loads its weights. */
export async function createScorer(
  config: ModelConfig,
  readParameter: (name: string) => Float32Array | Promise<Float32Array>,
  { sequence, stride, batch, ...options }: ScorerOptions,
): Promise<Scorer> {
  const weights = modelVariables(config);
  const ids = input("ids", [batch, sequence], "i32");
  const targets = input("targets", [batch, sequence], "i32");
  const losses = tokenLosses(config, weights, ids, targets);
  const program = await compile({ score: { outputs: { losses } } }, options);
  try {
    for (const name of weights.keys()) program.write(name, await readParameter(name));
  } catch (error) {
    program.dispose();
    throw error;
  }
  return {
    score: (texts, calls = {}) => score(program, { sequence, stride, batch }, texts, calls),
    dispose: () => program.dispose(),
  };
}

async function score(
  program: Program,
  { sequence, stride, batch }: Pick<ScorerOptions, "sequence" | "stride" | "batch">,
  texts: Iterable<ScoredText>,
  { signal, onScored }: { readonly signal?: AbortSignal; readonly onScored?: (tokens: number) => void },
): Promise<number[]> {
  const nats: number[] = [];
  const ids = new Int32Array(batch * sequence);
  const targets = new Int32Array(batch * sequence).fill(IGNORED);
  let owners: number[] = []; // the text of each row that is filled
  let waiting = 0;
  const run = async () => {
    signal?.throwIfAborted();
    await program.run("score", { ids, targets });
    const losses = await program.read("losses");
    for (const [row, owner] of owners.entries()) {
      // A sum in float64: a long text adds up millions of small numbers.
      for (let t = row * sequence; t < (row + 1) * sequence; t++) nats[owner] += losses[t];
    }
    onScored?.(waiting);
    owners = [];
    waiting = 0;
    targets.fill(IGNORED);
  };
  for (const { ids: text, given } of texts) {
    const owner = nats.push(0) - 1;
    for (const { start, from } of windowsOf(given, text.length, sequence, stride)) {
      const base = owners.push(owner) * sequence - sequence;
      for (let t = 0; t < sequence; t++) {
        const inside = start + t + 1 < text.length;
        ids[base + t] = inside ? text[start + t] : 0;
        const scored = inside && start + t + 1 >= from;
        targets[base + t] = scored ? text[start + t + 1] : IGNORED;
        if (scored) waiting += 1;
      }
      if (owners.length === batch) await run();
    }
  }
  if (owners.length > 0) await run();
  return nats;
}

/** Where each window starts, and the first token that it scores: those from `given` on, once each. */
function* windowsOf(
  given: number,
  length: number,
  sequence: number,
  stride: number,
): Generator<{ readonly start: number; readonly from: number }> {
  let from = given;
  for (let start = 0; from < length; start += stride) {
    if (from > start + sequence) continue; // nothing of it is left to score
    yield { start, from };
    from = start + sequence + 1;
  }
}
