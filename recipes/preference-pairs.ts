/**
 * @file Human preferences between two answers, as Anthropic's hh-rlhf has them (Bai et al., arXiv:2204.05862): whole dialogues in
 * text, read as conversations, and split so that no conversation is on both sides.
 */
import { createHash } from "node:crypto";
import { readRows } from "../src/documents/index.js";

export type Message = { readonly role: "user" | "assistant"; readonly content: string };

/** A conversation and two answers to its last message. */
export interface PreferencePair {
  readonly prompt: readonly Message[];
  readonly chosen: readonly Message[];
  readonly rejected: readonly Message[];
}

export interface SplitPairs {
  readonly train: readonly PreferencePair[];
  readonly heldOut: readonly PreferencePair[];
  /** Rows that are no pair: equal answers, or an answer that is empty. */
  readonly skipped: number;
}

/** Share of the conversations that are held out. */
const HELD_OUT = 0.2;

/** Reads a file of rows with `chosen` and `rejected` dialogues. @throws QuernError for a file that cannot be read */
export async function readPreferencePairs(path: string, signal?: AbortSignal): Promise<SplitPairs> {
  const pairs: (PreferencePair | null)[] = [];
  for await (const { fields } of readRows([path], { strict: true, signal })) {
    pairs.push(preferencePair(String(fields.chosen ?? ""), String(fields.rejected ?? "")));
  }
  const good = pairs.filter((pair) => pair !== null);
  return {
    train: good.filter((pair) => !isHeldOut(pair)),
    heldOut: good.filter(isHeldOut),
    skipped: pairs.length - good.length,
  };
}

/** Makes a pair of two dialogues; null where they do not part at an answer, or an answer is empty. */
export function preferencePair(chosen: string, rejected: string): PreferencePair | null {
  const [a, b] = [turnsOf(chosen), turnsOf(rejected)];
  const isSame = (i: number) => a[i] !== undefined && a[i].role === b[i]?.role && a[i].content === b[i].content;
  let shared = 0;
  while (isSame(shared)) shared += 1;
  const [first, second] = [a.slice(shared), b.slice(shared)];
  const isAnswer = (turns: readonly Message[]) => turns[0]?.role === "assistant" && turns[0].content !== "";
  if (shared === 0 || !isAnswer(first) || !isAnswer(second)) return null;
  // What follows an answer belongs to another conversation.
  return { prompt: a.slice(0, shared), chosen: first.slice(0, 1), rejected: second.slice(0, 1) };
}

/** The turns of a dialogue: "\n\nHuman: …\n\nAssistant: …". */
export function turnsOf(dialogue: string): Message[] {
  const parts = dialogue.split(/\n\n(Human|Assistant):/);
  const turns: Message[] = [];
  for (let i = 1; i + 1 < parts.length; i += 2) {
    turns.push({ role: parts[i] === "Human" ? "user" : "assistant", content: parts[i + 1].trim() });
  }
  return turns;
}

/** Whether a pair is held out: by a hash of how its conversation begins, so that all pairs of one are on the same side. */
export function isHeldOut({ prompt }: PreferencePair): boolean {
  const hash = createHash("sha256").update(prompt[0].content).digest();
  return hash.readUInt32BE(0) / 2 ** 32 < HELD_OUT;
}
