/** @file A made-up vocabulary: all bytes, and tokens that lie across the borders of JSON's parts. */
import { type GrammarVocabulary, vocabularyOf } from "../../../src/infer/grammar/index.js";

const utf8 = new TextEncoder();
const PIECES = [
  ...['"', '{"', '":', '": ', '": "', '", "', '","', '"}', '"]', '"},{"', '"}}', "}}", "]}", "},", "[{", "[]", "{}"],
  ...["true", "false", "null", " true", "tru", "12", "100", "-1", ".5", "0.", "e+", ": ", ", ", "\n", "\n  ", "    "],
  ...[
    "name",
    "age",
    "the",
    " the",
    "abc",
    "hello world",
    "value",
    "kind",
    'name":',
    '"name',
    "é",
    "日本",
    "😀",
    "\\n",
    '\\"',
  ],
  ...["\\u00", "2024", "-01", "T12:", "a@b.c", "http://", "x".repeat(20), " ".repeat(16)],
];

/** V = 256 bytes, then pieces, then half a character, then an id without a token, then the end of text. */
export function smallVocabulary(): GrammarVocabulary {
  const tokens: (Uint8Array | undefined)[] = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  for (const piece of PIECES) tokens.push(utf8.encode(piece));
  tokens.push(Uint8Array.of(0xf0, 0x9f), undefined, undefined);
  return vocabularyOf(tokens, [tokens.length - 1]);
}

export const isAllowed = (mask: Uint32Array, id: number) => ((mask[id >> 5] >>> (id & 31)) & 1) === 1;

export function allowedIds(mask: Uint32Array, size: number): number[] {
  return Array.from({ length: size }, (_, id) => id).filter((id) => isAllowed(mask, id));
}
