/**
 * @file A model compiled for decoding: a cache of keys and values with a row a slot, into which prompts go in chunks of fixed
 * size and new tokens alone. So a new prompt length compiles nothing, and what a text's keys are does not depend on the
 * texts beside it. Without the cache every token costs a whole forward pass: the same text, slowly, to check the other
 * against.
 */
import type { Plan } from "../backends/index.js";
import { copyCache, forward, keyValueCache, logits, type ModelConfig, modelVariables } from "../model/index.js";
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

/** A token of one slot that goes through the model. */
export interface Step {
  readonly slot: number;
  readonly token: number;
  readonly position: number;
}

/** Of each step, in their order: logits (steps,V), and the logarithm of the sum of their exponentials (steps). */
export interface Scores {
  readonly logits: Float32Array;
  readonly logSumExp: Float32Array;
}

export interface DecodingProgram {
  readonly slots: number;
  /** The longest text of a slot, in tokens. */
  readonly sequence: number;
  readonly plan: Plan;
  /** Writes tokens, at most `CHUNK`, behind the first `position` (a multiple of it) of a slot. */
  prefill(slot: number, tokens: readonly number[], position: number): Promise<void>;
  /** Lets slots begin with the first `length` tokens of others, one after the other. */
  copy(copies: readonly { readonly from: number; readonly to: number; readonly length: number }[]): Promise<void>;
  /**
   * One token of each of several slots: writes it to the cache, and gives the scores of the one after it. They hold until the
   * next call.
   */
  decode(steps: readonly Step[]): Promise<Scores>;
  dispose(): void;
}

/** Tokens of a prompt that go through at once. */
export const CHUNK = 32;

const capacityFor = (sequence: number) => Math.ceil(sequence / CHUNK) * CHUNK; // a last chunk may reach past the sequence

/** Bytes of keys and values of one slot. */
export function bytesPerSlot({ layers, keyValueHeads, headWidth }: ModelConfig, sequence: number): number {
  return 4 * 2 * layers * capacityFor(sequence) * keyValueHeads * headWidth;
}

type OpenProgram = (
  config: ModelConfig,
  shape: { readonly slots: number; readonly sequence: number },
  programs: ModelPrograms,
) => Promise<DecodingProgram>;

/** hidden (N,C) → logits (N,V) and log Σ exp of each row. */
function scoresOf(config: ModelConfig, weights: ReturnType<typeof modelVariables>, hidden: Tensor) {
  const scores = logits(config, weights, hidden);
  const top = max(scores, [1], true);
  const total = sum(exp(sub(scores, top)), [1]);
  return { logits: scores, logSumExp: add(log(total), reshape(top, total.shape)) };
}

/**
 * How many texts a step may have. A step runs in the narrowest entry that holds it: with a product's rows its time grows,
 * and with every entry the time to build a program.
 */
const WIDTHS = [1, 8, 64];

/** With the cache. */
export const cachedProgram: OpenProgram = async (config, { slots, sequence }, programs) => {
  const weights = modelVariables(config);
  const cache = keyValueCache(config, slots, capacityFor(sequence));
  const widths = [...WIDTHS.filter((width) => width < slots), slots];
  const rowsOf = (name: string, width: number) => (slots === 1 ? undefined : input(name, [width], "i32"));

  const position = scalar("position", "i32");
  const chunked = input("chunk", [1, CHUNK], "i32");
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
      // What pads the chunk lies behind the text, where the next tokens overwrite it before anyone looks.
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
        values[`slots${width}`] = column(({ slot }) => slot, -1); // reads and writes nothing
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

/** Without: the slots are texts, and each token goes through the model with all before it. */
export const wholeProgram: OpenProgram = async (config, { slots, sequence }, programs) => {
  const weights = modelVariables(config);
  const { hidden } = forward(config, weights, input("ids", [1, sequence], "i32"));
  const rows = reshape(hidden, [sequence, config.width]);
  const last = embedding(rows, input("last", [1], "i32")); // one row of it, picked as from a table
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
