/** @file The conversation, which stays in memory, and what can be done with it. */
import { batch, computed, type Signal, signal } from "@preact/signals";
import { messagesOf, type SentTurn } from "./messages.js";
import { model, models } from "./models.js";
import { CallError, streamEvents } from "./server.js";
import { settings } from "./settings.js";
import { type Candidate, percentOf, spokenLabelOf, type Token, textsOf, tokenOf } from "./tokens.js";

export interface Question {
  readonly role: "user";
  readonly id: number;
  readonly text: string;
}

/** `limit`: it ended at the token limit; `stopped`: the reader stopped it. */
export type AnswerStatus = "waiting" | "writing" | "done" | "limit" | "stopped" | "failed";

export interface AnswerState {
  readonly status: AnswerStatus;
  readonly tokens: readonly Token[];
  readonly error?: string;
  /** Tokens per second after the first one of the last request. */
  readonly speed?: number;
}

export interface Answer {
  readonly role: "assistant";
  readonly id: number;
  /** The id of the model that wrote it. Its token ids are those of that model. */
  readonly model: string;
  readonly state: Signal<AnswerState>;
}

export type Turn = Question | Answer;

export const turns = signal<readonly Turn[]>([]);
/** What an action has replaced. */
export const undoable = signal<{ readonly what: string; readonly turns: readonly Turn[] } | undefined>(undefined);
/** What a screen reader announces. */
export const announcement = signal("");

export function announceToken(answer: Answer, position: number): void {
  const token = answer.state.value.tokens[position];
  if (token !== undefined) announcement.value = `${spokenLabelOf(token)}, ${percentOf(token.logprob)}`;
}

let running: AbortController | undefined;
let lastId = 0;

export const isRunning = computed(() => {
  const last = turns.value.at(-1);
  return last?.role === "assistant" && ["waiting", "writing"].includes(last.state.value.status);
});

export const textOf = (turn: Turn) => (turn.role === "user" ? turn.text : textsOf(turn.state.value.tokens).join(""));

/** Asks a question. */
export function send(text: string): void {
  const chosen = model.value;
  if (chosen === undefined || text.trim() === "" || isRunning.value) return;
  undoable.value = undefined;
  lastId += 1;
  void answer([...turns.value, { role: "user", id: lastId, text }], chosen.id, []);
}

/** Ends the answer that is being written; what is there stays. */
export const stop = () => running?.abort();

/** Writes the last answer anew, with the model that is chosen now. */
export function regenerate(): void {
  const last = turns.value.at(-1);
  if (model.value === undefined || last?.role !== "assistant") return;
  keep("The former answer was replaced.");
  void answer(turns.value.slice(0, -1), model.value.id, [], last.id);
}

/** Continues the last answer where it ended. */
export function goOn(): void {
  const last = turns.value.at(-1);
  if (last?.role !== "assistant") return;
  void answer(turns.value.slice(0, -1), last.model, last.state.value.tokens, last.id);
}

/** Replaces a token of an answer, drops what followed it, and continues from there. */
export function branch(from: Answer, position: number, candidate: Candidate): void {
  const place = turns.value.indexOf(from);
  if (place < 0) return;
  running?.abort();
  const { tokens } = from.state.value;
  const chosen = { ...candidate, top: tokens[position].top, isChosen: true };
  const later = turns.value.length - place - 1;
  keep(
    later > 0
      ? "The answer goes on from your choice; later messages were removed."
      : "The answer goes on from your choice.",
  );
  const before = turns.value.slice(0, place);
  if (!candidate.ends) {
    void answer(before, from.model, [...tokens.slice(0, position), chosen], from.id);
    return;
  }
  const state = signal<AnswerState>({ status: "done", tokens: tokens.slice(0, position) });
  turns.value = [...before, { ...from, state }];
}

export function startAnew(): void {
  running?.abort();
  if (turns.value.length > 0) keep("The conversation was cleared.");
  turns.value = [];
}

function keep(what: string): void {
  undoable.value = { what, turns: turns.value };
}

