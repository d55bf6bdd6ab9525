/**
 * @file Examples as token ids, with a mask of what is learned. Texts and completions end with the end-of-text token.
 * Conversations go through the tokenizer's chat template, which also tells which tokens the assistant said.
 */
import { QuernError } from "../../errors.js";
import { type ChatMessage, encodeChat, renderChat, type Tokenizer } from "../../tokenizer/index.js";
import type { LossOn } from "../options.js";
import type { Content, Example, ExampleOf, Turns } from "./examples.js";

/** A text as the model sees it. */
export interface EncodedText {
  readonly ids: ArrayLike<number>;
  /** 1 for each id that is learned: a target of the loss. */
  readonly learned: Uint8Array;
}

export interface EncodedPair {
  readonly chosen: EncodedText;
  readonly rejected: EncodedText;
  readonly margin: number;
}

export interface EncodeOptions {
  readonly tokenizer: Tokenizer;
  /** Token that ends a plain text or completion; none is added without. */
  readonly endOfText?: number;
}

/** Encodes an example for supervised fine-tuning. @throws QuernError that names the row, for what the chat template refuses */
export async function encodeExample(
  example: ExampleOf<"text" | "messages" | "completion">,
  lossOn: LossOn,
  options: EncodeOptions,
): Promise<EncodedText> {
  switch (example.form) {
    case "text": {
      const ids = encodePlain(example.text, options);
      return { ids, learned: new Uint8Array(ids.length).fill(1) };
    }
    case "messages":
      return encodeTurns(example.messages, lossOn, example, options);
    case "completion": {
      const { prompt, completion } = example;
      if (typeof prompt === "string" && typeof completion === "string") {
        const encoded = await encodeAnswer(prompt, completion, example, options);
        return lossOn === "all" ? learnAll(encoded) : encoded;
      }
      if (lossOn === "completion") return encodeAnswer(prompt, completion, example, options);
      return encodeTurns(joined(prompt, completion, example), lossOn, example, options);
    }
    default:
      return example satisfies never;
  }
}

/** Encodes both answers of a preference, each after the prompt; the answers are learned. */
export async function encodePair(example: ExampleOf<"preference">, options: EncodeOptions): Promise<EncodedPair> {
  const { prompt, chosen, rejected, margin = 0 } = example;
  return {
    chosen: await encodeAnswer(prompt, chosen, example, options),
    rejected: await encodeAnswer(prompt, rejected, example, options),
    margin,
  };
}

/**
 * Encodes a prompt with its answer; the answer is learned. It begins where the ids differ from those of the prompt alone,
 * since tokens may merge across the boundary.
 */
export async function encodeAnswer(
  prompt: Content,
  answer: Content,
  example: Pick<Example, "place"> & { readonly fields: Example["fields"] },
  options: EncodeOptions,
): Promise<EncodedText> {
  const before = await encodePrompt(prompt, options.tokenizer, example);
  const ids =
    typeof prompt === "string" && typeof answer === "string"
      ? encodePlain(prompt + answer, options)
      : (await inChat(example, () => encodeChat(options.tokenizer, joined(prompt, answer, example)))).ids;
  let start = 0;
  while (start < before.length && start < ids.length && before[start] === ids[start]) start += 1;
  return { ids, learned: new Uint8Array(ids.length).fill(1, start) };
}

/** The ids of a prompt alone, with the opening of an answer if it is a conversation. */
export async function encodePrompt(
  prompt: Content,
  tokenizer: Tokenizer,
  example: Pick<Example, "place">,
): Promise<ArrayLike<number>> {
  if (typeof prompt === "string") return tokenizer.encode(prompt, { addSpecial: true, special: "allow" });
  if (prompt.length === 0) return [];
  const text = await inChat(example, () => renderChat(tokenizer, prompt, { addGenerationPrompt: true }));
  return tokenizer.encode(text, { special: "allow" });
}

async function encodeTurns(
  messages: Turns,
  lossOn: LossOn,
  example: Pick<Example, "place"> & { readonly fields: Example["fields"]; readonly tools?: readonly unknown[] },
  { tokenizer }: EncodeOptions,
): Promise<EncodedText> {
  const { ids, assistantMask } = await inChat(example, () => encodeChat(tokenizer, messages, { tools: example.tools }));
  if (lossOn === "all") return { ids, learned: new Uint8Array(ids.length).fill(1) };
  return { ids, learned: lossOn === "assistant" ? assistantMask : lastRun(assistantMask) };
}

/** The last unbroken run of a mask: the last thing that the assistant said. */
function lastRun(mask: Uint8Array): Uint8Array {
  const end = mask.lastIndexOf(1) + 1;
  const start = mask.lastIndexOf(0, end - 1) + 1;
  return new Uint8Array(mask.length).fill(1, start, end);
}

const learnAll = ({ ids }: EncodedText): EncodedText => ({ ids, learned: new Uint8Array(ids.length).fill(1) });

/** Special tokens are themselves: data of other programs is written with their templates already in it. */
function encodePlain(text: string, { tokenizer, endOfText }: EncodeOptions): ArrayLike<number> {
  const ids = Array.from(tokenizer.encode(text, { addSpecial: true, special: "allow" }));
  if (endOfText !== undefined && ids[ids.length - 1] !== endOfText) ids.push(endOfText);
  return ids;
}

/** Both parts of a conversation as one. @throws QuernError where one of them is a text */
function joined(prompt: Content, answer: Content, { place }: Pick<Example, "place">): readonly ChatMessage[] {
  if (typeof prompt !== "string" && typeof answer !== "string") return [...prompt, ...answer];
  const texts =
    typeof prompt === "string"
      ? "prompt is a text and its answer a list of messages"
      : "answer is a text and its prompt a list of messages";
  throw new QuernError(`${place}: the ${texts}; give both in the same form`, { exitCode: 2 });
}

async function inChat<T>({ place }: Pick<Example, "place">, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    throw new QuernError(`${place}: ${error.message}`, { exitCode: error.exitCode, cause: error });
  }
}
