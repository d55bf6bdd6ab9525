/** @file Scores windows that often begin alike, such as the choices of one question after the same examples. */
import type { Program } from "../backends/index.js";
import { forward, headOf, type ModelConfig, modelVariables } from "../model/index.js";
import { type Entry, embedding, input, linearTokenStatistics, neg, reshape, variable } from "../tensor/index.js";
import type { ModelPrograms } from "./model-programs.js";
import { sortByTokens, type TreeRow, treeRows } from "./prefix-tree.js";
import type { Division, OnWindow, ScoreOptions, Scorer } from "./scoring.js";
import type { Window } from "./windows.js";

/** Tokens per row. More would save repeated beginnings, but a last row that is partly empty would cost more. */
const ROW = 1024;
const MIN_ROW = 32;
/** Longer windows get longer rows, with room for several, so that a beginning is not repeated for each. Bounds memory. */
const MAX_ROW = 4096;
const WINDOWS_PER_ROW = 4;
/** Scored tokens per run of the output head: many are fastest, but the last ones of a row may be few. */
const HEAD_ROWS = [256, 64];
/** More tokens than this are faster in one large run than in small ones. */
const MANY = 128;

/** A token of a row, by index, and the id whose probability it should predict. */
interface Prediction {
  readonly at: number;
  readonly target: number;
}

interface TreeProgram {
  readonly program: Program;
  /** Returns −log p and 1 or 0 for the likeliest token, one of each per prediction. */
  run(
    row: TreeRow<unknown>,
    predictions: readonly Prediction[],
  ): Promise<{ readonly nats: Float32Array; readonly greedy: Float32Array }>;
}

/**
 * Creates a scorer that computes common beginnings once, and whether each target is the likeliest token.
 * @param sequence T of every row; default a power of two that fits the windows
 */
export function createTreeScorer(config: ModelConfig, programs: ModelPrograms, sequence?: number): Scorer {
  const opened = new Map<number, Promise<TreeProgram>>();
  const open = async (length: number): Promise<TreeProgram> => {
    const promise = opened.get(length) ?? openProgram(config, programs, length);
    opened.set(length, promise);
    try {
      return await promise;
    } catch (error) {
      opened.delete(length);
      throw error;
    }
  };
  return {
    async score<W extends Window>(windows: Iterable<W>, { onWindow, onScored, signal, division }: ScoreOptions<W>) {
      const sorted = sortByTokens(windows);
      const longest = sorted.windows.reduce((most, { length }) => Math.max(most, length), 0);
      const most = Math.min(config.sequence, sequence ?? Number.POSITIVE_INFINITY);
      if (longest > most) throw new RangeError(`a window of ${longest} tokens is longer than ${most}`);
      if (sorted.windows.some(({ documentStarts }) => documentStarts))
        throw new Error("a window has several documents");
      const wanted = Math.min(MAX_ROW, WINDOWS_PER_ROW * longest);
      const rowLength = sequence ?? powerOfTwo(Math.max(ROW, longest, wanted));
      const scoredRow = async (row: TreeRow<W>, onWindow: OnWindow<W>) => {
        signal?.throwIfAborted();
        const program = await open(sequence ?? powerOfTwo(row.ids.length));
        const scored = await scoreRow(program, config.vocabSize, row, onWindow);
        onScored?.(scored);
      };
      const rows = treeRows(sorted, rowLength);
      if (division !== undefined) return scoreDivided([...rows], division, onWindow, scoredRow);
      for (const row of rows) await scoredRow(row, onWindow);
    },
    dispose() {
      for (const each of opened.values()) void each.then(({ program }) => programs.close(program)).catch(() => {});
      opened.clear();
    },
  };
}

/**
 * Scores rows in several processes, each of them whole, so that no bit depends on the number of processes. The results are then
 * reported in the order of the rows.
 */
