/**
 * @file The order in which completions share a decoding program. Each has a slot from when it begins to when it ends; between
 * two steps others may join and leave. A step runs at most one chunk of each prompt that is under way, and one token of each
 * text whose prompt is through.
 *
 * A text has the same bits whoever is beside it: chunks begin at multiples of `CHUNK` from the text's own beginning, and
 * what a slot holds already is taken over only where this very text would have put the same tokens through in the same
 * chunks.
 */
import { QuernError } from "../errors.js";
import { type RandomStream, randomStream } from "../model/index.js";
import type { Completion, GenerateCalls, GeneratedToken, GenerateRequest } from "./decoder.js";
import { CHUNK, type DecodingProgram, type Scores, type Step } from "./decoding-program.js";
import { createSampler } from "./sampling.js";

export interface Shape {
  readonly slots: number;
  /** The longest text, in tokens. */
  readonly sequence: number;
}

export interface SlotsOptions {
  /** The longest text that the model sees: a longer one loses its oldest half. */
  readonly sequence: number;
  /** The program wanted for so many completions of at most so many tokens, prompt and all. */
  readonly shapeFor: (completions: number, tokens: number) => Shape;
  /** A program of at least this shape. Called while no slot is taken; what the slots of the one before hold may be lost. */
  readonly open: (shape: Shape) => Promise<DecodingProgram>;
}

export interface Slots {
  generate(request: GenerateRequest, calls: GenerateCalls): Promise<Completion[]>;
  nextLogits(
    prompt: ArrayLike<number>,
    calls: Pick<GenerateCalls, "signal">,
  ): Promise<{ readonly logits: Float32Array; readonly logSumExp: number }>;
  /** Rejects what is under way. */
  close(): void;
}

/** One completion, waiting or under way. */
interface Sequence {
  readonly request: GenerateRequest;
  readonly index: number;
  readonly random: RandomStream;
  /** What the model sees: the prompt and what was drawn, without what the sequence has no room for. */
  readonly text: number[];
  /** Tokens of the text that are put through as a prompt: all but the last one when it began. */
  prompt: number;
  /** Each token of prompt and text once, also those dropped from the text; null where no penalty wants it. */
  readonly seen: Set<number> | null;
  readonly drawn: GeneratedToken[];
  /** True once the request was aborted or failed. */
  readonly isOver: () => boolean;
  readonly onToken?: GenerateCalls["onToken"];
  readonly onLogits?: (logits: Float32Array, logSumExp: number) => void;
  readonly finish: (completion: Completion) => void;
  readonly fail: (error: unknown) => void;
}

interface Slot {
  readonly index: number;
  sequence: Sequence | null;
  /** Tokens whose keys and values it holds, from the beginning of a text. */
  cached: number[];
  /** How many of them went through as a prompt that was so long. */
  prompt: number;
  /** The step in which it was last taken. */
  lastTaken: number;
}

/** A prompt's last tokens, if they are fewer, go through one by one: a whole chunk for them takes longer. */
const MIN_CHUNK = CHUNK / 4;

/** Waiting completions that are looked at for a free slot, beyond the number of slots. */
const LOOKAHEAD = 64;

