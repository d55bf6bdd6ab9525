/** Tokenizers in GGUF files, compared with llama.cpp's ids (test/oracle/gguf_fixtures.py). */
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadTokenizer, renderChat, saveTokenizer } from "../../src/tokenizer/index.js";
import { type Entry, ggufBytes, tinyLlama } from "../model/gguf-writer.js";

const fixture = (name: string) => fileURLToPath(new URL(`../oracle/fixtures/gguf/${name}`, import.meta.url));
const json = (name: string) => JSON.parse(readFileSync(fixture(name), "utf8"));
const { texts, tokens, merges } = json("expected.json");
const llamaCpp = json("llamacpp.json");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-gguf-tokenizer-"));
});
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
/** Writes a GGUF file with some of the tokenizer's entries replaced or added. */
function fileOf(...entries: readonly Entry[]): string {
  const keys = new Set(entries.map(([key]) => key));
  const metadata = [...tinyLlama().metadata.filter(([key]) => !keys.has(key)), ...entries];
  const path = join(folder, `${files++}.gguf`);
  writeFileSync(path, ggufBytes({ metadata: metadata.filter(([, , value]) => value !== undefined) }));
  return path;
}

/**
 * Index of the text with decomposed accents. Qwen's own tokenizers compose them first, and the other patterns treat marks as
 * letters. llama.cpp does neither.
 */
const DECOMPOSED = 4;
const LIKE_THE_ORIGINAL = ["qwen2", "qwen35", "gpt-4o", "llama4", "tekken"];

describe("a pre-tokenizer by its name", () => {
  it.each(Object.keys(llamaCpp.ids))("%s splits as llama.cpp does", async (pre) => {
    const path = fileOf(
      ["tokenizer.ggml.pre", "string", pre],
      ["tokenizer.ggml.tokens", "string", [...tokens, "<end>"]],
      ["tokenizer.ggml.token_type", "i32", [...tokens.map(() => 1), 3]],
      ["tokenizer.ggml.merges", "string", merges],
    );
    const tokenizer = await loadTokenizer(path);
    const checked = [...texts.keys()].filter((i) => i !== DECOMPOSED || !LIKE_THE_ORIGINAL.includes(pre));
    expect(checked.map((i) => [...tokenizer.encode(texts[i])])).toEqual(checked.map((i) => llamaCpp.ids[pre][i]));
    for (const i of checked) expect(tokenizer.decode(tokenizer.encode(texts[i]))).toBe(texts[i]);
  });

  it("is the default if a file names none, and rejected if unknown", async () => {
    const bare = await loadTokenizer(fileOf(["tokenizer.ggml.pre", "string", undefined]));
    const named = await loadTokenizer(fileOf(["tokenizer.ggml.pre", "string", "default"]));
    expect(bare.parts.json.pre_tokenizer).toEqual(named.parts.json.pre_tokenizer);
    await expect(loadTokenizer(fileOf(["tokenizer.ggml.pre", "string", "kimi-k9"]))).rejects.toThrow(
      /\.gguf: the pre-tokenizer "kimi-k9" \(tokenizer\.ggml\.pre\) is unknown; use the model's Hugging Face folder/,
    );
  });
});

describe.each(["llama", "gpt2", "qwen3"])("the tokenizer of %s.gguf", (name) => {
  it("encodes as llama.cpp does, also after saving as a Hugging Face folder", async () => {
    const tokenizer = await loadTokenizer(fixture(`${name}.gguf`));
    const target = join(folder, name);
    await saveTokenizer(tokenizer, target);
    const again = await loadTokenizer(target);
    const checked = [...texts.keys()].filter((i) => i !== DECOMPOSED || name !== "qwen3");
    for (const each of [tokenizer, again]) {
      expect(checked.map((i) => [...each.encode(texts[i], { special: "allow" })])).toEqual(
        checked.map((i) => llamaCpp.models[name].ids[i]),
      );
    }
    expect(again.vocabSize).toBe(tokenizer.vocabSize);
    expect(again.added).toEqual(tokenizer.added);
    expect(again.parts.before).toEqual(tokenizer.parts.before);
    expect(again.endOfText).toBe(tokenizer.endOfText);
  });
});

