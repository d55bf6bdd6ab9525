/**
 * @file A model compiled for decoding. Its key-value cache has one row per slot. Prompts are prefilled in chunks of fixed
 * size, new tokens one at a time. So a new prompt length compiles nothing, and a text's keys do not depend on other slots.
 *
 * The variant without a cache runs a whole forward pass per token: the same text, slowly, as a reference for the cached one.
 */
import type { Plan } from "../backends/index.js";
import { copyCache, forward, keyValueCache, logits, type ModelConfig, type ModelVariables } from "../model/index.js";
import {
  add,
  type Entry,
  embedding,
  exp,
  input,
  log,
  max,
  reshape,
  scalar,
  sub,
  sum,
  type Tensor,
} from "../tensor/index.js";
import type { ModelPrograms } from "./model-programs.js";

/** A token of one slot to run through the model. */
export interface Step {
  readonly slot: number;
  readonly token: number;
  readonly position: number;
}

/** The scores of the next token after each step, in the order of the steps. */
export interface Scores {
  /** (steps, V) */
  readonly logits: Float32Array;
  /** log Σ exp of the logits, (steps). */
  readonly logSumExp: Float32Array;
}

export interface DecodingProgram {
  readonly slots: number;
  /** The longest text of a slot, in tokens. */
  readonly sequence: number;
  readonly plan: Plan;
  /** Appends at most `CHUNK` tokens to a slot that contains `position` tokens, a multiple of `CHUNK`. */
  prefill(slot: number, tokens: readonly number[], position: number): Promise<void>;
  /** Copies the first `length` tokens of one slot to another, one copy after the other. */
  copy(copies: readonly { readonly from: number; readonly to: number; readonly length: number }[]): Promise<void>;
  /**
   * Writes one token of each of several slots to the cache and returns the scores of the next one. The scores are valid
   * until the next call.
   */
  decode(steps: readonly Step[]): Promise<Scores>;
  dispose(): void;
}

/** Tokens of a prompt that are prefilled at once. */
export const CHUNK = 32;

/** Cache length for texts of `sequence` tokens: the last chunk may extend past the sequence. */
const capacityFor = (sequence: number) => Math.ceil(sequence / CHUNK) * CHUNK;

/** Returns the bytes of one slot's keys and values. */
export function bytesPerSlot({ layers, keyValueHeads, headWidth }: ModelConfig, sequence: number): number {
  return 4 * 2 * layers * capacityFor(sequence) * keyValueHeads * headWidth;
}

type OpenProgram = (
  config: ModelConfig,
  shape: { readonly slots: number; readonly sequence: number },
  programs: ModelPrograms,
) => Promise<DecodingProgram>;

/** hidden (N, C) → logits (N, V) and log Σ exp of each row (N). */
function scoresOf(config: ModelConfig, weights: ModelVariables, hidden: Tensor) {
  const scores = logits(config, weights, hidden);
  const top = max(scores, [1], true);
  const total = sum(exp(sub(scores, top)), [1]);
  return { logits: scores, logSumExp: add(log(total), reshape(top, total.shape)) };
}

/**
 * Texts per step that entries are compiled for. A step runs in the narrowest entry that fits it, since the time of a matrix
 * product grows with its rows. There are few, since each entry adds to the compile time.
 */
const WIDTHS = [1, 8, 64];

