/**
 * @file The scorer computes log-probabilities of given tokens. `quern perplexity`, validation during training and
 * `LanguageModel` all use it; they differ in how they divide texts into windows.
 */
import type { CompileOptions, Program } from "../backends/index.js";
import { forward, headOf, type ModelConfig, modelVariables } from "../model/index.js";
import { input, linearCrossEntropy, reshape } from "../tensor/index.js";
import { type ModelPrograms, modelPrograms, type WeightSource } from "./model-programs.js";
import type { OnWindow, ScoreOptions, Scorer } from "./scoring.js";
import { createTreeScorer } from "./tree-scorer.js";
import { packWindows, type Window } from "./windows.js";

export type { OnWindow, ScoreOptions, Scorer } from "./scoring.js";

/** The input of a scoring program; each array is (B, T). */
export interface ScoringBatch {
  readonly ids: Int32Array;
  /** The next token if it is scored, else −100. */
  readonly targets: Int32Array;
  /** Segment numbers; a token attends only to tokens of the same segment in its row. */
  readonly segments: Int32Array;
  /** Position of each token in its window. */
  readonly places: Int32Array;
}

/** Scores a batch: a program of `createScorer`, or the `evaluate` entry of a training program. */
export interface ScoringProgram {
  /** B, rows per batch. */
  readonly batch: number;
  /** T, tokens per row. */
  readonly sequence: number;
  /** Whether it supports segments, so that one row can contain several windows. */
  readonly packed: boolean;
  /** Returns −log p of every token's target, (B·T); 0 if the target is −100. */
  run(batch: ScoringBatch): Promise<Float32Array>;
}

/** Marks a position without a target; its loss is 0. */
const IGNORED = -100;
const NONE = new Float32Array(0);

/** Runs windows of at most T tokens through a program, longest first. */
export async function scoreWindows<W extends Window>(
  program: ScoringProgram,
  windows: Iterable<W>,
  { onWindow, onScored, signal }: ScoreOptions<W>,
): Promise<void> {
  const { batch, sequence, packed } = program;
  const rows = packed ? packWindows(windows, sequence) : Array.from(windows, (window) => [window]);
  for (let first = 0; first < rows.length; first += batch) {
    signal?.throwIfAborted();
    await scoreRows(program, rows.slice(first, first + batch), onWindow, onScored);
  }
}

async function scoreRows<W extends Window>(
  { batch, sequence, run }: ScoringProgram,
  rows: readonly (readonly W[])[],
  onWindow: OnWindow<W>,
  onScored: ScoreOptions<W>["onScored"],
): Promise<void> {
  const size = batch * sequence;
  const filled: ScoringBatch = {
    ids: new Int32Array(size),
    targets: new Int32Array(size).fill(IGNORED),
    segments: new Int32Array(size),
    places: new Int32Array(size),
  };
  const spans: { readonly window: W; readonly at: number }[] = [];
  for (const [row, windows] of rows.entries()) {
    let at = row * sequence;
    let segment = 0;
    for (const window of windows) {
      segment = fill(filled, at, window, segment + 1);
      spans.push({ window, at });
      at += window.length;
    }
  }
  const nats = await run(filled);
  let scored = 0;
  for (const { window, at } of spans) {
    const [begin, end] = [at + window.from - 1 - window.start, at + window.length];
    scored += end - begin;
    onWindow(window, nats.subarray(begin, end), NONE);
  }
  onScored?.(scored);
}

/** Copies a window into a batch at offset `at` and returns the number of its last segment. */
function fill({ ids, targets, segments, places }: ScoringBatch, at: number, window: Window, segment: number): number {
  const { ids: text, start, length, from, documentStarts: starts } = window;
  let document = starts === undefined ? 0 : lastUpTo(starts, start);
  for (let t = 0; t < length; t++) {
    ids[at + t] = text[start + t];
    if (start + t + 1 >= from) targets[at + t] = text[start + t + 1];
    if (starts !== undefined && starts[document + 1] <= start + t) {
      document += 1;
      segment += 1;
    }
    segments[at + t] = segment;
    places[at + t] = t;
  }
  return segment;
}

/** Returns the index of the last number that is at most `limit`. The numbers ascend from 0. */
function lastUpTo(numbers: ArrayLike<number>, limit: number): number {
  let [low, high] = [0, numbers.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= limit) low = middle;
    else high = middle;
  }
  return low;
}

