/** @file What a reader of answers makes of them: text and tool calls, piece by piece. */

export type AnswerPiece =
  | { readonly type: "text"; readonly text: string }
  /** Text was read that is for nobody. */
  | { readonly type: "hidden" }
  | { readonly type: "call"; readonly call: number; readonly id: string; readonly name: string }
  | { readonly type: "arguments"; readonly call: number; readonly text: string };

export interface AnswerReader {
  /** Calls begun so far. */
  readonly calls: number;
  /** Adds a piece and returns what is certain; text that may begin a call is held back. */
  push(text: string): readonly AnswerPiece[];
  /** Returns what is held back, once no more text comes. */
  end(): readonly AnswerPiece[];
}

export interface ReaderOptions {
  /** Makes the id of a call. */
  readonly newId: () => string;
  /** Whether the request has a tool of this name. */
  readonly isTool: (name: string) => boolean;
  /** Whether the answer continues a text that has begun. */
  readonly isContinued: boolean;
  /** Whether an argument is text, which tagged formats write without quotes. */
  readonly isText: (tool: string, argument: string) => boolean;
}
