import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type TextPiece, textPieces } from "../../src/infer/text-pieces.js";
import { contentLogprob, tokenText } from "../../src/infer/token-logprobs.js";
import type { Tokenizer } from "../../src/tokenizer/index.js";

const utf8 = new TextEncoder();

/** A tokenizer whose token i has the bytes `tokens[i]`. */
const tokenizerOf = (tokens: readonly Uint8Array[]) =>
  ({
    has: (id: number) => id < tokens.length,
    decodeBytes: ([id]: readonly number[]) => tokens[id],
  }) as unknown as Tokenizer;

/** Pushes tokens 0, 1, … until a stop string ends the text. */
function streamed(
  tokens: readonly Uint8Array[],
  stop: readonly string[],
  onPiece: (piece: TextPiece) => void = () => {},
) {
  const pieces = textPieces(tokenizerOf(tokens), { stop, skipSpecial: false, onPiece });
  let pushed = 0;
  while (pushed < tokens.length && !pieces.push({ id: pushed++, logprob: -1, samplingLogprob: -1 }));
  pieces.end();
  return { text: pieces.text, ids: pieces.tokens.map(({ id }) => id), pushed };
}

/** Cuts the bytes of a text at these places. */
function cut(text: string, places: readonly number[]): Uint8Array[] {
  const bytes = utf8.encode(text);
  const cuts = [...new Set([0, ...places.map((place) => place % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  );
  return cuts.slice(1).map((end, i) => bytes.slice(cuts[i], end));
}

describe("text pieces", () => {
  const characters = fc.array(fc.constantFrom("a", "b", "é", "€", "😀", "😁", "\n"), { minLength: 1, maxLength: 12 });
  const word = fc
    .array(fc.constantFrom("a", "b", "€", "😀", "\n"), { minLength: 1, maxLength: 3 })
    .map((a) => a.join(""));

  it("are whole characters with the tokens that they complete, and nothing of a stop string", () => {
    fc.assert(
      fc.property(
        characters.map((list) => list.join("")),
        fc.array(fc.nat(60), { maxLength: 20 }),
        fc.array(word, { maxLength: 3 }),
        (whole, places, stops) => {
          const tokens = cut(whole, places);
          const starts = tokens.map((_, i) => tokens.slice(0, i).reduce((sum, { length }) => sum + length, 0));
          const found = stops.map((stop) => whole.indexOf(stop)).filter((place) => place >= 0);
          const expected = found.length > 0 ? whole.slice(0, Math.min(...found)) : whole;
          let text = "";
          const ids: number[] = [];
          const { text: all, ids: allIds } = streamed(tokens, stops, (piece) => {
            expect(piece.text).not.toContain("\ufffd");
            expect(piece.text).not.toMatch(/\p{Cs}/u);
            text += piece.text;
            const bytes = utf8.encode(text).length;
            expect(expected.startsWith(text)).toBe(true);
            for (const { id, offset } of piece.tokens) {
              ids.push(id);
              expect(utf8.encode(expected.slice(0, offset)).length).toBeLessThanOrEqual(starts[id]);
              if (text !== expected) expect(starts[id] + tokens[id].length).toBeLessThanOrEqual(bytes);
            }
            // The tokens that the text completes came with it.
            const complete = starts.filter((start, id) => start + tokens[id].length <= bytes);
            expect(ids.length).toBeGreaterThanOrEqual(complete.length);
          });
          expect(text).toBe(expected);
          expect(all).toBe(expected);
          expect(allIds).toEqual(ids);
          const length = utf8.encode(expected).length;
          const inside = starts.flatMap((start, id) => (start < length || found.length === 0 ? [id] : []));
          expect(ids).toEqual(inside);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("end with U+FFFD for the bytes of an incomplete character", () => {
    expect(streamed([utf8.encode("a"), Uint8Array.of(0xf0, 0x9f)], [])).toMatchObject({ text: "a\ufffd", ids: [0, 1] });
    expect(streamed([Uint8Array.of(0xff), utf8.encode("b")], [])).toMatchObject({ text: "\ufffdb", ids: [0, 1] });
  });

  it("include a token that continues with a stop string, but not the tokens after it", () => {
    const tokens = ["fo", "o\n", "x"].map((text) => utf8.encode(text));
    expect(streamed(tokens, ["\n"])).toEqual({ text: "foo", ids: [0, 1], pushed: 2 });
    expect(streamed(tokens, ["\nx"])).toEqual({ text: "foo", ids: [0, 1], pushed: 3 });
    expect(streamed(tokens, ["o\nx"])).toEqual({ text: "fo", ids: [0], pushed: 3 });
  });
});

it("returns log-probabilities as OpenAI's API does, with the bytes of each token", () => {
  const tokenizer = tokenizerOf([utf8.encode("é "), Uint8Array.of(0xf0, 0x9f)]);
  const top = [
    { id: 1, logprob: -0.25 },
    { id: 7, logprob: Number.NEGATIVE_INFINITY },
  ];
  expect(contentLogprob(tokenizer, { id: 0, logprob: -1.5, top })).toEqual({
    token: "é ",
    logprob: -1.5,
    bytes: [0xc3, 0xa9, 0x20],
    top_logprobs: [
      { token: "\\xf0\\x9f", logprob: -0.25, bytes: [0xf0, 0x9f] },
      { token: "", logprob: -9999, bytes: [] },
    ],
  });
  expect(tokenText(tokenizer, 0)).toBe("é ");
});
