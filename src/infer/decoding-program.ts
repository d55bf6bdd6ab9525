/**
 * @file A model compiled for decoding: a cache of keys and values with a row a slot, into which prompts go in chunks of fixed
 * size and new tokens alone. So a new prompt length compiles nothing, and what a text's keys are does not depend on the
 * texts beside it. Without the cache every token costs a whole forward pass: the same text, slowly, to check the other
 * against.
 */
import { type CompileOptions, compile, type Plan, type Program, type Written } from "../backends/index.js";
import { forward, keyValueCache, logits, type ModelConfig, modelVariables } from "../model/index.js";
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
  /** One token of each of several slots: writes it to the cache, and gives the scores of the one after it. */
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
  readParameter: (name: string) => Written | Promise<Written>,
  options: CompileOptions,
) => Promise<DecodingProgram>;

async function load(
  config: ModelConfig,
  entries: Readonly<Record<string, Entry>>,
  readParameter: (name: string) => Written | Promise<Written>,
  options: CompileOptions,
): Promise<Program> {
  const program = await compile(entries, options);
  try {
    for (const name of modelVariables(config).keys()) program.write(name, await readParameter(name));
  } catch (error) {
    program.dispose();
    throw error;
  }
  return program;
}

/** hidden (N,C) → logits (N,V) and log Σ exp of each row. */
function scoresOf(config: ModelConfig, weights: ReturnType<typeof modelVariables>, hidden: Tensor) {
  const scores = logits(config, weights, hidden);
  const top = max(scores, [1], true);
  const total = sum(exp(sub(scores, top)), [1]);
  return { logits: scores, logSumExp: add(log(total), reshape(top, total.shape)) };
}

/** With the cache. */
export const cachedProgram: OpenProgram = async (config, { sequence }, readParameter, options) => {
  const weights = modelVariables(config);
  const cache = keyValueCache(config, 1, capacityFor(sequence));
  const position = scalar("position", "i32");
  const prefill = forward(config, weights, input("chunk", [1, CHUNK], "i32"), { cache, position });
  const decode = forward(config, weights, input("token", [1, 1], "i32"), { cache, position });
  const entries = {
    prefill: { outputs: {}, assign: prefill.assign },
    decode: {
      outputs: scoresOf(config, weights, reshape(decode.hidden, [1, config.width])),
      assign: decode.assign,
    },
  };
  const program = await load(config, entries, readParameter, options);
  const chunk = new Int32Array(CHUNK);
  return {
    slots: 1,
    sequence,
    plan: program.plan,
    async prefill(_slot, tokens, position) {
      // What pads the chunk lies behind the text, where the next tokens overwrite it before anyone looks.
      chunk.fill(0).set(tokens);
      await program.run("prefill", { chunk, position });
    },
    async copy() {},
    async decode([{ token, position }]) {
      const [, logits, logSumExp] = await Promise.all([
        program.run("decode", { token: [token], position }),
        program.read("logits"),
        program.read("logSumExp"),
      ]);
      return { logits, logSumExp };
    },
    dispose: () => program.dispose(),
  };
};

/** Without: the slots are texts, and each token goes through the model with all before it. */
export const wholeProgram: OpenProgram = async (config, { slots, sequence }, readParameter, options) => {
  const weights = modelVariables(config);
  const { hidden } = forward(config, weights, input("ids", [1, sequence], "i32"));
  const rows = reshape(hidden, [sequence, config.width]);
  const last = embedding(rows, input("last", [1], "i32")); // one row of it, picked as from a table
  const program = await load(config, { whole: { outputs: scoresOf(config, weights, last) } }, readParameter, options);
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
    dispose: () => program.dispose(),
  };
};
