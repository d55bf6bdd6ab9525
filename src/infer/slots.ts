/**
 * @file Schedules completions on a decoding program (continuous batching). Each completion occupies a slot from start to
 * end; between two steps others may join and leave. A step runs at most one chunk of each prompt being prefilled, and one
 * token of each text whose prompt is done.
 *
 * A text is bit-identical whatever runs in the other slots. Chunks begin at multiples of `CHUNK` from the start of the text.
 * A cached prefix is reused only if this text would have prefilled the same tokens in the same chunks.
 */
import { QuernError } from "../errors.js";
import { type RandomStream, randomStream } from "../model/index.js";
import type { Completion, GenerateCallbacks, GeneratedToken, GenerateRequest } from "./completion.js";
import { CHUNK, type DecodingProgram, type Scores, type Step } from "./decoding-program.js";
import { createSampler } from "./sampling.js";

export interface Shape {
  readonly slots: number;
  /** The longest text, in tokens. */
  readonly sequence: number;
}

export interface SlotsOptions {
  /** Maximum text length in tokens; a longer text loses its oldest half. */
  readonly sequence: number;
  /** Returns the shape for a number of completions of at most `tokens` tokens each, prompt included. */
  readonly shapeFor: (completions: number, tokens: number) => Shape;
  /** Opens a program of at least this shape. Called while all slots are free; the previous program's cache may be lost. */
  readonly open: (shape: Shape) => Promise<DecodingProgram>;
}

export interface Slots {
  generate(request: GenerateRequest, callbacks: GenerateCallbacks): Promise<Completion[]>;
  /** Forgets the tokens in the cache, which the next texts would reuse. */
  reset(): void;
  /** Rejects all waiting and running requests. */
  close(): void;
}

/** A request that is waiting or running. */
interface PendingRequest {
  readonly request: GenerateRequest;
  readonly callbacks: GenerateCallbacks;
  /** True once it has all its completions, was aborted, or failed. */
  readonly isSettled: boolean;
  finish(index: number, completion: Completion): void;
  fail(error: unknown): void;
}

/** One completion of a request. */
interface Sequence {
  readonly pending: PendingRequest;
  readonly index: number;
  readonly random: RandomStream;
  /** The tokens that the model sees: prompt and generated tokens, without those dropped for lack of room. */
  readonly text: number[];
  /** Tokens of the text that are prefilled as a prompt: all but the last one of the initial text. */
  prompt: number;
  /** The distinct tokens of prompt and completion, including dropped ones; null without a repetition penalty. */
  readonly seen: Set<number> | null;
  readonly drawn: GeneratedToken[];
}

interface Slot {
  readonly index: number;
  sequence: Sequence | null;
  /** Tokens whose keys and values are in the cache, from the start of a text. */
  cached: number[];
  /** Length of the prompt that was prefilled into this slot. */
  prompt: number;
  /** The step in which it was last assigned. */
  lastTaken: number;
}

/** If fewer tokens than this remain of a prompt, they are decoded one by one: a whole chunk would take longer. */
const MIN_CHUNK = CHUNK / 4;

/** Waiting completions considered for a free slot, beyond the number of slots. */
const LOOKAHEAD = 64;

