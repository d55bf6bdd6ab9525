/** @file Turns completions into text, emitted in whole characters and cut before a stop string. */
import type { Tokenizer } from "../tokenizer/index.js";
import type { Completion, GenerateCallbacks, GenerateRequest } from "./completion.js";
import type { Decoder } from "./decoder.js";
import { type TextPiece, type TextToken, textPieces } from "./text-pieces.js";

export interface TextRequest extends GenerateRequest {
  /** The text ends before the first of these strings. */
  readonly stop?: readonly string[];
  /** Leaves special tokens out of the text. Default false. */
  readonly skipSpecial?: boolean;
  /** Ids of special tokens that stay in the text all the same. */
  readonly keptSpecial?: ReadonlySet<number>;
}

export interface TextCompletion extends Completion {
  /** The text without the stop string that ended it. `tokens` does include the stop string's tokens. */
  readonly text: string;
  /** The tokens of the text; absent if a server generated it. */
  readonly textTokens?: readonly TextToken[];
}

export interface TextCallbacks extends GenerateCallbacks {
  /** Called with each piece of completion `index`, in whole characters. */
  readonly onText?: (piece: string, index: number) => void;
  /** The same with the piece's tokens. The last piece may have tokens but no text. */
  readonly onPiece?: (piece: TextPiece, index: number) => void;
}

/** Runs `Decoder.generate` and returns its n completions with their text. */
export async function completeText(
  decoder: Decoder,
  tokenizer: Tokenizer,
  { stop = [], skipSpecial = false, keptSpecial, ...request }: TextRequest,
  { onText, onPiece, onToken, ...callbacks }: TextCallbacks = {},
): Promise<TextCompletion[]> {
  const texts = Array.from({ length: request.n ?? 1 }, (_, index) =>
    textPieces(tokenizer, {
      stop,
      skipSpecial,
      keptSpecial,
      onPiece(piece) {
        if (piece.text !== "") onText?.(piece.text, index);
        onPiece?.(piece, index);
      },
    }),
  );
  const completions = await decoder.generate(request, {
    ...callbacks,
    onToken(token, index) {
      const isOver = onToken?.(token, index) === true;
      return texts[index].push(token) || isOver;
    },
  });
  return completions.map((completion, index) => {
    texts[index].end();
    const { text, tokens } = texts[index];
    return { ...completion, text, textTokens: tokens };
  });
}
