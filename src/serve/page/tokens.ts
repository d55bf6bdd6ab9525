/** @file Tokens of an answer: their texts, labels and colours. */

/** A token that could stand, or stands, at one position of an answer. */
export interface Candidate {
  readonly id: number;
  /** Bytes of its text; one character may be spread over several tokens. */
  readonly bytes: readonly number[];
  /** Natural logarithm of its probability. */
  readonly logprob: number;
  /** Whether it ends the answer. */
  readonly ends: boolean;
}

export interface Token extends Candidate {
  /** The likeliest tokens at its position, the likeliest first. */
  readonly top: readonly Candidate[];
  /** Whether the reader chose it. */
  readonly isChosen?: boolean;
}

/** A token of `logprobs.content` as the server sends it. */
interface ReceivedToken extends Candidate {
  readonly top_logprobs: readonly Candidate[];
}

export function tokenOf({ top_logprobs, ...own }: ReceivedToken): Token {
  return { ...own, top: top_logprobs };
}

/** The text of each token. One that ends inside a character has none; the token that completes the character has it. */
export function textsOf(tokens: readonly Candidate[]): readonly string[] {
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  return tokens.map(({ bytes }, i) => utf8.decode(Uint8Array.from(bytes), { stream: i < tokens.length - 1 }));
}

/** A token as a label, with its white space visible. */
export function labelOf({ bytes, ends }: Candidate): string {
  if (ends) return "end of answer";
  if (bytes.length === 0) return "no text";
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return bytes.map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  }
  return text.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/\r/g, "␍");
}

/** A label that a screen reader can read. */
export function spokenLabelOf(candidate: Candidate): string {
  return labelOf(candidate).replace(/␣/g, " ").replace(/⏎/g, " line break ").replace(/⇥/g, " tab ").trim() || "space";
}

/** A probability in per cent. */
export function percentOf(logprob: number): string {
  const percent = 100 * Math.exp(logprob);
  if (percent < 0.01) return "< 0.01 %";
  return `${percent.toFixed(percent < 1 ? 2 : percent < 99.95 ? 1 : 0)} %`;
}

/** Least probability of each colour, the most certain first. */
export const LEVELS: readonly number[] = [0.9, 0.5, 0.2, 0.05, 0];

/** The colour of a token: 0 for a certain one to 4 for a surprising one. */
export const levelOf = (logprob: number) => LEVELS.findIndex((least) => Math.exp(logprob) >= least);

/** The candidates of a position: the likeliest, and the token itself if it is not among them. */
export function candidatesOf(token: Token): readonly Candidate[] {
  return token.top.some(({ id }) => id === token.id) ? token.top : [...token.top, token];
}
