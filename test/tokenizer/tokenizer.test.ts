import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nfc } from "../../src/tokenizer/encode/normalize.js";
import { type Tokenizer, tokenizerFromJson, tokenizerToJson, trainTokenizer } from "../../src/tokenizer/index.js";
import { anyText, fixture, hardText, seed, wellFormed } from "./random-text.js";

const json = JSON.parse(readFileSync(fixture("added-tokens.json"), "utf8"));
const cases = JSON.parse(readFileSync(fixture("added-tokens.cases.json"), "utf8")) as {
  text: string;
  asText: { ids: number[]; offsets: [number, number][] };
  allowed: { ids: number[]; offsets: [number, number][] };
  withTemplate: number[];
  decoded: string;
  decodedWithoutSpecial: string;
}[];
const tokenizer: Tokenizer = await tokenizerFromJson(json);

describe("added tokens, NFC and template match the Rust tokenizers", () => {
  it.each(cases.map((each) => [each.text, each] as const))("%j", (text, { asText, allowed, withTemplate, ...rest }) => {
    for (const [special, expected] of [
      ["text", asText],
      ["allow", allowed],
    ] as const) {
      expect([...tokenizer.encode(text, { special })]).toEqual(expected.ids);
      const { ids, starts, ends } = tokenizer.encodeWithOffsets(text, { special });
      expect([...ids]).toEqual(expected.ids);
      // The Rust library counts code points, and maps a composed character only to its first part.
      if (nfc(text) !== text) continue;
      const points = codePointsBefore(text);
      expect([...ids].map((_, i) => [points[starts[i]], points[ends[i]]])).toEqual(expected.offsets);
    }
    expect([...tokenizer.encode(text, { special: "allow", addSpecial: true })]).toEqual(withTemplate);
    // It also decodes added tokens as byte-level text, so that café loses its é.
    if (text.includes("caf")) return;
    expect(tokenizer.decode(allowed.ids)).toBe(rest.decoded);
    expect(tokenizer.decode(allowed.ids, { skipSpecial: true })).toBe(rest.decodedWithoutSpecial);
  });
});

describe("offsets", () => {
  it("cover the text of each token, even after NFC, in units and in bytes", () => {
    fc.assert(
      fc.property(hardText, (text) => {
        const { ids, starts, ends } = tokenizer.encodeWithOffsets(text);
        expect(ids).toEqual(tokenizer.encode(text));
        const inBytes = tokenizer.encodeWithOffsets(text, { unit: "byte" });
        const utf8 = new TextEncoder().encode(text);
        let covered = 0;
        ids.forEach((id, i) => {
          const stretch = text.slice(starts[i], ends[i]);
          const token = tokenizer.decode([id]);
          if (!token.includes("\ufffd")) expect(stretch.normalize("NFC")).toContain(token);
          expect(starts[i]).toBeLessThanOrEqual(covered);
          covered = Math.max(covered, ends[i]);
          expect(
            new TextDecoder("utf-8", { ignoreBOM: true }).decode(utf8.subarray(inBytes.starts[i], inBytes.ends[i])),
          ).toBe(stretch);
        });
        expect(covered).toBe(text.length);
      }),
      { seed, numRuns: 500 },
    );
  });

  it("of a composed character cover all its parts", () => {
    const { starts, ends } = tokenizer.encodeWithOffsets("xe\u0301y");
    expect([starts.at(1), ends.at(1)]).toEqual([1, 3]);
    expect([starts.at(-1), ends.at(-1)]).toEqual([3, 4]);
  });
});

