import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Tokenizer, tokenizerFromJson, tokenizerToJson } from "../../src/tokenizer/index.js";
import { snapshotOf, tokenizerFromSnapshot } from "../../src/tokenizer/snapshot.js";

interface Case {
  readonly name: string;
  readonly pre_tokenizer: unknown;
  readonly normalizer: unknown;
  readonly texts: readonly string[];
  /** Ids by the Rust tokenizers. */
  readonly ids: readonly number[][];
  readonly decoded: readonly string[];
}

const path = process.env.QUERN_TOKENIZER_STEPS ?? new URL("fixtures/tokenizer-steps.json", import.meta.url);
const { base, cases } = JSON.parse(readFileSync(path, "utf8")) as { base: object; cases: readonly Case[] };
const made = ({ pre_tokenizer, normalizer }: Case) => tokenizerFromJson({ ...base, pre_tokenizer, normalizer });

describe("pre-tokenizers and normalizers of tokenizer.json", () => {
  it.each(cases.map((each) => [each.name, each] as const))(
    "return the ids of the Rust tokenizers: %s",
    async (_, each) => {
      const tokenizer = await made(each);
      const other = await tokenizerFromSnapshot(structuredClone(snapshotOf(tokenizer)));
      const again = await tokenizerFromJson(JSON.parse(tokenizerToJson(tokenizer)));
      const wrong: unknown[] = [];
      each.texts.forEach((text, index) => {
        const ids = each.ids[index];
        const { ids: located, starts, ends } = tokenizer.encodeWithOffsets(text);
        const got = [tokenizer.encode(text), other.encode(text), again.encode(text), located];
        const isOrdered = starts.every(
          (start, i) => start <= ends[i] && ends[i] <= text.length && (i === 0 || start >= starts[i - 1]),
        );
        const isRight =
          got.every((list) => list.join() === ids.join()) && tokenizer.decode(ids) === each.decoded[index];
        if (!isRight || !isOrdered) wrong.push({ text, ids, got: got.map((list) => [...list]), isOrdered });
      });
      expect(wrong).toEqual([]);
    },
  );

  it("locate each id in the original text after normalization", async () => {
    const json = { ...base, pre_tokenizer: cases[0].pre_tokenizer };
    const pieces = async (normalizer: object, text: string) => {
      const tokenizer = await tokenizerFromJson({ ...json, normalizer });
      const { starts, ends } = tokenizer.encodeWithOffsets(text);
      const covered = new Set<string>();
      for (let i = 0; i < starts.length; i++) covered.add(text.slice(starts[i], ends[i]));
      return [...covered];
    };
    expect(await pieces({ type: "NFKC" }, "zﬁ9")).toEqual(["z", "ﬁ", "9"]);
    expect(await pieces({ type: "Strip", strip_left: true, strip_right: true }, "  q  ")).toEqual(["q"]);
    expect(await pieces({ type: "Replace", pattern: { String: "ab" }, content: "" }, "zab9")).toEqual(["z", "9"]);
    expect(await pieces({ type: "Prepend", prepend: "%" }, "q")).toEqual(["", "q"]);
    const both = { type: "Sequence", normalizers: [{ type: "NFD" }, { type: "StripAccents" }] };
    expect(await pieces(both, "zé9")).toEqual(["z", "é", "9"]);
  });

  it("ignore truncation and padding, but keep them in the file", async () => {
    const truncation = { direction: "Right", max_length: 2, strategy: "LongestFirst", stride: 0 };
    const padding = {
      strategy: { Fixed: 90 },
      direction: "Right",
      pad_to_multiple_of: null,
      pad_id: 0,
      pad_type_id: 0,
      pad_token: "<s>",
    };
    const plain = await made(cases[0]);
    const tokenizer = await tokenizerFromJson({ ...base, pre_tokenizer: cases[0].pre_tokenizer, truncation, padding });
    const text = "a text of more than two tokens";
    expect(tokenizer.encode(text)).toEqual(plain.encode(text));
    expect(JSON.parse(tokenizerToJson(tokenizer))).toMatchObject({ truncation, padding });
  });

  it("keep texts divisible when Digits precedes a published pattern", async () => {
    const tokenizer = await made(cases.find(({ name }) => name === "starcoder")!);
    expect(tokenizer.divisible).toBe(true);
    const text = "The 12 cats of 1999 cost $3,50. ".repeat(1500);
    const parts = new Tokenizer({
      ...tokenizer.parts,
      splitter: { lex: tokenizer.parts.splitter.lex, divisible: false },
    });
    expect(tokenizer.encode(text)).toEqual(parts.encode(text));
  });

  it.each([
    ["a sequence nested without end", { type: "Sequence", pretokenizers: [] as unknown[] }, /nested more than 20/],
    [
      "ByteLevel twice",
      { type: "Sequence", pretokenizers: [{ type: "ByteLevel" }, { type: "ByteLevel" }] },
      /ByteLevel twice/,
    ],
    [
      "an unknown behaviour",
      { type: "Sequence", pretokenizers: [{ type: "Punctuation", behavior: "Mixed" }, { type: "ByteLevel" }] },
      /Punctuation behavior Mixed/,
    ],
    [
      "an invalid pattern",
      {
        type: "Sequence",
        pretokenizers: [{ type: "Split", pattern: { Regex: "(" }, behavior: "Removed" }, { type: "ByteLevel" }],
      },
      /not a regular expression/,
    ],
    ["no ByteLevel", { type: "Digits", individual_digits: true }, /without ByteLevel/],
    [
      "UnicodeScripts",
      { type: "Sequence", pretokenizers: [{ type: "UnicodeScripts" }, { type: "ByteLevel" }] },
      /UnicodeScripts.*not supported/,
    ],
    [
      "a missing delimiter",
      { type: "Sequence", pretokenizers: [{ type: "CharDelimiterSplit" }, { type: "ByteLevel" }] },
      /must be a string/,
    ],
  ])("refuse %s", async (name, pre_tokenizer, message) => {
    let step: unknown = pre_tokenizer;
    if (name.includes("nested")) for (let i = 0; i < 3000; i++) step = { type: "Sequence", pretokenizers: [step] };
    await expect(tokenizerFromJson({ ...base, pre_tokenizer: step })).rejects.toThrow(message);
  });
});
