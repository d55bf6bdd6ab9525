/** @file Examples as the model sees them, for `--preview` and the report: each token with whether it is learned. */
import { printable } from "../../printable.js";
import type { Tokenizer } from "../../tokenizer/index.js";
import type { EncodedPair, EncodedText } from "./encode.js";

export interface PreviewToken {
  readonly id: number;
  /** What the token adds to the text; empty where it ends within a character. */
  readonly text: string;
  readonly learned: boolean;
}

/** A text of an example. */
export interface Preview {
  /** Number of the example, from 1. */
  readonly example: number;
  readonly part: "text" | "chosen" | "rejected";
  readonly tokens: readonly PreviewToken[];
}

/** The first `count` examples. */
export const previewTexts = (texts: readonly EncodedText[], count: number, tokenizer: Tokenizer): Preview[] =>
  texts.slice(0, count).map((text, i) => ({ example: i + 1, part: "text", tokens: tokensOf(text, tokenizer) }));

/** The first `count` pairs, each as its chosen and its rejected text. */
export const previewPairs = (pairs: readonly EncodedPair[], count: number, tokenizer: Tokenizer): Preview[] =>
  pairs.slice(0, count).flatMap((pair, i) =>
    (["chosen", "rejected"] as const).map((part) => ({
      example: i + 1,
      part,
      tokens: tokensOf(pair[part], tokenizer),
    })),
  );

function tokensOf({ ids, learned }: EncodedText, tokenizer: Tokenizer): PreviewToken[] {
  // One decoder for all tokens: a character may have its bytes in several.
  const decoder = new TextDecoder();
  return Array.from(learned, (isLearned, t) => {
    const stream = t + 1 < learned.length;
    const text = decoder.decode(tokenizer.tokenBytes(ids[t]), { stream });
    return { id: ids[t], text, learned: isLearned === 1 };
  });
}

const LEARNED = "\u001b[1;32m";
const CONTEXT = "\u001b[2m";
const RESET = "\u001b[0m";

/** A text for a terminal: learned tokens green and the others faint, or learned ones in ⟦…⟧. Line breaks are shown as ⏎ too. */
export function previewText(tokens: readonly PreviewToken[], colour: boolean): string {
  let out = "";
  for (let start = 0; start < tokens.length; ) {
    const { learned } = tokens[start];
    let end = start;
    while (end < tokens.length && tokens[end].learned === learned) end += 1;
    const joined = tokens.slice(start, end).map(({ text }) => text);
    const text = printable(joined.join("").replaceAll("\n", "⏎\n"));
    if (colour) out += `${learned ? LEARNED : CONTEXT}${text}${RESET}`;
    else out += learned ? `⟦${text}⟧` : text;
    start = end;
  }
  return out;
}
