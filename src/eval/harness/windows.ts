/**
 * @file Cuts a long text into windows for its whole log-likelihood (lm-eval's `loglikelihood_rolling`). Each token is predicted
 * once, and windows after the first may repeat tokens as context.
 */
import { QuernError } from "../../errors.js";

export interface TokenWindow {
  /** What the model reads, at most `window` tokens. */
  readonly context: readonly number[];
  /** What is scored: the last `predicted.length` outputs. */
  readonly predicted: readonly number[];
}

export interface RollingOptions {
  /** Stands before the first token: the model's beginning-of-text or end-of-text token. */
  readonly prefix: number;
  /** Tokens that the model reads at once. */
  readonly window: number;
  /** Tokens of context that a window after the first has at least, 1 ≤ context ≤ window. Default 1, lm-eval's. */
  readonly context?: number;
}

/**
 * Returns the windows of a text. The input of a window is shifted by one token, so it ends before its last predicted token.
 *
 * @throws QuernError for a context outside 1 to `window`
 */
export function rollingWindows(tokens: readonly number[], options: RollingOptions): TokenWindow[] {
  const { prefix, window, context = 1 } = options;
  if (!(context >= 1 && context <= window)) {
    throw new QuernError(`a window of ${window} tokens cannot have ${context} tokens of context`, { exitCode: 2 });
  }
  if (tokens.length === 0) return [];
  const first = Math.min(window, tokens.length);
  const windows: TokenWindow[] = [
    { context: [prefix, ...tokens.slice(0, first - 1)], predicted: tokens.slice(0, first) },
  ];
  const step = window - context + 1;
  for (let done = first; done < tokens.length; ) {
    const end = Math.min(tokens.length, done + step);
    windows.push({ context: tokens.slice(end - window - 1, end - 1), predicted: tokens.slice(done, end) });
    done = end;
  }
  return windows;
}

/** Returns the window with a context that does not overlap the predicted tokens: a request of context and continuation. */
export function disjointWindow({ context, predicted }: TokenWindow): TokenWindow {
  return { context: context.slice(0, Math.max(0, context.length - (predicted.length - 1))), predicted };
}
