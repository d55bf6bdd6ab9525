/** @file Turns completions into text, emitted in whole characters and cut before a stop string. */
import type { Tokenizer } from "../tokenizer/index.js";
import type { Completion, GenerateCallbacks, GenerateRequest } from "./completion.js";
import type { Decoder } from "./decoder.js";
import { stopFinder } from "./stop-strings.js";

export interface TextRequest extends GenerateRequest {
  /** The text ends before the first of these strings. */
  readonly stop?: readonly string[];
  /** Leaves special tokens out of the text. Default false. */
  readonly skipSpecial?: boolean;
}

export interface TextCompletion extends Completion {
  /** The text without the stop string that ended it. `tokens` does include the stop string's tokens. */
  readonly text: string;
}

export interface TextCallbacks extends GenerateCallbacks {
  /** Called with each piece of completion `index`, in whole characters. */
  readonly onText?: (piece: string, index: number) => void;
}

/** Runs `Decoder.generate` and returns its n completions with their text. */
export async function completeText(
  decoder: Decoder,
  tokenizer: Tokenizer,
  { stop = [], skipSpecial = false, ...request }: TextRequest,
  { onText, onToken, ...callbacks }: TextCallbacks = {},
): Promise<TextCompletion[]> {
  const texts = Array.from({ length: request.n ?? 1 }, (_, index) =>
    textOfTokens(tokenizer, { stop, skipSpecial }, (piece) => onText?.(piece, index)),
  );
  const completions = await decoder.generate(request, {
    ...callbacks,
    onToken(token, index) {
      const isOver = onToken?.(token, index) === true;
      return texts[index].push(token.id) || isOver;
    },
  });
  return completions.map((completion, index) => ({ ...completion, text: texts[index].end() }));
}

function textOfTokens(
  tokenizer: Tokenizer,
  { stop, skipSpecial }: Required<Pick<TextRequest, "stop" | "skipSpecial">>,
  onPiece: (piece: string) => void,
) {
  // A token may end inside a character; the decoder buffers its bytes until the rest arrives.
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  const finder = stopFinder(stop);
  let text = "";
  const add = (piece: string) => {
    if (piece === "") return;
    text += piece;
    onPiece(piece);
  };
  return {
    /** Adds a token and returns whether a stop string ended the text. */
    push(id: number): boolean {
      if (!tokenizer.has(id)) return false; // a padding row of the embedding table
      add(finder.push(utf8.decode(tokenizer.decodeBytes([id], { skipSpecial }), { stream: true })));
      return finder.found;
    },
    /** Flushes and returns the whole text. */
    end(): string {
      add(finder.push(utf8.decode()) + finder.end());
      return text;
    },
  };
}