describe("tokens of a GGUF file", () => {
  it("have roles and types", async () => {
    const llama = await loadTokenizer(fixture("llama.gguf"));
    expect([...llama.special]).toEqual([
      ["<|begin|>", 380],
      ["<|end|>", 381],
      ["<|turn|>", 382],
    ]);
    expect(llama.added.map(({ content, special }) => [content, special])[3]).toEqual(["<tool>", false]);
    // The file does not set add_bos_token; true is the default of llama-bpe.
    expect([...llama.encode("<tool>", { addSpecial: true })]).toEqual([380, 383]);
    expect(llama.endOfText).toBe(381);
    const chat = await renderChat(llama, [{ role: "user", content: "hi" }], { addGenerationPrompt: true });
    expect(chat).toBe("<|begin|><|turn|>user: hi<|end|><|turn|>assistant: ");
  });

  it("leave gaps for padding tokens", async () => {
    const gpt2 = await loadTokenizer(fixture("gpt2.gguf"));
    expect([gpt2.vocabSize, gpt2.has(381), gpt2.has(382), gpt2.idOf("<extra>")]).toEqual([383, false, true, 382]);
    const qwen3 = await loadTokenizer(fixture("qwen3.gguf"));
    expect([qwen3.vocabSize, qwen3.endOfText]).toEqual([383, 380]);
    expect(qwen3.parts.before).toEqual([]);
  });

  it("can be added before and after a text", async () => {
    const path = fileOf(
      ["tokenizer.ggml.add_bos_token", "bool", true],
      ["tokenizer.ggml.add_eos_token", "bool", true],
      ["tokenizer.ggml.bos_token_id", "u32", 2],
    );
    expect([...(await loadTokenizer(path)).encode("a", { addSpecial: true })]).toEqual([2, 0, 3]);
  });

  it("are special if they end a turn, whatever their type; roles with ids beyond the vocabulary are ignored", async () => {
    const tokenizer = await loadTokenizer(
      fileOf(
        ["tokenizer.ggml.token_type", "i32", [1, 1, 1, 1]],
        ["tokenizer.ggml.eot_token_id", "u32", 1],
        ["tokenizer.ggml.padding_token_id", "u32", 4294967295],
        ["tokenizer.ggml.unknown_token_id", "u32", 0],
      ),
    );
    expect([...tokenizer.special]).toEqual([
      ["b", 1],
      ["<end>", 3],
    ]);
    expect(tokenizer.parts.config).not.toHaveProperty("pad_token");
    expect(tokenizer.parts.config).not.toHaveProperty("unk_token");
  });

  it("may be named __proto__; several chat templates are read by name", async () => {
    const tokenizer = await loadTokenizer(
      fileOf(
        ["tokenizer.ggml.tokens", "string", ["a", "b", "ab", "<end>", "__proto__"]],
        ["tokenizer.ggml.token_type", "i32", [1, 1, 1, 3, 1]],
        ["tokenizer.chat_template", "string", "plain"],
        ["tokenizer.chat_templates", "string", ["tool_use"]],
        ["tokenizer.chat_template.tool_use", "string", "tools"],
      ),
    );
    expect(tokenizer.idOf("__proto__")).toBe(4);
    const messages = [{ role: "user", content: "x" }];
    expect(await renderChat(tokenizer, messages)).toBe("plain");
    expect(await renderChat(tokenizer, messages, { tools: [] })).toBe("tools");
  });

  it.each<[string, Entry[], RegExp]>([
    [
      "SentencePiece",
      [["tokenizer.ggml.model", "string", "llama"]],
      /is SentencePiece, tokenizer\.ggml\.model "llama", but Quern reads only byte-level BPE/,
    ],
    ["an unknown model", [["tokenizer.ggml.model", "string", "new"]], /tokenizer is tokenizer\.ggml\.model "new", but/],
    ["none", [["tokenizer.ggml.model", "string", undefined]], /contains no tokenizer/],
    [
      "no tokens",
      [["tokenizer.ggml.tokens", "string", undefined]],
      /tokenizer\.ggml\.tokens must be a list of strings/,
    ],
    [
      "numbers for tokens",
      [["tokenizer.ggml.tokens", "u32", [1, 2]]],
      /tokenizer\.ggml\.tokens must be a list of strings/,
    ],
    ["few types", [["tokenizer.ggml.token_type", "i32", [1]]], /must be 4 numbers, one per token, not 1/],
    ["a token twice", [["tokenizer.ggml.tokens", "string", ["a", "b", "ab", "a"]]], /the tokens 0 and 3 are both "a"/],
    [
      "a merge of one",
      [["tokenizer.ggml.merges", "string", ["ab"]]],
      /merge 0 of tokenizer\.ggml\.merges, "ab", is not a pair/,
    ],
    ["a merge of unknown tokens", [["tokenizer.ggml.merges", "string", ["a x"]]], /merge 0 needs the token "x"/],
    [
      "an id that is a string",
      [["tokenizer.ggml.eos_token_id", "string", "3"]],
      /eos_token_id must be the id of a token/,
    ],
    ["a template that is a number", [["tokenizer.chat_template", "u32", 3]], /chat_template must be a string/],
  ])("are rejected for %s", async (_, entries, message) => {
    const error = await loadTokenizer(fileOf(...entries)).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ name: "QuernError", message });
  });
});