async function scoreDivided<W extends Window>(
  rows: readonly TreeRow<W>[],
  { rank, size, gather }: Division,
  onWindow: OnWindow<W>,
  score: (row: TreeRow<W>, onWindow: OnWindow<W>) => Promise<void>,
): Promise<void> {
  /** By own row and window: −log p per token, and 1 or 0 for the likeliest. */
  const own: (readonly (readonly number[])[])[][] = [];
  for (let i = rank; i < rows.length; i += size) {
    const results: (readonly (readonly number[])[])[] = [];
    await score(rows[i], (_, nats, greedy) => results.push([[...nats], [...greedy]]));
    own.push(results);
  }
  const all = await gather(own);
  for (const [i, row] of rows.entries()) {
    for (const [w, { window }] of row.windows.entries()) {
      const [nats, greedy] = all[i % size][Math.floor(i / size)][w];
      onWindow(window, Float32Array.from(nats), Float32Array.from(greedy));
    }
  }
}

const powerOfTwo = (length: number) => Math.max(MIN_ROW, 2 ** Math.ceil(Math.log2(length)));

/** Scores a row and returns the number of its scored tokens. Windows that predict the same token share its result. */
async function scoreRow<W extends Window>(
  { run }: TreeProgram,
  vocabulary: number,
  row: TreeRow<W>,
  onWindow: (window: W, nats: Float32Array, greedy: Float32Array) => void,
): Promise<number> {
  const numbers = new Map<number, number>();
  const predictions: Prediction[] = [];
  const wanted = row.windows.map(({ window, predictors }) =>
    predictors.map((at, i) => {
      const target = window.ids[window.from + i];
      const key = at * vocabulary + target;
      const known = numbers.get(key);
      if (known !== undefined) return known;
      numbers.set(key, predictions.length);
      return predictions.push({ at, target }) - 1;
    }),
  );
  const { nats, greedy } = await run(row, predictions);
  let scored = 0;
  for (const [i, { window }] of row.windows.entries()) {
    const [ownNats, ownGreedy] = [nats, greedy].map((all) => Float32Array.from(wanted[i], (number) => all[number]));
    scored += ownNats.length;
    onWindow(window, ownNats, ownGreedy);
  }
  return scored;
}

async function openProgram(config: ModelConfig, programs: ModelPrograms, sequence: number): Promise<TreeProgram> {
  const weights = modelVariables(config);
  const [T, C] = [sequence, config.width];
  const [ids, ends, depths] = ["ids", "ends", "depths"].map((name) => input(name, [1, T], "i32"));
  const { hidden } = forward(config, weights, ids, { tree: { ends, depths } }); // (1,T,C)
  // The output head is expensive and runs only on scored tokens.
  const kept = variable("scorer.hidden", [T, C]);
  const head = (K: number): Entry => {
    const [scored, wanted] = ["scored", "wanted"].map((name) => input(`${name} ${K}`, [K], "i32"));
    const statistics = linearTokenStatistics(embedding(kept, scored), headOf(config, weights), wanted);
    return { outputs: { [`losses ${K}`]: neg(statistics.logProbability), [`likeliest ${K}`]: statistics.isGreedy } };
  };
  const program = await programs.open({
    body: { outputs: {}, assign: [[kept, reshape(hidden, [T, C])]] },
    ...Object.fromEntries(HEAD_ROWS.map((K) => [`head ${K}`, head(K)])),
  });
  return {
    program,
    async run(row, predictions) {
      const padded = (values: readonly number[], padding: (t: number) => number) =>
        Int32Array.from({ length: T }, (_, t) => values[t] ?? padding(t));
      await program.run("body", {
        ids: padded(row.ids, () => 0),
        ends: padded(row.ends, (t) => t + 1), // padding attends to itself
        depths: padded(row.depths, () => 0),
      });
      const result = { nats: new Float32Array(predictions.length), greedy: new Float32Array(predictions.length) };
      for (let first = 0; first < predictions.length; ) {
        const K = HEAD_ROWS[predictions.length - first > MANY ? 0 : 1];
        const some = predictions.slice(first, first + K);
        const whole = Array.from({ length: K }, (_, i) => some[i] ?? some[0]);
        await program.run(`head ${K}`, {
          [`scored ${K}`]: whole.map(({ at }) => at),
          [`wanted ${K}`]: whole.map(({ target }) => target),
        });
        result.nats.set((await program.read(`losses ${K}`)).subarray(0, some.length), first);
        result.greedy.set((await program.read(`likeliest ${K}`)).subarray(0, some.length), first);
        first += some.length;
      }
      return result;
    },
  };
}
