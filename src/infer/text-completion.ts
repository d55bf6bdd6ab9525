/** @file Completions as text: whole characters as they come, and the end before a stop string. */
import type { Tokenizer } from "../tokenizer/index.js";
import type { Completion, GenerateCalls, GenerateRequest } from "./completion.js";
import type { Decoder } from "./decoder.js";
import { stopFinder } from "./stop-strings.js";

export interface TextRequest extends GenerateRequest {
  /** The text ends before the first of these strings. */
  readonly stop?: readonly string[];
}

export interface TextCompletion extends Completion {
  /** Without the stop string that ended it, though its tokens are among `tokens`. */
  readonly text: string;
}

export interface TextCalls extends GenerateCalls {
  /** Called with the text of completion `index` piece by piece, whole characters at a time. */
  readonly onText?: (piece: string, index: number) => void;
}

/** The n completions of a prompt, as `Decoder.generate` gives them, with their text. */
export async function completeText(
  decoder: Decoder,
  tokenizer: Tokenizer,
  { stop = [], ...request }: TextRequest,
  { onText, onToken, ...calls }: TextCalls = {},
): Promise<TextCompletion[]> {
  const texts = Array.from({ length: request.n ?? 1 }, (_, index) =>
    textOfTokens(tokenizer, stop, (piece) => onText?.(piece, index)),
  );
  const completions = await decoder.generate(request, {
    ...calls,
    onToken(token, index) {
      const isOver = onToken?.(token, index) === true;
      return texts[index].push(token.id) || isOver;
    },
  });
  return completions.map((completion, index) => ({ ...completion, text: texts[index].end() }));
}

function textOfTokens(tokenizer: Tokenizer, stop: readonly string[], onPiece: (piece: string) => void) {
  // A token may end inside a character; the stream holds its bytes back until the rest is there.
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  const finder = stopFinder(stop);
  let text = "";
  const add = (piece: string) => {
    if (piece === "") return;
    text += piece;
    onPiece(piece);
  };
  return {
    /** Adds a token; true where a stop string ends the text. */
    push(id: number): boolean {
      if (!tokenizer.has(id)) return false; // a row that pads the table stands for nothing
      add(finder.push(utf8.decode(tokenizer.decodeBytes([id]), { stream: true })));
      return finder.found;
    },
    /** All of the text. */
    end(): string {
      add(finder.push(utf8.decode()) + finder.end());
      return text;
    },
  };
}
