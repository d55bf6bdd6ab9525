/**
 * @file A model compiled for decoding. Its key-value cache has one row per slot. Prompts are prefilled in chunks of fixed
 * size, new tokens one at a time. So a new prompt length compiles nothing, and a text's keys depend neither on other slots nor
 * on the tokens after them.
 *
 * The variant without a cache runs a whole forward pass per token: the same text, slowly, as a reference for the cached one.
 */
import type { Plan, Program } from "../backends/index.js";
import {
  copyCache,
  forward,
  type KvDType,
  keyValueCache,
  logits,
  type ModelConfig,
  type ModelVariables,
} from "../model/index.js";
import {
  add,
  DTYPE_BYTES,
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
  /** (rows, V): a row per step, or per token of a prompt and then perhaps rows of padding. */
  readonly logits: Float32Array;
  /** log Σ exp of the logits, (rows). */
  readonly logSumExp: Float32Array;
  /**
   * (rows, V / b), for blocks of b neighbouring tokens: their probability, divided by that of the likeliest token. A token is
   * then found in two short walks instead of one through the vocabulary. Length 0 if no block size divides V well.
   */
  readonly masses: Float32Array;
}

export interface DecodingProgram {
  readonly slots: number;
  /** The longest text of a slot, in tokens. */
  readonly sequence: number;
  readonly plan: Plan;
  /** Appends at most `LONG_CHUNK` tokens to a slot that contains `position` tokens, a multiple of `CHUNK`. */
  prefill(slot: number, tokens: readonly number[], position: number): Promise<void>;
  /** Appends at most `CHUNK` tokens and returns the scores of the next token after each of them. Compiled on first use. */
  prefillScored(slot: number, tokens: readonly number[], position: number): Promise<Scores>;
  /** Copies the first `length` tokens of one slot to another, one copy after the other. */
  copy(copies: readonly { readonly from: number; readonly to: number; readonly length: number }[]): Promise<void>;
  /**
   * Writes one token of each of several slots to the cache and returns the scores of the next one. The scores are valid
   * until the next call.
   */
  decode(steps: readonly Step[]): Promise<Scores>;
  dispose(): void;
}

/** Tokens of a prompt that are prefilled at once while other texts wait for their next token. */
export const CHUNK = 32;
/** Tokens that are prefilled at once otherwise. Each run reads all weights, so more rows per run save time. */
export const LONG_CHUNK = 128;
/**
 * Rows of the prefill entries: the last chunk of a prompt is often short. A token's keys have the same bits in each; with 8 rows,
 * attention would not multiply in bf16 (`multipliesInBf16`).
 */
const PREFILL_ROWS = [16, CHUNK, LONG_CHUNK];

/** Returns how many of `left` tokens the next run of a prefill takes, and the rows of its entry. */
function nextRun(left: number, position: number, capacity: number): { readonly count: number; readonly rows: number } {
  // A long run of half padding takes longer than two short ones.
  if (left > LONG_CHUNK / 2 && position + LONG_CHUNK <= capacity) return { count: left, rows: LONG_CHUNK };
  const count = Math.min(left, CHUNK);
  return { count, rows: PREFILL_ROWS.find((rows) => rows >= count) as number };
}

/** Cache length for texts of `sequence` tokens: the last chunk may extend past the sequence. */
const capacityFor = (sequence: number) => Math.ceil(sequence / CHUNK) * CHUNK;

/** Returns the bytes of one slot's keys and values. */
export function bytesPerSlot(
  { layers, keyValueHeads, headWidth }: ModelConfig,
  sequence: number,
  kvDtype: KvDType = "f32",
): number {
  return DTYPE_BYTES[kvDtype] * 2 * layers * capacityFor(sequence) * keyValueHeads * headWidth;
}

type OpenProgram = (
  config: ModelConfig,
  shape: { readonly slots: number; readonly sequence: number; readonly kvDtype?: KvDType },
  programs: ModelPrograms,
) => Promise<DecodingProgram>;

/** hidden (N, C) → the tensors of `Scores`, of which `masses` may be absent. */
function scoresOf(config: ModelConfig, weights: ModelVariables, hidden: Tensor) {
  const scores = logits(config, weights, hidden);
  const [N, V] = scores.shape;
  const top = max(scores, [1], true);
  const weight = exp(sub(scores, top)); // (N,V)
  const block = massBlock(V);
  const masses = block === null ? null : sum(reshape(weight, [N, V / block, block]), [2]); // (N,V/b)
  const total = sum(masses ?? weight, [1]); // (N)
  return { logits: scores, logSumExp: add(log(total), reshape(top, total.shape)), ...(masses && { masses }) };
}

/** Returns the block size b that divides V and makes V / b + 4 · b, the cost of a draw, least; null if none saves much. */
function massBlock(V: number): number | null {
  let best: number | null = null;
  let least = V / 8;
  for (let block = 8; block <= 512; block++) {
    const cost = V / block + 4 * block;
    if (V % block === 0 && cost < least) [best, least] = [block, cost];
  }
  return best;
}

const NO_MASSES = new Float32Array(0);