/** Tokens of a full batch. Matrix products with fewer rows are slower; more rows only cost memory. */
const BATCH_TOKENS = 2048;
/** Row length for packed short windows. Shorter rows would have gaps, longer ones more masked attention. */
const PACKED_ROW = 128;
const MIN_ROW = 32;

export interface ScorerOptions extends CompileOptions {
  /** T of every row. Default a power of two that fits the windows. */
  readonly sequence?: number;
  /**
   * Also determines whether each target is the likeliest token, and computes common beginnings of windows once. Meant for
   * windows with few scored tokens, which must be one document each. Default false.
   */
  readonly greedy?: boolean;
  /** The model's programs, if other programs share its weights. */
  readonly programs?: ModelPrograms;
}

/** Creates a scorer. It compiles a program when a shape is first needed. */
export function createScorer(
  config: ModelConfig,
  source: WeightSource,
  { sequence: rowLength, greedy = false, programs: shared, ...options }: ScorerOptions = {},
): Scorer {
  const shareable = shared ?? modelPrograms(config, source, options);
  if (greedy) return createTreeScorer(config, shareable, rowLength);
  const programs = new Map<string, Promise<{ readonly scoring: ScoringProgram; readonly program: Program }>>();
  const open = async (batch: number, sequence: number): Promise<ScoringProgram> => {
    const key = `${batch} ${sequence}`;
    let opened = programs.get(key);
    if (opened === undefined) {
      opened = openProgram(config, shareable, { batch, sequence });
      programs.set(key, opened);
    }
    try {
      return (await opened).scoring;
    } catch (error) {
      programs.delete(key);
      throw error;
    }
  };
  return {
    async score(windows, { onWindow, onScored, signal }) {
      const groups = rowLength === undefined ? byRowLength(windows, config.sequence) : [[rowLength, windows] as const];
      for (const [sequence, alike] of groups) {
        const rows = packWindows(alike, sequence);
        const batch = Math.max(1, Math.floor(BATCH_TOKENS / sequence));
        for (let first = 0; first < rows.length; ) {
          signal?.throwIfAborted();
          const left = rows.length - first;
          const program = await open(left > batch / 4 ? batch : 1, sequence);
          await scoreRows(program, rows.slice(first, first + program.batch), onWindow, onScored);
          first += program.batch;
        }
      }
    },
    dispose() {
      for (const opened of programs.values())
        void opened.then(({ program }) => shareable.close(program)).catch(() => {});
      programs.clear();
    },
  };
}

/** Groups windows by row length, the longest first: a power of two, or the model's context. */
function byRowLength<W extends Window>(windows: Iterable<W>, longest: number): Map<number, W[]> {
  const list = [...windows];
  const total = list.reduce((sum, { length }) => sum + length, 0);
  const shortest = total > MIN_ROW ? Math.min(PACKED_ROW, 2 ** Math.ceil(Math.log2(total))) : MIN_ROW;
  const groups = new Map<number, W[]>();
  for (const window of list) {
    const sequence = Math.min(longest, Math.max(shortest, 2 ** Math.ceil(Math.log2(window.length))));
    const group = groups.get(sequence);
    if (group === undefined) groups.set(sequence, [window]);
    else group.push(window);
  }
  return new Map([...groups].sort(([a], [b]) => b - a));
}

async function openProgram(
  config: ModelConfig,
  programs: ModelPrograms,
  { batch, sequence }: { readonly batch: number; readonly sequence: number },
): Promise<{ readonly scoring: ScoringProgram; readonly program: Program }> {
  const weights = modelVariables(config);
  const N = batch * sequence;
  const [ids, targets, segments, places] = ["ids", "targets", "segments", "places"].map(
    (name) => input(name, [batch, sequence], "i32"), // (B,T)
  );
  const { hidden } = forward(config, weights, ids, { segments, places }); // (B,T,C)
  const rows = reshape(hidden, [N, config.width]); // (N,C) with N = B·T
  const losses = linearCrossEntropy(rows, headOf(config, weights), reshape(targets, [N]));
  const program = await programs.open({ score: { outputs: { losses } } });
  const run = async ({ ids, targets, segments, places }: ScoringBatch): Promise<Float32Array> => {
    await program.run("score", { ids, targets, segments, ...(config.family === "gpt2" && { places }) });
    return program.read("losses");
  };
  return { scoring: { batch, sequence, packed: true, run }, program };
}