export function createSlots({ sequence: longest, shapeFor, open }: SlotsOptions): Slots {
  const sampler = createSampler();
  let waiting: Sequence[] = [];
  let program: DecodingProgram | null = null;
  let slots: Slot[] = [];
  let steps = 0;
  let isRunning = false;
  let isClosed = false;
  /** Some request was aborted or failed since that was last looked at. */
  let hasFailed = false;

  const enqueue = (sequence: Sequence) => {
    waiting.push(sequence);
    if (isRunning) return;
    isRunning = true;
    // Requests that are made together begin together.
    queueMicrotask(() => void run());
  };

  async function run(): Promise<void> {
    try {
      while (removeEnded() > 0) {
        if (slots.every(({ sequence }) => sequence === null)) await openFor(waiting);
        if (isClosed) return;
        await step(program as DecodingProgram);
      }
    } catch (error) {
      for (const sequence of [...slots.flatMap(({ sequence }) => sequence ?? []), ...waiting]) sequence.fail(error);
      removeEnded();
      program = null; // what its slots hold is not known
    } finally {
      isRunning = false;
    }
  }

  /** Frees the slots of requests that were aborted or failed. @returns how many completions are left */
  function removeEnded(): number {
    if (hasFailed) {
      for (const slot of slots) if (slot.sequence?.isOver()) slot.sequence = null;
      waiting = waiting.filter((sequence) => !sequence.isOver());
      hasFailed = false;
    }
    return waiting.length + slots.filter(({ sequence }) => sequence !== null).length;
  }

  const lengthOf = ({ text, request, drawn }: Sequence) => text.length + request.tokens - drawn.length;
  const wantedShape = (sequences: readonly Sequence[]) =>
    shapeFor(
      sequences.length,
      sequences.reduce((most, sequence) => Math.max(most, Math.min(longest, lengthOf(sequence))), 0),
    );

  async function openFor(sequences: readonly Sequence[]): Promise<void> {
    const opened = await open(wantedShape(sequences));
    if (opened === program) return;
    program = opened;
    slots = Array.from({ length: opened.slots }, (_, index) => {
      return { index, sequence: null, cached: [], prompt: 0, lastTaken: 0 };
    });
  }

  async function step(program: DecodingProgram): Promise<void> {
    steps += 1;
    await admit(program);
    const ready: Slot[] = [];
    for (const slot of slots) {
      if (slot.sequence === null) continue;
      const { text } = slot.sequence;
      const left = text.length - 1 - slot.cached.length;
      if (left < MIN_CHUNK) {
        ready.push(slot);
        continue;
      }
      const tokens = text.slice(slot.cached.length, slot.cached.length + Math.min(left, CHUNK));
      await program.prefill(slot.index, tokens, slot.cached.length);
      slot.cached.push(...tokens);
    }
    if (ready.length === 0) return;
    const batch = ready.map(({ index, sequence, cached }): Step => {
      return { slot: index, token: (sequence as Sequence).text[cached.length], position: cached.length };
    });
    const scores = await program.decode(batch);
    for (const [i, slot] of ready.entries()) {
      slot.cached.push(batch[i].token);
      const sequence = slot.sequence as Sequence;
      if (!sequence.isOver() && slot.cached.length === sequence.text.length) take(slot, sequence, scores, i);
    }
  }

  /** Draws the next token of a text from row `i` of the scores. */
  function take(slot: Slot, sequence: Sequence, { logits, logSumExp }: Scores, i: number): void {
    const V = logits.length / logSumExp.length;
    const row = logits.subarray(i * V, (i + 1) * V);
    const total = logSumExp[i];
    if (!Number.isFinite(total)) {
      sequence.fail(
        new QuernError("the model's logits are not numbers: its weights are damaged, or training diverged"),
      );
      return;
    }
    const { request, drawn, text, onLogits } = sequence;
    if (onLogits) {
      slot.sequence = null;
      onLogits(row.slice(), total);
      return;
    }
    const uniform = sequence.random.uniform(drawn.length);
    const { id, logprob } = sampler.draw(row, request, uniform, sequence.seen ?? []);
    const token: GeneratedToken = { id, logprob: row[id] - total, samplingLogprob: logprob };
    const finish = (end: GeneratedToken | null, finishReason: Completion["finishReason"]) => {
      slot.sequence = null;
      sequence.finish({ tokens: drawn, end, finishReason });
    };
    if (request.endOfText.includes(id)) {
      finish(token, "stop");
      return;
    }
    drawn.push(token);
    try {
      if (sequence.onToken?.(token, sequence.index) === true) finish(null, "stop");
    } catch (error) {
      sequence.fail(error);
    }
    if (slot.sequence === null || sequence.isOver()) return;
    if (drawn.length === request.tokens) {
      finish(null, "length");
      return;
    }
    sequence.seen?.add(id);
    if (text.length === longest) {
      // The trained positions are used up: the newer half goes on as a text of its own.
      text.splice(0, Math.ceil(longest / 2));
      sequence.prompt = text.length;
      slot.prompt = sequence.prompt;
      slot.cached = [];
    }
    text.push(id);
  }

  /** Gives free slots to waiting completions. */
  async function admit(program: DecodingProgram): Promise<void> {
    if (waiting.length === 0) return;
    const free = new Set(slots.filter(({ sequence }) => sequence === null));
    if (free.size === 0) return;
    // A larger program is opened when the slots are empty: no more join until then.
    const taken = slots.flatMap(({ sequence }) => sequence ?? []);
    if (taken.length > 0) {
      const wanted = wantedShape([...taken, ...waiting.slice(0, slots.length + LOOKAHEAD)]);
      if (wanted.slots > program.slots || wanted.sequence > program.sequence) return;
    }
    const copies: { from: number; to: number; length: number }[] = [];
    for (const sequence of waiting.slice(0, slots.length + LOOKAHEAD)) {
      if (free.size === 0) break;
      let best: Slot | null = null;
      let shared = 0;
      let coming = 0;
      for (const slot of slots) {
        const length = sharedTokens(sequence, slot, slot.cached);
        if (length > shared || (length === shared && length > 0 && free.has(slot))) {
          best = slot;
          shared = length;
        }
        // What the slot will hold when its own prompt is through.
        if (slot.sequence !== null && slot.cached.length < slot.prompt) {
          coming = Math.max(coming, sharedTokens(sequence, slot, slot.sequence.text));
        }
      }
      if (coming > shared) continue; // waiting for it costs less than putting the same tokens through again
      const oldest = [...free].reduce((a, b) => (b.lastTaken < a.lastTaken ? b : a));
      const slot = best !== null && free.has(best) ? best : oldest;
      if (best !== null && best !== slot) copies.push({ from: best.index, to: slot.index, length: shared });
      slot.cached = (best ?? slot).cached.slice(0, shared);
      slot.prompt = sequence.prompt;
      slot.sequence = sequence;
      slot.lastTaken = steps;
      free.delete(slot);
      waiting.splice(waiting.indexOf(sequence), 1);
    }
    if (copies.length > 0) await program.copy(copies);
  }

  const sequenceOf = (
    request: GenerateRequest,
    index: number,
    rest: Pick<Sequence, "isOver" | "onToken" | "onLogits" | "finish" | "fail">,
  ): Sequence => {
    const prompt = Array.from(request.prompt);
    const text = prompt.slice(-longest);
    const hasPenalty = (request.repetitionPenalty ?? 1) !== 1;
    return {
      request,
      index,
      random: randomStream(request.seed + index, "generate"),
      text,
      prompt: text.length - 1,
      seen: hasPenalty ? new Set(prompt) : null,
      drawn: [],
      ...rest,
    };
  };

  /** Waits for `count` results, one by one, unless the signal or a failure ends them all. */
  function under<R>(
    signal: AbortSignal | undefined,
    count: number,
    begin: (
      index: number,
      calls: {
        readonly isOver: () => boolean;
        readonly done: (result: R) => void;
        readonly fail: (error: unknown) => void;
      },
    ) => void,
  ): Promise<R[]> {
    return new Promise((resolve, reject) => {
      if (isClosed) throw new QuernError("the decoder was disposed of, and cannot be used any more");
      signal?.throwIfAborted();
      const results = new Array<R>(count);
      let left = count;
      let isOver = false;
      const fail = (error: unknown) => {
        isOver = true;
        hasFailed = true;
        signal?.removeEventListener("abort", onAbort);
        reject(error);
      };
      const onAbort = () => fail(signal?.reason);
      signal?.addEventListener("abort", onAbort, { once: true });
      for (let index = 0; index < count; index++) {
        const done = (result: R) => {
          results[index] = result;
          left -= 1;
          if (left > 0) return;
          isOver = true;
          signal?.removeEventListener("abort", onAbort);
          resolve(results);
        };
        begin(index, { isOver: () => isOver, done, fail });
      }
    });
  }

  return {
    generate: (request, { signal, onToken }) =>
      under<Completion>(signal, request.n ?? 1, (index, { isOver, done, fail }) =>
        enqueue(sequenceOf(request, index, { isOver, onToken, finish: done, fail })),
      ),
    async nextLogits(prompt, { signal }) {
      const request = { prompt, tokens: 1, seed: 0, endOfText: [], temperature: 0, topK: 0 };
      type Next = { readonly logits: Float32Array; readonly logSumExp: number };
      const [next] = await under<Next>(signal, 1, (index, { isOver, done, fail }) => {
        const onLogits = (logits: Float32Array, logSumExp: number) => done({ logits, logSumExp });
        enqueue(sequenceOf(request, index, { isOver, onLogits, finish: () => {}, fail }));
      });
      return next;
    },
    close() {
      isClosed = true;
      const error = new QuernError("the decoder was disposed of, and cannot be used any more");
      for (const sequence of [...slots.flatMap(({ sequence }) => sequence ?? []), ...waiting]) sequence.fail(error);
    },
  };
}

/**
 * Tokens that a completion can take over from a slot, once it holds `tokens`: the whole prompt if it is the same, otherwise
 * whole chunks of it, since where a prompt's chunks end depends on its length.
 */
function sharedTokens({ text, prompt }: Sequence, slot: Slot, tokens: readonly number[]): number {
  const most = Math.min(prompt, slot.prompt, tokens.length);
  let common = 0;
  while (common < most && text[common] === tokens[common]) common++;
  if (common === prompt && prompt === slot.prompt) return common;
  return Math.floor(common / CHUNK) * CHUNK;
}
