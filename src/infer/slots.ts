/**
 * @file Schedules completions on a decoding program (continuous batching). Each completion occupies a slot from start to
 * end; between two steps others may join and leave. A step runs chunks of the prompts being prefilled, and one token of each
 * text whose prompt is done. Free slots go to the requests that occupy the fewest, so a large request delays no other.
 *
 * A text is bit-identical whatever runs in the other slots or was cached before. Chunks begin at multiples of `CHUNK` from the
 * start of the text, and the bits of a prompt's token depend only on the tokens before it. So a cached prefix is reused if it
 * was prefilled too: up to the last whole chunk, or completely if it covers the new prompt. Decoded tokens have other bits;
 * `keepAnswers` prefills them again while nothing else runs, so that the next turn of a conversation finds them.
 */
import { setImmediate as turn } from "node:timers/promises";
import { QuernError } from "../errors.js";
import type { Completion, GenerateCallbacks, GenerateRequest } from "./completion.js";
import { CHUNK, type DecodingProgram, LONG_CHUNK, type Step } from "./decoding-program.js";
import { drawToken, rowOf, topOf } from "./next-token.js";
import {
  isBefore,
  type PendingRequest,
  pendingRequest,
  type Sequence,
  type Share,
  sequenceOf,
} from "./pending-requests.js";
import { createSampler } from "./sampling.js";

export interface Shape {
  readonly slots: number;
  /** The longest text, in tokens. */
  readonly sequence: number;
}

export interface SlotsOptions {
  /** Maximum text length in tokens. */
  readonly sequence: number;
  /** Returns the shape for a number of completions of at most `tokens` tokens each, prompt included. */
  readonly shapeFor: (completions: number, tokens: number) => Shape;
  /** Opens a program of at least this shape. Called while all slots are free; the previous program's cache may be lost. */
  readonly open: (shape: Shape) => Promise<DecodingProgram>;
  /** Prefills the tokens of ended completions while nothing else runs. Default false. */
  readonly keepAnswers?: boolean;
}

export interface Slots {
  generate(request: GenerateRequest, callbacks: GenerateCallbacks): Promise<Completion[]>;
  /** Forgets the tokens in the cache, which the next texts would reuse. */
  reset(): void;
  /** Rejects all waiting and running requests. */
  close(): void;
}

interface Slot {
  readonly index: number;
  sequence: Sequence | null;
  /** Tokens whose keys and values are in the cache, from the start of a text. */
  cached: number[];
  /** How many of these were prefilled; the others were decoded. */
  prefilled: number;
  /** The last step in which it was assigned or in use. */
  lastUsed: number;
}

/** A slot with its completion. */
type TakenSlot = Slot & { sequence: Sequence };

/** Waiting requests considered for the shape of a program beyond the number of slots, and for the free slots of a step. */
const LOOKAHEAD = 64;