/** Arrays for the scores of `steps` steps. */
function emptyScores({ vocabSize: V }: ModelConfig, steps: number): Scores {
  const block = massBlock(V);
  return {
    logits: new Float32Array(steps * V),
    logSumExp: new Float32Array(steps),
    masses: new Float32Array(block === null ? 0 : (steps * V) / block),
  };
}

/**
 * Texts per step that entries are compiled for. A step runs in the narrowest entry that fits it, since the time of a matrix
 * product grows with its rows. There are few, since each entry adds to the compile time.
 */
const WIDTHS = [1, 8, 64];

/** Decoding with the key-value cache. */
export const cachedProgram: OpenProgram = async (config, { slots, sequence, kvDtype }, programs) => {
  const { weights } = programs;
  const cache = keyValueCache(config, slots, capacityFor(sequence), { dtype: kvDtype });
  const widths = [...WIDTHS.filter((width) => width < slots), slots];
  const rowsOf = (name: string, width: number) => (slots === 1 ? undefined : input(name, [width], "i32"));

  const position = scalar("position", "i32");
  // Attention takes a long chunk as several short ones.
  const partInput = (name: string) => input(name, [LONG_CHUNK / CHUNK], "i32");
  const prefill = (rows: number) =>
    forward(config, weights, input(`chunk${rows}`, [1, rows], "i32"), {
      ...{ cache, position, rows: rowsOf("slot", 1) },
      ...(rows > CHUNK && { parts: { position: partInput("partPositions"), rows: partInput("partSlots") } }),
    });
  const entries: Record<string, Entry> = {};
  for (const rows of PREFILL_ROWS.filter((rows) => rows <= cache.capacity)) {
    entries[`prefill${rows}`] = { outputs: {}, assign: prefill(rows).assign };
  }
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
  const scores = new Map(widths.map((width) => [width, emptyScores(config, width)]));
  // The padding is written after the text, where the next tokens overwrite it before it is read.
  const inputsOf = (slot: number, tokens: readonly number[], position: number, rows: number) => {
    const chunk = new Int32Array(rows);
    chunk.set(tokens);
    const parts = Array.from({ length: LONG_CHUNK / CHUNK }, (_, i) => i);
    return {
      ...{ [`chunk${rows}`]: chunk, position, ...(slots > 1 && { slot: [slot] }) },
      // Nothing reads the attention of the last layer in a prefill.
      ...(rows > CHUNK &&
        config.layers > 1 && {
          partPositions: parts.map((i) => position + CHUNK * i),
          partSlots: parts.map(() => slot),
        }),
    };
  };
  let scoring: Promise<Program> | null = null;
  const openScoring = () => {
    const { hidden, assign } = prefill(CHUNK);
    const outputs = scoresOf(config, weights, reshape(hidden, [CHUNK, config.width]));
    return programs.open({ score: { outputs, assign } }, program);
  };
  return {
    slots,
    sequence,
    plan: program.plan,
    async prefill(slot, tokens, position) {
      for (let done = 0; done < tokens.length; ) {
        const { count, rows } = nextRun(tokens.length - done, position + done, cache.capacity);
        const some = tokens.slice(done, done + count);
        await program.run(`prefill${rows}`, inputsOf(slot, some, position + done, rows));
        done += count;
      }
    },
    async prefillScored(slot, tokens, position) {
      scoring ??= openScoring();
      const opened = await scoring;
      await opened.run("score", inputsOf(slot, tokens, position, CHUNK));
      const found = { logits: await opened.read("logits"), logSumExp: await opened.read("logSumExp") };
      return { ...found, masses: NO_MASSES };
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
        ...(found.masses.length > 0 ? [program.read(`masses${width}`, found.masses)] : []),
      ]);
      return found;
    },
    dispose() {
      programs.close(program);
      void scoring?.then((opened) => programs.close(opened)).catch(() => {});
    },
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
    async prefillScored(slot, tokens, position) {
      texts[slot].set(tokens, position);
      const V = config.vocabSize;
      const scores = { logits: new Float32Array(tokens.length * V), logSumExp: new Float32Array(tokens.length) };
      for (let i = 0; i < tokens.length; i++) {
        await program.run("whole", { ids: texts[slot], last: [position + i] });
        scores.logits.set(await program.read("logits"), i * V);
        scores.logSumExp.set(await program.read("logSumExp"), i);
      }
      return { ...scores, masses: NO_MASSES };
    },
    async copy(copies) {
      for (const { from, to, length } of copies) texts[to].set(texts[from].subarray(0, length));
    },
    async decode(steps) {
      const scores = emptyScores(config, steps.length);
      const width = scores.masses.length / steps.length;
      for (const [i, { slot, token, position }] of steps.entries()) {
        texts[slot][position] = token;
        await program.run("whole", { ids: texts[slot], last: [position] });
        scores.logits.set(await program.read("logits"), i * config.vocabSize);
        scores.logSumExp.set(await program.read("logSumExp"), i);
        if (width > 0) scores.masses.set(await program.read("masses"), i * width);
      }
      return scores;
    },
    dispose: () => programs.close(program),
  };
};
