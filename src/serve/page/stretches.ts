/** @file The tokens of an answer, cut where the style of its text changes. */
import { type Block, blocksOf, type Style } from "./markdown.js";
import type { Token } from "./tokens.js";

/** A token, or a part of one. */
export interface Piece {
  readonly i: number;
  readonly token: Token;
  readonly text: string;
}

/** Neighbouring pieces of one style, at most `RUN`. */
export interface Run {
  readonly style: Style;
  readonly pieces: readonly Piece[];
}

export interface TokenBlock extends Pick<Block, "level" | "value"> {
  /** `plain`: the text as it is. */
  readonly kind: Block["kind"] | "plain";
  readonly runs: readonly Run[];
}

/** Tokens that are rendered together, so that a new one does not render all others anew. */
const RUN = 64;

/**
 * @param texts the text of each token
 * @param isMarkdown whether marks of Markdown count
 */
export function tokenBlocks(tokens: readonly Token[], texts: readonly string[], isMarkdown: boolean): TokenBlock[] {
  const text = texts.join("");
  const whole = { kind: "plain", level: 0, stretches: [{ style: "text", start: 0, end: text.length }] } as const;
  const blocks = isMarkdown && text !== "" ? blocksOf(text) : [whole];
  const made: TokenBlock[] = [];
  let i = 0;
  let from = 0; // where token i begins
  for (const { stretches, ...block } of blocks) {
    const runs: Run[] = [];
    for (const { style, start, end } of stretches) {
      let pieces: Piece[] = [];
      // A token without text stands where it is, the last ones at the end.
      while (i < tokens.length && (from < end || end === text.length)) {
        const to = from + texts[i].length;
        if (pieces.length === RUN) {
          runs.push({ style, pieces });
          pieces = [];
        }
        pieces.push({ i, token: tokens[i], text: text.slice(Math.max(start, from), Math.min(end, to)) });
        if (to > end) break; // its rest has another style
        from = to;
        i += 1;
      }
      if (pieces.length > 0) runs.push({ style, pieces });
    }
    made.push({ ...block, runs });
  }
  return made;
}