/** Decoding with the key-value cache. */
export const cachedProgram: OpenProgram = async (config, { slots, sequence }, programs) => {
  const { weights } = programs;
  const cache = keyValueCache(config, slots, capacityFor(sequence));
  const widths = [...WIDTHS.filter((width) => width < slots), slots];
  const rowsOf = (name: string, width: number) => (slots === 1 ? undefined : input(name, [width], "i32"));

  const position = scalar("position", "i32");
  const chunked = input("chunk", [1, CHUNK], "i32"); // (1, CHUNK)
  const { assign } = forward(config, weights, chunked, { cache, position, rows: rowsOf("slot", 1) });
  const entries: Record<string, Entry> = { prefill: { outputs: {}, assign } };
  for (const width of widths) {
    const { hidden, assign } = forward(config, weights, input(`tokens${width}`, [width, 1], "i32"), {
      cache,
      position: slots === 1 ? position : input(`positions${width}`, [width], "i32"),
      rows: rowsOf(`slots${width}`, width),
    });
    const scores = scoresOf(config, weights, reshape(hidden, [width, config.width]));
    const outputs = Object.fromEntries(Object.entries(scores).map(([name, tensor]) => [name + width, tensor]));
    entries[`decode${width}`] = { outputs, assign };
  }
  if (slots > 1) {
    const [from, to, lengths] = ["from", "to", "lengths"].map((name) => input(name, [slots], "i32"));
    entries.copy = { outputs: {}, assign: copyCache(cache, from, to, lengths) };
  }

  const program = await programs.open(entries);
  const chunk = new Int32Array(CHUNK);
  const scores = new Map(
    widths.map((width) => [
      width,
      { logits: new Float32Array(width * config.vocabSize), logSumExp: new Float32Array(width) },
    ]),
  );
  return {
    slots,
    sequence,
    plan: program.plan,
    async prefill(slot, tokens, position) {
      // The padding is written after the text, where the next tokens overwrite it before it is read.
      chunk.fill(0).set(tokens);
      await program.run("prefill", { chunk, position, ...(slots > 1 && { slot: [slot] }) });
    },
    async copy(copies) {
      for (let first = 0; first < copies.length; first += slots) {
        const some = copies.slice(first, first + slots);
        const padded = (value: (copy: (typeof some)[number]) => number) =>
          Array.from({ length: slots }, (_, i) => (i < some.length ? value(some[i]) : -1));
        await program.run("copy", {
          from: padded(({ from }) => from),
          to: padded(({ to }) => to),
          lengths: padded(({ length }) => length),
        });
      }
    },
    async decode(steps) {
      const width = widths.find((width) => width >= steps.length) as number;
      const column = (value: (step: Step) => number, padding: number) =>
        Array.from({ length: width }, (_, i) => (i < steps.length ? value(steps[i]) : padding));
      const values: Record<string, number | number[]> = { [`tokens${width}`]: column(({ token }) => token, 0) };
      if (slots === 1) values.position = steps[0].position;
      else {
        values[`positions${width}`] = column(({ position }) => position, 0);
        values[`slots${width}`] = column(({ slot }) => slot, -1); // −1 reads and writes nothing
      }
      const found = scores.get(width) as Scores;
      await Promise.all([
        program.run(`decode${width}`, values),
        program.read(`logits${width}`, found.logits),
        program.read(`logSumExp${width}`, found.logSumExp),
      ]);
      return found;
    },
    dispose: () => programs.close(program),
  };
};

/** Decoding without a cache: each slot is a text, and each token runs the whole text through the model. */
export const wholeProgram: OpenProgram = async (config, { slots, sequence }, programs) => {
  const { weights } = programs;
  const { hidden } = forward(config, weights, input("ids", [1, sequence], "i32"));
  const rows = reshape(hidden, [sequence, config.width]); // (T, C)
  const last = embedding(rows, input("last", [1], "i32")); // (1, C), one row looked up as in an embedding table
  const program = await programs.open({ whole: { outputs: scoresOf(config, weights, last) } });
  const texts = Array.from({ length: slots }, () => new Int32Array(sequence));
  return {
    slots,
    sequence,
    plan: program.plan,
    async prefill(slot, tokens, position) {
      texts[slot].set(tokens, position);
    },
    async copy(copies) {
      for (const { from, to, length } of copies) texts[to].set(texts[from].subarray(0, length));
    },
    async decode(steps) {
      const scores = {
        logits: new Float32Array(steps.length * config.vocabSize),
        logSumExp: new Float32Array(steps.length),
      };
      for (const [i, { slot, token, position }] of steps.entries()) {
        texts[slot][position] = token;
        await program.run("whole", { ids: texts[slot], last: [position] });
        scores.logits.set(await program.read("logits"), i * config.vocabSize);
        scores.logSumExp.set(await program.read("logSumExp"), i);
      }
      return scores;
    },
    dispose: () => programs.close(program),
  };
};