export function createSlots({ sequence: longest, shapeFor, open }: SlotsOptions): Slots {
  const sampler = createSampler();
  let waiting: Sequence[] = [];
  let program: DecodingProgram | null = null;
  let slots: Slot[] = [];
  let steps = 0;
  let isRunning = false;
  let isClosed = false;
  /** A request was aborted or failed since the last call of `removeEnded`. */
  let hasFailed = false;

  async function run(): Promise<void> {
    try {
      while (removeEnded() > 0) {
        if (slots.every(({ sequence }) => sequence === null)) await openFor(waiting);
        if (isClosed) return;
        await step(program as DecodingProgram);
      }
    } catch (error) {
      failAll(error);
      removeEnded();
      program = null; // the contents of its slots are unknown
    } finally {
      isRunning = false;
    }
  }

  /** Frees the slots of requests that were aborted or failed, and returns the number of remaining completions. */
  function removeEnded(): number {
    if (hasFailed) {
      for (const slot of slots) if (slot.sequence?.pending.isSettled) slot.sequence = null;
      waiting = waiting.filter(({ pending }) => !pending.isSettled);
      hasFailed = false;
    }
    return waiting.length + slots.filter(({ sequence }) => sequence !== null).length;
  }

  const lengthOf = ({ text, pending, drawn }: Sequence) => text.length + pending.request.tokens - drawn.length;
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
      if (sequence.pending.isSettled || slot.cached.length < sequence.text.length) continue;
      const { pending, index, drawn } = sequence;
      try {
        const ending = draw(sequence, scores, i);
        if (ending === null) extend(slot, sequence, drawn[drawn.length - 1].id);
        else {
          slot.sequence = null;
          pending.finish(index, { tokens: drawn, ...ending });
        }
      } catch (error) {
        pending.fail(error);
      }
    }
  }

  /**
   * Samples the next token of a text from row `i` of the scores.
   * @returns how the completion ended; null if it continues
   */
  function draw(sequence: Sequence, { logits, logSumExp }: Scores, i: number): Omit<Completion, "tokens"> | null {
    const { pending, index, drawn } = sequence;
    const { request, callbacks } = pending;
    const V = logits.length / logSumExp.length;
    const row = logits.subarray(i * V, (i + 1) * V); // (V)
    const total = logSumExp[i];
    if (!Number.isFinite(total)) {
      throw new QuernError("the model's logits are NaN or infinite: its weights are damaged, or training diverged");
    }
    if (index === 0 && drawn.length === 0) callbacks.onLogits?.(row, total);
    if (request.tokens === 0) return { end: null, finishReason: "length" };
    const uniform = sequence.random.uniform(drawn.length);
    const { id, logprob } = sampler.draw(row, request, uniform, sequence.seen ?? [], total);
    const token: GeneratedToken = { id, logprob: row[id] - total, samplingLogprob: logprob };
    if (request.endOfText.includes(id)) return { end: token, finishReason: "stop" };
    drawn.push(token);
    if (callbacks.onToken?.(token, index) === true) return { end: null, finishReason: "stop" };
    return drawn.length === request.tokens ? { end: null, finishReason: "length" } : null;
  }

  /** Appends a token to the text that the model sees. */
  function extend(slot: Slot, sequence: Sequence, id: number): void {
    const { text, seen } = sequence;
    seen?.add(id);
    if (text.length === longest) {
      // All trained positions are used: the newer half continues as a new text.
      text.splice(0, Math.ceil(longest / 2));
      sequence.prompt = text.length;
      slot.prompt = sequence.prompt;
      slot.cached = [];
    }
    text.push(id);
  }

  /** Assigns free slots to waiting completions. */
  async function admit(program: DecodingProgram): Promise<void> {
    if (waiting.length === 0) return;
    const free = new Set(slots.filter(({ sequence }) => sequence === null));
    if (free.size === 0) return;
    // A larger program can only be opened when all slots are free, so until then no completion joins.
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
        // The prefix that this slot will share once its own prompt is prefilled.
        if (slot.sequence !== null && slot.cached.length < slot.prompt) {
          coming = Math.max(coming, sharedTokens(sequence, slot, slot.sequence.text));
        }
      }
      if (coming > shared) continue; // waiting is cheaper than prefilling the same tokens twice
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

  /** Queues the sequences of a request. The promise settles with their completions. */
  function begin(request: GenerateRequest, callbacks: GenerateCallbacks): Promise<Completion[]> {
    return new Promise((resolve, reject) => {
      if (isClosed) throw disposed();
      callbacks.signal?.throwIfAborted();
      const n = request.n ?? 1;
      const completions = new Array<Completion>(n);
      let left = n;
      const end = () => {
        pending.isSettled = true;
        callbacks.signal?.removeEventListener("abort", abort);
      };
      const pending = {
        request,
        callbacks,
        isSettled: false,
        finish(index: number, completion: Completion) {
          completions[index] = completion;
          left -= 1;
          if (left > 0) return;
          end();
          resolve(completions);
        },
        fail(error: unknown) {
          end();
          hasFailed = true;
          reject(error);
        },
      };
      const abort = () => pending.fail(callbacks.signal?.reason);
      callbacks.signal?.addEventListener("abort", abort, { once: true });
      const prompt = Array.from(request.prompt);
      for (let index = 0; index < n; index++) {
        const text = prompt.slice(-longest);
        waiting.push({
          pending,
          index,
          random: randomStream(request.seed + index, "generate"),
          text,
          prompt: text.length - 1,
          seen: (request.repetitionPenalty ?? 1) === 1 ? null : new Set(prompt),
          drawn: [],
        });
      }
      if (isRunning) return;
      isRunning = true;
      // Starts after the current task, so that requests made together start together.
      queueMicrotask(() => void run());
    });
  }

  const failAll = (error: unknown) => {
    for (const { pending } of [...slots.flatMap(({ sequence }) => sequence ?? []), ...waiting]) pending.fail(error);
  };
  return {
    generate: begin,
    reset() {
      for (const slot of slots) slot.cached = [];
    },
    close() {
      isClosed = true;
      failAll(disposed());
    },
  };
}

const disposed = () => new QuernError("the decoder was disposed of and cannot be used any more");

/**
 * Returns how many tokens a completion can reuse from a slot whose cache contains `tokens`. That is the whole prompt if it
 * is the same, otherwise whole chunks, since the prompt's length determines where its chunks end.
 */
function sharedTokens({ text, prompt }: Sequence, slot: Slot, tokens: readonly number[]): number {
  const most = Math.min(prompt, slot.prompt, tokens.length);
  let common = 0;
  while (common < most && text[common] === tokens[common]) common++;
  if (common === prompt && prompt === slot.prompt) return common;
  return Math.floor(common / CHUNK) * CHUNK;
}
