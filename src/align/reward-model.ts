/**
 * @file Scores texts with a reward model:
 *
 *     const model = await openRewardModel("runs/reward");
 *     const [good, bad] = await model.score(["2+2=4", "2+2=5"]);
 *     await model.dispose();
 */
import type { CompileOptions, Program } from "../backends/index.js";
import { QuernError } from "../errors.js";
import { modelPrograms, openTextModel } from "../infer/index.js";
import { forward, lastToken, modelVariables, rowsAt } from "../model/index.js";
import type { OnProgress } from "../progress.js";
import { input } from "../tensor/index.js";
import type { Tokenizer } from "../tokenizer/index.js";
import { encodeAnswer } from "./data/encode.js";
import type { Content } from "./data/examples.js";
import { endOfCompletion } from "./data/templates.js";

export interface ScoreOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** An open reward model. */
export interface RewardModel {
  /** Its folder. */
  readonly path: string;
  readonly tokenizer: Tokenizer;
  /**
   * Scores whole texts, a prompt with its answer, or conversations, in their order. A text ends with the end-of-text token, as
   * in training. One that is longer than the model's context loses its beginning.
   * @throws QuernError for a score that is not finite, or a conversation that the chat template refuses
   */
  score(texts: readonly Content[], options?: ScoreOptions): Promise<number[]>;
  /** The same for token ids, to which nothing is added. */
  scoreIds(texts: readonly ArrayLike<number>[], options?: ScoreOptions): Promise<number[]>;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Tokens of a full batch, and of the shortest row. */
const BATCH_TOKENS = 2048;
const MIN_ROW = 32;

/**
 * Opens a reward model: a run of `quern reward`, or a sequence classifier of transformers with one label.
 * @throws QuernError for a language model
 */
export async function openRewardModel(path: string, options: CompileOptions = {}): Promise<RewardModel> {
  const { folder, model, tokenizer, close } = await openTextModel(path, { classifier: true });
  const { config, readScore, padding = null } = model;
  if (readScore === undefined) {
    await close();
    throw new QuernError(`${path} is a language model, not a reward model; train one with quern reward`, {
      exitCode: 2,
    });
  }
  const head = await readScore().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  const programs = modelPrograms(config, model.readParameter, options);
  const opened = new Map<string, Promise<Program>>();
  const open = (rows: number, sequence: number): Promise<Program> => {
    const key = `${rows} ${sequence}`;
    const found = opened.get(key);
    if (found !== undefined) return found;
    const { hidden } = forward(config, modelVariables(config), input("ids", [rows, sequence], "i32")); // (B,T,C)
    const program = programs.open({
      score: { outputs: { rows: rowsAt(hidden, input("places", [rows], "i32")) } }, // (B,C)
    });
    opened.set(key, program);
    program.catch(() => opened.delete(key));
    return program;
  };

  const scoreIds = async (given: readonly ArrayLike<number>[], { signal, onProgress }: ScoreOptions = {}) => {
    const texts = given.map((ids) =>
      ids.length > config.sequence ? Array.prototype.slice.call(ids, -config.sequence) : ids,
    ) as ArrayLike<number>[];
    const scores = new Array<number>(texts.length).fill(0);
    let done = 0;
    for (const [sequence, numbers] of byRowLength(texts, config.sequence)) {
      const most = Math.max(1, Math.floor(BATCH_TOKENS / sequence));
      for (let first = 0; first < numbers.length; ) {
        signal?.throwIfAborted();
        const rows = rowsFor(numbers.length - first, most);
        const chosen = numbers.slice(first, first + rows);
        const program = await open(rows, sequence);
        const ids = new Int32Array(rows * sequence);
        const places = new Int32Array(rows).fill(-1);
        for (const [row, number] of chosen.entries()) {
          ids.set(Array.from(texts[number]), row * sequence);
          places[row] = row * sequence + lastToken(texts[number], padding);
        }
        await program.run("score", { ids, places });
        const hidden = await program.read("rows");
        for (const [row, number] of chosen.entries()) {
          const score = dot(hidden.subarray(row * config.width, (row + 1) * config.width), head);
          if (!Number.isFinite(score)) {
            throw new QuernError(
              `the scores of ${folder} are not finite: its weights are damaged, or training diverged`,
            );
          }
          scores[number] = score;
        }
        first += chosen.length;
        done += chosen.length;
        onProgress?.({ task: "score", done, total: texts.length, unit: "text" });
      }
    }
    return scores;
  };

  const encoding = { tokenizer, endOfText: endOfCompletion(tokenizer) };
  const encode = async (text: Content, i: number): Promise<ArrayLike<number>> => {
    const example = { place: `text ${i}`, fields: {} };
    return (await encodeAnswer(typeof text === "string" ? "" : [], text, example, encoding)).ids;
  };
  const dispose = async () => {
    for (const program of opened.values()) programs.close(await program);
    opened.clear();
    await close();
  };
  return {
    ...{ path: folder, tokenizer, scoreIds },
    async score(texts, calls) {
      const encoded: ArrayLike<number>[] = [];
      for (const [i, text] of texts.entries()) encoded.push(await encode(text, i));
      return scoreIds(encoded, calls);
    },
    ...{ dispose, [Symbol.asyncDispose]: dispose },
  };
}

/** Numbers of the texts by the length of their rows, a power of two, so that few shapes are compiled. */
function byRowLength(texts: readonly ArrayLike<number>[], longest: number): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (const [number, { length }] of texts.entries()) {
    const sequence = Math.min(longest, Math.max(MIN_ROW, 2 ** Math.ceil(Math.log2(Math.max(1, length)))));
    const group = groups.get(sequence) ?? [];
    group.push(number);
    groups.set(sequence, group);
  }
  return groups;
}

/** Rows of a batch for `count` texts: 4, 16, 64 … up to `most`. */
function rowsFor(count: number, most: number): number {
  let rows = Math.min(4, most);
  while (rows < count && rows < most) rows = Math.min(most, 4 * rows);
  return rows;
}

const dot = (a: Float32Array, b: Float32Array) => a.reduce((total, value, i) => total + value * b[i], 0);