export function undo(): void {
  running?.abort();
  turns.value = undoable.value?.turns ?? turns.value;
  undoable.value = undefined;
}

/** Milliseconds between two updates of the page while an answer comes in. */
const UPDATE = 40;

/** The likeliest tokens that the page shows at each position. */
const ALTERNATIVES = 8;

/** Has a model answer the turns before. @param start tokens that the answer begins with */
async function answer(before: readonly Turn[], id: string, start: readonly Token[], answerId?: number): Promise<void> {
  const aborter = new AbortController();
  running?.abort();
  running = aborter;
  if (answerId === undefined) lastId += 1;
  const state = signal<AnswerState>({ status: "waiting", tokens: start });
  const turn: Answer = { role: "assistant", id: answerId ?? lastId, model: id, state };
  batch(() => {
    turns.value = [...before, turn];
    announcement.value = `${id} is answering.`;
  });

  let tokens = start;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let first = 0;
  let finish = "stop";
  const show = (status: AnswerStatus, error?: string) => {
    clearTimeout(timer);
    timer = undefined;
    const made = tokens.length - start.length;
    const seconds = (performance.now() - first) / 1000;
    const speed = made > 1 && seconds > 0 ? (made - 1) / seconds : undefined;
    state.value = { status, tokens, speed, error };
  };
  try {
    const { path, body } = requestOf(before, id, start);
    for await (const event of streamEvents(path, body, aborter.signal)) {
      const choice = (event as StreamEvent).choices[0];
      if (choice === undefined) continue;
      const received = choice.logprobs?.content ?? [];
      if (received.length > 0) {
        if (first === 0) first = performance.now();
        tokens = [...tokens, ...received.map(tokenOf)];
        timer ??= setTimeout(() => show("writing"), UPDATE);
      }
      if (typeof choice.finish_reason === "string") finish = choice.finish_reason;
    }
    show(finish === "length" ? "limit" : "done");
  } catch (error) {
    if (aborter.signal.aborted) show("stopped");
    else if (error instanceof CallError) show("failed", error.message);
    else throw error;
  } finally {
    clearTimeout(timer);
    if (running === aborter) running = undefined;
  }
  if (turns.value.includes(turn)) announcement.value = state.value.error ?? `${id}: ${textOf(turn)}`;
}

interface StreamEvent {
  readonly choices: readonly {
    readonly finish_reason?: string | null;
    readonly logprobs?: { readonly content?: readonly Parameters<typeof tokenOf>[0][] } | null;
  }[];
}

function sentTurn(turn: Turn): SentTurn {
  if (turn.role === "user") return { role: "user", text: turn.text };
  const { status } = turn.state.value;
  return { role: "assistant", text: textOf(turn), isBroken: status === "failed" || status === "stopped" };
}

/** The request for the next answer. A base model continues the text of all turns. */
function requestOf(before: readonly Turn[], id: string, start: readonly Token[]): { path: string; body: object } {
  const { temperature, topP, topK, minP, maxTokens, seed, system } = settings.value;
  const common = {
    model: id,
    stream: true,
    temperature,
    top_p: topP,
    top_k: topK,
    min_p: minP,
    ...(seed !== undefined && { seed }),
    return_token_ids: true,
    ...(start.length > 0 && { continue_token_ids: start.map((token) => token.id) }),
  };
  const known = models.value.find((each) => each.id === id);
  if (known?.chat === false) {
    const prompt = before.map((turn) => (turn.role === "user" ? turn.text : `${textOf(turn)}\n`)).join("");
    const most = maxTokens ?? known.context_length;
    return { path: "/v1/completions", body: { ...common, prompt, max_tokens: most, logprobs: ALTERNATIVES } };
  }
  const messages = [
    ...(system.trim() === "" ? [] : [{ role: "system", content: system }]),
    ...messagesOf(before.map(sentTurn)),
  ];
  const limit = maxTokens === undefined ? {} : { max_tokens: maxTokens };
  return {
    path: "/v1/chat/completions",
    body: { ...common, ...limit, messages, logprobs: true, top_logprobs: ALTERNATIVES },
  };
}