describe("encoding and decoding methods", () => {
  it("agree with one another", () => {
    fc.assert(
      fc.property(fc.oneof(hardText, anyText), fc.nat(60), (text, limit) => {
        const ids = tokenizer.encode(text);
        expect(tokenizer.count(text)).toBe(ids.length);
        expect(tokenizer.isWithinLimit(text, limit)).toBe(ids.length <= limit ? ids.length : false);
        expect(tokenizer.encodeBatch([text, "", text])).toEqual([ids, new Uint32Array(0), ids]);
        expect(tokenizer.decode(ids)).toBe(wellFormed(text).normalize("NFC"));
      }),
      { seed, numRuns: 500 },
    );
  });

  it("cut long texts only where every pattern has a boundary", async () => {
    const words = await Promise.all(
      ["gpt2", "cl100k", "o200k", "qwen2"].map((pattern) => trainTokenizer(["a b"], { vocabSize: 258, pattern })),
    );
    const piece = fc.sample(hardText, { seed, numRuns: 400 }).join(" word.");
    const text = piece.repeat(Math.ceil(200_000 / piece.length));
    for (const each of words) {
      const whole = each.encode(text);
      expect(each.decode(whole)).toBe(wellFormed(text));
      expect(each.isWithinLimit(text, whole.length)).toBe(whole.length);
    }
  });

  it("stop early at a limit", () => {
    const text = "word ".repeat(2_000_000);
    const timeOf = (limit: number) => {
      const start = performance.now();
      expect(tokenizer.isWithinLimit(text, limit)).toBe(false);
      return performance.now() - start;
    };
    // Compared with the same call on the same machine; the real ratio is about a thousandth.
    const whole = timeOf(tokenizer.encode("word ".repeat(1000)).length * 1000);
    expect(Math.min(...Array.from({ length: 5 }, () => timeOf(10)))).toBeLessThan(0.5 * whole);
  });

  it("stream only whole characters", async () => {
    const text = "猫👍🏽 café \u0301x";
    const ids = tokenizer.encode(text);
    const stream = new ReadableStream<number>({
      start(controller) {
        for (const id of ids) controller.enqueue(id);
        controller.close();
      },
    }).pipeThrough(tokenizer.decodeStream());
    const out: string[] = [];
    for await (const piece of stream as unknown as AsyncIterable<string>) out.push(piece);
    expect(out.join("")).toBe(text.normalize("NFC"));
    expect(out.some((piece) => piece.includes("\ufffd"))).toBe(false);
  });

  it("keep a byte order mark", () => {
    expect(tokenizer.decode(tokenizer.encode("\ufeffa"))).toBe("\ufeffa");
  });

  it("refuse ids without a token", () => {
    for (const id of [-1, 1e9, 0.5, Number.NaN, tokenizer.vocabSize])
      expect(() => tokenizer.decode([id])).toThrow(/no token with id/);
    expect(() => tokenizer.tokenBytes(-1)).toThrow(/no token with id/);
  });

  it("find tokens by bytes and by text", () => {
    expect(tokenizer.idOf("<mask>")).toBe(tokenizer.special.get("<mask>"));
    expect(tokenizer.tokenBytes(tokenizer.idOf("a")!)).toEqual(Uint8Array.of(97));
    expect(tokenizer.idOf("no such token")).toBeUndefined();
  });

  it("return the same ids when the cache overflows", async () => {
    const { Tokenizer } = await import("../../src/tokenizer/index.js");
    const small = new Tokenizer({ ...tokenizer.parts, cacheBytes: 40_000 });
    const text = Array.from({ length: 30_000 }, (_, i) => `w${(i * 2654435761) % 1e9}`).join(" ");
    expect(small.encode(text)).toEqual(tokenizer.encode(text));
  });
});

describe("tokenizer.json", () => {
  it("is written exactly as it was read", async () => {
    expect(JSON.parse(tokenizerToJson(tokenizer))).toEqual(json);
    const strings = structuredClone(json);
    strings.model.merges = strings.model.merges.map((pair: string[] | string) =>
      Array.isArray(pair) ? pair.join(" ") : pair,
    );
    expect(JSON.parse(tokenizerToJson(await tokenizerFromJson(strings)))).toEqual(strings);
  });
});

/** The number of code points before each UTF-16 unit and before the end. */
function codePointsBefore(text: string): number[] {
  const before = [0];
  for (let i = 0; i < text.length; i++) before.push(before[i] + (text.codePointAt(i)! > 0xffff ? 0 : 1));
  return before;
}
