import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import {
  loadTokenizer,
  QuernError,
  saveTokenizer,
  tokenizerFromGpt2,
  tokenizerFromJson,
  tokenizerFromRanks,
  tokenizerToGpt2,
  tokenizerToJson,
  tokenizerToRanks,
  trainTokenizer,
} from "../../src/tokenizer/index.js";
import { fixture, hardText, seed } from "./random-text.js";

const folder = mkdtempSync(join(tmpdir(), "quern-tokenizer-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const text = (JSON.parse(readFileSync(fixture("training.json"), "utf8"))[0].texts as string[]).join("\n");
const trained = await trainTokenizer([text], { vocabSize: 700, special: ["<|endoftext|>"] });
const good = JSON.parse(tokenizerToJson(trained));
const changed = (change: (json: typeof good) => void): unknown => {
  const json = structuredClone(good);
  change(json);
  return json;
};

describe("files", () => {
  it("survive writing and reading a folder", async () => {
    const path = join(folder, "saved");
    await saveTokenizer(trained, path);
    expect(readdirSync(path).sort()).toEqual(["tokenizer.json", "tokenizer_config.json"]);
    for (const each of [path, join(path, "tokenizer.json")]) {
      const again = await loadTokenizer(each);
      expect(tokenizerToJson(again)).toBe(tokenizerToJson(trained));
      expect(again.endOfText).toBe(0);
      fc.assert(
        fc.property(hardText, (value) => {
          expect(again.encode(value)).toEqual(trained.encode(value));
        }),
        { seed, numRuns: 200 },
      );
    }
  });

  it("produce the same ids as ranks and as GPT-2's two files", async () => {
    const plain = await trainTokenizer([text], { vocabSize: 700, special: [], pattern: "gpt2" });
    writeFileSync(join(folder, "plain.tiktoken"), tokenizerToRanks(plain));
    const { vocab, merges } = tokenizerToGpt2(plain);
    writeFileSync(join(folder, "vocab.json"), vocab);
    writeFileSync(join(folder, "merges.txt"), merges);
    const ranked = await loadTokenizer(join(folder, "plain.tiktoken"), { pattern: "gpt2" });
    const paired = await loadTokenizer(folder);
    fc.assert(
      fc.property(hardText, (value) => {
        expect(ranked.encode(value)).toEqual(plain.encode(value));
        expect(paired.encode(value)).toEqual(plain.encode(value));
      }),
      { seed, numRuns: 200 },
    );
    expect(tokenizerToRanks(ranked)).toBe(tokenizerToRanks(plain));
    expect(
      JSON.parse(tokenizerToJson(ranked)).model.merges.map((pair: string[] | string) =>
        typeof pair === "string" ? pair : pair.join(" "),
      ),
    ).toEqual(JSON.parse(tokenizerToJson(plain)).model.merges.map((pair: string[]) => pair.join(" ")));
    await expect(loadTokenizer(join(folder, "plain.tiktoken"))).rejects.toThrow(/give its pattern/);
  });

  it.each([
    ["model WordPiece", (json) => Object.assign(json.model, { type: "WordPiece" })],
    ["dropout", (json) => Object.assign(json.model, { dropout: 0.1 })],
    ["byte_fallback", (json) => Object.assign(json.model, { byte_fallback: true })],
    ["continuing_subword_prefix", (json) => Object.assign(json.model, { continuing_subword_prefix: "##" })],
    ["end_of_word_suffix", (json) => Object.assign(json.model, { end_of_word_suffix: "</w>" })],
    ["normalizer Nmt", (json) => Object.assign(json, { normalizer: { type: "Nmt" } })],
    ["pre_tokenizer Metaspace", (json) => Object.assign(json, { pre_tokenizer: { type: "Metaspace" } })],
    ["Split behavior Halved", (json) => Object.assign(json.pre_tokenizer.pretokenizers[0], { behavior: "Halved" })],
    ["post_processor BertProcessing", (json) => Object.assign(json, { post_processor: { type: "BertProcessing" } })],
    ["decoder Metaspace", (json) => Object.assign(json, { decoder: { type: "Metaspace" } })],
  ] as [string, (json: typeof good) => void][])("with %s are rejected by its name", async (name, change) => {
    await expect(tokenizerFromJson(changed(change))).rejects.toThrow(new RegExp(`${name}.*not supported`));
  });

  it.each([
    ["duplicate merges", /merge \d+ repeats an earlier pair/, (json) => json.model.merges.push(json.model.merges[3])],
    ["a merge of unknown tokens", /not in the vocabulary/, (json) => json.model.merges.push(["zz", "qqqq"])],
    [
      "a merge whose result is not a token",
      /not in the vocabulary/,
      (json) => json.model.merges.push(["Ġthe", "Ġthe"]),
    ],
    ["a merge of three", /not a pair/, (json) => json.model.merges.push(["a", "b", "c"])],
    ["a huge id", /id 4000000000/, (json) => Object.assign(json.model.vocab, { zz: 4e9 })],
    ["a negative id", /id -1/, (json) => Object.assign(json.model.vocab, { zz: -1 })],
    ["a fractional id", /id 0.5/, (json) => Object.assign(json.model.vocab, { zz: 0.5 })],
    ["an id that is a string", /not a number/, (json) => Object.assign(json.model.vocab, { zz: "1" })],
    ["two tokens with one id", /two tokens/, (json) => Object.assign(json.model.vocab, { zz: 300 })],
    ["an empty token", /empty/, (json) => Object.assign(json.model.vocab, { "": 5000 })],
    ["no merges", /no merges/, (json) => Object.assign(json.model, { merges: undefined })],
    ["a model that is a list", /not a JSON object/, (json) => Object.assign(json, { model: [] })],
    [
      "an added token without an id",
      /no valid id/,
      (json) => Object.assign(json, { added_tokens: [{ content: "x" }] }),
    ],
    [
      "an added token with another token's id",
      /another token's/,
      (json) => Object.assign(json, { added_tokens: [{ content: "<x>", id: 300 }] }),
    ],
    [
      "an added token with two ids",
      /but \d+ in the vocabulary/,
      (json) => Object.assign(json, { added_tokens: [{ content: "Ġthe", id: 9000 }] }),
    ],
    [
      "a flag that is not a boolean",
      /special must be true or false/,
      (json) => Object.assign(json, { added_tokens: [{ content: "<x>", id: 9000, special: "yes" }] }),
    ],
    [
      "a template with an id out of range",
      /adds id 99999999999,/,
      (json) =>
        Object.assign(json, {
          post_processor: {
            type: "TemplateProcessing",
            single: [{ SpecialToken: { id: "x" } }, { Sequence: { id: "A" } }],
            special_tokens: { x: { id: "x", ids: [99999999999], tokens: ["x"] } },
          },
        }),
    ],
    [
      "an invalid pattern",
      /not a regular expression/,
      (json) => Object.assign(json.pre_tokenizer.pretokenizers[0].pattern, { Regex: "(" }),
    ],
    ["no pre-tokenizer", /no pre_tokenizer/, (json) => Object.assign(json, { pre_tokenizer: null })],
  ] as [string, RegExp, (json: typeof good) => void][])("with %s are rejected", async (_, message, change) => {
    await expect(tokenizerFromJson(changed(change))).rejects.toThrow(message);
  });

  it("may have gaps in the ids, which cannot be decoded", async () => {
    const tokenizer = await tokenizerFromJson(changed((json) => Object.assign(json.model.vocab, { zz: 800 })));
    expect(tokenizer.vocabSize).toBe(801);
    expect(tokenizer.has(750)).toBe(false);
    expect(() => tokenizer.decode([750])).toThrow(/no token with id 750/);
    expect(JSON.parse(tokenizerToJson(tokenizer)).model.vocab.zz).toBe(800);
  });

  it("are rejected with the problem and its place", async () => {
    const path = join(folder, "tokenizer.json");
    await expect(loadTokenizer(join(folder, "nowhere"))).rejects.toThrow(/no such file/);
    for (const [content, message] of [
      [tokenizerToJson(trained).slice(0, 5000), /tokenizer\.json.*not JSON/],
      ["", /not JSON/],
      ["[]", /not a JSON object/],
      [Buffer.from([0xff, 0x7b]), /not UTF-8/],
    ] as const) {
      writeFileSync(path, content);
      await expect(loadTokenizer(path)).rejects.toThrow(message);
    }
    rmSync(path);
    const utf8 = new TextEncoder();
    for (const file of ["", "IQ== x\n", "IQ==\n", "!!!! 3\n", "IQ== 0\n"]) {
      await expect(tokenizerFromRanks(utf8.encode(file), { pattern: "gpt2" })).rejects.toThrow(QuernError);
    }
    await expect(tokenizerFromGpt2([], "")).rejects.toThrow(/not an object/);
    await expect(tokenizerFromGpt2({ a: 0 }, "a b\n")).rejects.toThrow(/not in the vocabulary/);
  });

  it("throw only QuernErrors if malformed", async () => {
    const paths = [
      ["model"],
      ["model", "vocab"],
      ["model", "merges"],
      ["added_tokens"],
      ["pre_tokenizer"],
      ["normalizer"],
      ["post_processor"],
      ["decoder"],
      ["model", "vocab", "a"],
      ["model", "merges", "0"],
      ["pre_tokenizer", "pretokenizers"],
      ["version"],
    ];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), fc.jsonValue(), async (path, value) => {
        const json = changed((copy) => {
          let holder = copy;
          for (const key of path.slice(0, -1)) holder = holder[key];
          holder[path.at(-1)!] = value;
        });
        try {
          const tokenizer = await tokenizerFromJson(json);
          tokenizer.decode(tokenizer.encode("some text, 123\n"));
        } catch (error) {
          expect(error).toBeInstanceOf(QuernError);
        }
      }),
      { seed, numRuns: 400 },
    );
  });
});