export function createSlots({ sequence: longest, shapeFor, open, keepAnswers = false }: SlotsOptions): Slots {
  const sampler = createSampler();
  /** Requests with completions that have no slot yet, in order of arrival. */
  let waiting: PendingRequest[] = [];
  const shares = new WeakMap<object, Share>();
  let program: DecodingProgram | null = null;
  let slots: Slot[] = [];
  let steps = 0;
  let isRunning = false;
  let isClosed = false;
  /** A request was aborted or failed since the last call of `removeEnded`. */
  let hasFailed = false;

  const taken = () => slots.filter((slot): slot is TakenSlot => slot.sequence !== null);

  async function run(): Promise<void> {
    try {
      for (;;) {
        if (isClosed) return;
        if (removeEnded()) {
          if (taken().length === 0) await openFor(waiting);
          if (isClosed) return;
          await step(program as DecodingProgram);
        } else if (!(keepAnswers && (await keepAnswer()))) return;
      }
    } catch (error) {
      failAll(error);
      removeEnded();
      program = null; // the contents of its slots are unknown
      for (const slot of slots) forget(slot);
    } finally {
      isRunning = false;
    }
  }

  function release(slot: TakenSlot): void {
    slot.sequence.pending.share.running -= 1;
    slot.lastUsed = steps;
    (slot as Slot).sequence = null;
  }

  /** Frees the slots of requests that were aborted or failed, and returns whether any completions remain. */
  function removeEnded(): boolean {
    if (hasFailed) {
      for (const slot of taken()) if (slot.sequence.pending.isSettled) release(slot);
      waiting = waiting.filter(({ isSettled }) => !isSettled);
      hasFailed = false;
    }
    return waiting.length > 0 || taken().length > 0;
  }

  /** Returns the shape for running completions and for those that the first requests in the queue still need. */
  function wantedShape(running: readonly Sequence[], requests: readonly PendingRequest[]): Shape {
    let count = running.length;
    let tokens = 0;
    for (const { text, pending, drawn } of running) {
      tokens = Math.max(tokens, text.length + pending.request.tokens - drawn.length);
    }
    for (const { n, started, prompt, request } of requests.slice(0, slots.length + LOOKAHEAD)) {
      count += n - started;
      tokens = Math.max(tokens, prompt.length + request.tokens);
    }
    return shapeFor(count, Math.min(longest, tokens));
  }

  async function openFor(requests: readonly PendingRequest[]): Promise<void> {
    const opened = await open(wantedShape([], requests));
    if (opened === program) return;
    program = opened;
    slots = Array.from({ length: opened.slots }, (_, index) => {
      return { index, sequence: null, cached: [], prefilled: 0, lastUsed: 0 };
    });
  }

  async function step(program: DecodingProgram): Promise<void> {
    steps += 1;
    await admit(program);
    const isFilling = ({ cached, sequence }: TakenSlot) => cached.length < sequence.prompt;
    const filling = taken().filter(isFilling);
    // One chunk delays the texts that decode less than one of every prompt; more prompts than texts must not wait for long.
    filling.sort((a, b) => a.lastUsed - b.lastUsed);
    const chunks = Math.max(1, 2 * filling.length - taken().length);
    const most = filling.length === taken().length ? LONG_CHUNK : CHUNK;
    for (const slot of filling.slice(0, chunks)) {
      if (!slot.sequence.pending.isSettled) await prefill(program, slot, most);
    }
    const ready = taken().filter((slot) => !isFilling(slot) && !slot.sequence.pending.isSettled);
    if (ready.length === 0) return;
    const batch = ready.map(({ index, sequence: { text }, cached }): Step => {
      return { slot: index, token: text[cached.length], position: cached.length };
    });
    const scores = await program.decode(batch);
    const pause = pauses();
    for (const [i, slot] of ready.entries()) {
      slot.cached.push(batch[i].token);
      await pause();
      const { sequence } = slot;
      const { pending, index, drawn } = sequence;
      if (pending.isSettled) continue;
      try {
        const ending = drawToken(sampler, sequence, rowOf(scores, i), longest);
        if (ending === null) extend(slot, drawn[drawn.length - 1].id);
        else {
          release(slot);
          pending.finish(index, { tokens: drawn, ...ending });
        }
      } catch (error) {
        pending.fail(error);
      }
    }
  }

  /** Prefills the next chunk of a slot's prompt, of at most `most` tokens. */
  async function prefill(program: DecodingProgram, slot: TakenSlot, most: number): Promise<void> {
    const { sequence, cached } = slot;
    const { text, prompt, pending } = sequence;
    const promptLogprobs = sequence.index === 0 ? pending.promptLogprobs : null;
    const first = cached.length;
    const tokens = text.slice(first, Math.min(prompt, first + (promptLogprobs === null ? most : CHUNK)));
    if (promptLogprobs === null) await program.prefill(slot.index, tokens, first);
    else {
      const scores = await program.prefillScored(slot.index, tokens, first);
      const top = pending.request.topLogprobs ?? 0;
      const pause = pauses();
      for (const i of tokens.keys()) {
        await pause();
        const { logits, logSumExp } = rowOf(scores, i);
        const id = text[first + i + 1];
        promptLogprobs.push({ id, logprob: logits[id] - logSumExp, ...topOf(logits, logSumExp, top) });
      }
    }
    cached.push(...tokens);
    slot.prefilled = cached.length;
  }

  /** Prefills a chunk of an ended completion in a free slot, and returns whether there was one. */
  async function keepAnswer(): Promise<boolean> {
    const slot = slots.find(({ cached, prefilled }) => prefilled < cached.length);
    if (slot === undefined || program === null) return false;
    const { index, cached, prefilled } = slot;
    const first = Math.floor(prefilled / CHUNK) * CHUNK;
    const tokens = cached.slice(first, first + CHUNK);
    await program.prefill(index, tokens, first);
    slot.prefilled = Math.max(prefilled, first + tokens.length);
    return true;
  }

  /** Appends a token to the text that the model sees. */
  function extend(slot: TakenSlot, id: number): void {
    const { sequence } = slot;
    const { text, seen, counts } = sequence;
    seen?.add(id);
    counts?.set(id, (counts.get(id) ?? 0) + 1);
    if (text.length === longest) {
      // All trained positions are used: the newer half continues as a new text.
      text.splice(0, Math.ceil(longest / 2));
      sequence.prompt = text.length;
      forget(slot);
    }
    text.push(id);
  }

  /** Assigns free slots to waiting completions. */
  async function admit(program: DecodingProgram): Promise<void> {
    if (waiting.length === 0) return;
    const free = new Set(slots.filter(({ sequence }) => sequence === null));
    if (free.size === 0) return;
    // A larger program can only be opened when all slots are free, so until then no completion joins.
    const running = taken().map(({ sequence }) => sequence);
    if (running.length > 0) {
      const wanted = wantedShape(running, waiting);
      if (wanted.slots > program.slots || wanted.sequence > program.sequence) return;
    }
    const copies: { from: number; to: number; length: number }[] = [];
    const skipped = new Set<Share>();
    while (free.size > 0 && skipped.size < LOOKAHEAD) {
      const pending = waiting.reduce<PendingRequest | null>(
        (best, each) => (!skipped.has(each.share) && (best === null || isBefore(each, best)) ? each : best),
        null,
      );
      if (pending === null) break;
      const source = reusable(pending, free);
      if (source === null) {
        skipped.add(pending.share); // waiting is cheaper than prefilling the same tokens twice
        continue;
      }
      const { best, shared } = source;
      // A slot with much more than the shared prefix is worth keeping for another text.
      const isOwn = best !== null && free.has(best) && 2 * shared >= best.cached.length;
      const slot = isOwn ? best : [...free].reduce((a, b) => (b.lastUsed < a.lastUsed ? b : a));
      if (best !== null && best !== slot) copies.push({ from: best.index, to: slot.index, length: shared });
      slot.cached = (best ?? slot).cached.slice(0, shared);
      slot.prefilled = shared;
      slot.lastUsed = steps;
      free.delete(slot);
      const index = pending.started;
      pending.started += 1;
      pending.share.running += 1;
      pending.share.lastServed = steps;
      if (pending.started === pending.n) waiting.splice(waiting.indexOf(pending), 1);
      try {
        slot.sequence = sequenceOf(pending, index);
        if (index === 0) pending.callbacks.onStart?.({ promptTokens: pending.prompt.length, cachedTokens: shared });
      } catch (error) {
        pending.fail(error);
      }
    }
    if (copies.length > 0) await program.copy(copies);
  }

  /**
   * Returns the slot with the longest prefix that a completion can reuse, and its length; a free slot if several have it.
   * Null if a running text is about to prefill a longer one.
   */
  function reusable({ prompt, promptLogprobs, started }: PendingRequest, free: ReadonlySet<Slot>) {
    let best: Slot | null = null;
    let shared = 0;
    let coming = 0;
    // The first completion needs the logits of all tokens; the others start after these are reported.
    if (promptLogprobs !== null) return started === 0 ? { best, shared } : null;
    for (const slot of slots) {
      const { cached, prefilled, sequence } = slot;
      const length = sharedTokens(prompt, cached, prefilled);
      if (length > shared || (length === shared && length > 0 && free.has(slot))) {
        best = slot;
        shared = length;
      }
      // The prefix that this slot will share once its own prompt is prefilled.
      if (sequence !== null && cached.length < sequence.prompt) {
        coming = Math.max(coming, sharedTokens(prompt, sequence.text, sequence.prompt));
      }
    }
    return coming > shared ? null : { best, shared };
  }

  /** Queues a request. The promise settles with its completions. */
  function begin(request: GenerateRequest, callbacks: GenerateCallbacks): Promise<Completion[]> {
    return new Promise((resolve, reject) => {
      if (isClosed) throw disposed();
      const settle = {
        resolve,
        reject(error: unknown) {
          hasFailed = true;
          reject(error);
        },
      };
      const { group } = callbacks;
      const share = (group && shares.get(group)) ?? { running: 0, lastServed: -1 };
      if (group) shares.set(group, share);
      waiting.push(pendingRequest(request, callbacks, { longest, share }, settle));
      if (isRunning) return;
      isRunning = true;
      // Starts after the current task, so that requests made together start together.
      queueMicrotask(() => void run());
    });
  }

  const failAll = (error: unknown) => {
    for (const { sequence } of taken()) sequence.pending.fail(error);
    for (const pending of waiting) pending.fail(error);
  };
  return {
    generate: begin,
    reset() {
      for (const slot of slots) forget(slot);
    },
    close() {
      isClosed = true;
      failAll(disposed());
    },
  };
}

/** Milliseconds after which other tasks run, such as those of a server: samples of many texts take longer than that. */
const LONGEST_TASK = 5;

/** Returns a function that lets other tasks run if none did for a while. */
function pauses(): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last < LONGEST_TASK) return undefined;
    return turn().then(() => {
      last = performance.now();
    });
  };
}

const disposed = () => new QuernError("the decoder was disposed of and cannot be used any more");

function forget(slot: Slot): void {
  slot.cached = [];
  slot.prefilled = 0;
}

/**
 * Returns how many tokens of a prompt can be reused from a text whose first `prefilled` tokens were prefilled. The prompt's last
 * token is never reused: running it gives the logits of the next one.
 */
function sharedTokens(prompt: readonly number[], text: readonly number[], prefilled: number): number {
  const needed = prompt.length - 1;
  const most = Math.min(needed, prefilled);
  let common = 0;
  while (common < most && prompt[common] === text[common]) common++;
  return common === needed ? common : Math.floor(common / CHUNK) * CHUNK;
}
