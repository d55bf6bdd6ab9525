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
import type { Completion, GenerateCalls, GeneratedToken, GenerateRequest } from "./completion.js";
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
  /** Rejects what is under way. */
  close(): void;
}

/** A request that is waiting or under way. */
interface Call {
  readonly request: GenerateRequest;
  readonly calls: GenerateCalls;
  /** True once it has all its completions, or was aborted, or failed. */
  readonly isOver: boolean;
  finish(index: number, completion: Completion): void;
  fail(error: unknown): void;
}

/** One completion of a call. */
interface Sequence {
  readonly call: Call;
  readonly index: number;
  readonly random: RandomStream;
  /** What the model sees: the prompt and what was drawn, without what the sequence has no room for. */
  readonly text: number[];
  /** Tokens of the text that are put through as a prompt: all but the last one when it began. */
  prompt: number;
  /** Each token of prompt and text once, also those dropped from the text; null where no penalty wants it. */
  readonly seen: Set<number> | null;
  readonly drawn: GeneratedToken[];
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
      program = null; // what its slots hold is not known
    } finally {
      isRunning = false;
    }
  }

  /** Frees the slots of requests that were aborted or failed. @returns how many completions are left */
  function removeEnded(): number {
    if (hasFailed) {
      for (const slot of slots) if (slot.sequence?.call.isOver) slot.sequence = null;
      waiting = waiting.filter(({ call }) => !call.isOver);
      hasFailed = false;
    }
    return waiting.length + slots.filter(({ sequence }) => sequence !== null).length;
  }

  const lengthOf = ({ text, call, drawn }: Sequence) => text.length + call.request.tokens - drawn.length;
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
      if (sequence.call.isOver || slot.cached.length < sequence.text.length) continue;
      const { call, index, drawn } = sequence;
      try {
        const over = draw(sequence, scores, i);
        if (over === null) extend(slot, sequence, drawn[drawn.length - 1].id);
        else {
          slot.sequence = null;
          call.finish(index, { tokens: drawn, ...over });
        }
      } catch (error) {
        call.fail(error);
      }
    }
  }

  /**
   * Draws the next token of a text from row `i` of the scores.
   * @returns why the completion is over; null if it is not
   */
  function draw(sequence: Sequence, { logits, logSumExp }: Scores, i: number): Omit<Completion, "tokens"> | null {
    const { call, index, drawn } = sequence;
    const { request, calls } = call;
    const V = logits.length / logSumExp.length;
    const row = logits.subarray(i * V, (i + 1) * V);
    const total = logSumExp[i];
    if (!Number.isFinite(total)) {
      throw new QuernError("the model's logits are not numbers: its weights are damaged, or training diverged");
    }
    if (index === 0 && drawn.length === 0) calls.onLogits?.(row, total);
    if (request.tokens === 0) return { end: null, finishReason: "length" };
    const uniform = sequence.random.uniform(drawn.length);
    const { id, logprob } = sampler.draw(row, request, uniform, sequence.seen ?? []);
    const token: GeneratedToken = { id, logprob: row[id] - total, samplingLogprob: logprob };
    if (request.endOfText.includes(id)) return { end: token, finishReason: "stop" };
    drawn.push(token);
    if (calls.onToken?.(token, index) === true) return { end: null, finishReason: "stop" };
    return drawn.length === request.tokens ? { end: null, finishReason: "length" } : null;
  }

  /** Adds a token to what the model sees. */
  function extend(slot: Slot, sequence: Sequence, id: number): void {
    const { text, seen } = sequence;
    seen?.add(id);
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

  /** The sequences of a request, whose results settle a promise. */
  function begin(request: GenerateRequest, calls: GenerateCalls): Promise<Completion[]> {
    return new Promise((resolve, reject) => {
      if (isClosed) throw disposed();
      calls.signal?.throwIfAborted();
      const n = request.n ?? 1;
      const completions = new Array<Completion>(n);
      let left = n;
      const end = () => {
        call.isOver = true;
        calls.signal?.removeEventListener("abort", abort);
      };
      const call = {
        request,
        calls,
        isOver: false,
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
      const abort = () => call.fail(calls.signal?.reason);
      calls.signal?.addEventListener("abort", abort, { once: true });
      const prompt = Array.from(request.prompt);
      for (let index = 0; index < n; index++) {
        const text = prompt.slice(-longest);
        waiting.push({
          call,
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
      // Requests that are made together begin together.
      queueMicrotask(() => void run());
    });
  }

  const failAll = (error: unknown) => {
    for (const { call } of [...slots.flatMap(({ sequence }) => sequence ?? []), ...waiting]) call.fail(error);
  };
  return {
    generate: begin,
    close() {
      isClosed = true;
      failAll(disposed());
    },
  };
}

const disposed = () => new QuernError("the decoder was disposed of, and cannot be used any more");

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
