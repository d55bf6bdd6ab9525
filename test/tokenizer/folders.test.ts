import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadTokenizer, renderChat, saveTokenizer, Tokenizer } from "../../src/tokenizer/index.js";

const read = async (name: string) => JSON.parse(await readFile(new URL(`fixtures/${name}`, import.meta.url), "utf8"));
const { base } = await read("tokenizer-steps.json");
const { texts, cases } = (await read("tokenizer-folders.json")) as {
  readonly texts: readonly string[];
  readonly cases: readonly {
    readonly name: string;
    readonly changes?: object;
    readonly extra?: object;
    readonly vocab?: object;
    readonly files: Readonly<Record<string, unknown>>;
    /** Ids from transformers. */
    readonly ids: readonly number[][];
    readonly decoded: readonly string[] | null;
    readonly names: Readonly<Record<string, string>>;
  }[];
};
const root = await mkdtemp(join(tmpdir(), "quern-folders-"));
afterAll(() => rm(root, { recursive: true, force: true }));

let folders = 0;
async function folderOf(files: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = join(root, String(folders++));
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  }
  return folder;
}

describe("a tokenizer's folder", () => {
  it("replaces nothing in a text that earlier normalizers emptied", async () => {
    const replace = { type: "Replace", pattern: { Regex: "^" }, content: "h" };
    const normalizer = { type: "Sequence", normalizers: [{ type: "Strip" }, replace] };
    const tokenizer = await loadTokenizer(await folderOf({ "tokenizer.json": { ...base, normalizer } }));
    expect([...tokenizer.encode("  ")]).toEqual([]);
  });

  it.each(cases.map((each) => [each.name, each] as const))("is read as in transformers: %s", async (_, each) => {
    const folder =
      each.vocab === undefined
        ? await folderOf({
            "tokenizer.json": {
              ...base,
              model: { ...base.model, vocab: { ...base.model.vocab, ...each.extra } },
              ...each.changes,
            },
            ...each.files,
          })
        : await folderOf({
            "vocab.json": { ...base.model.vocab, ...each.vocab },
            "merges.txt": `#version: 0.2\n${base.model.merges.join("\n")}\n`,
            ...each.files,
          });
    const tokenizer = await loadTokenizer(folder);
    const again = join(root, `again-${folders}`);
    await saveTokenizer(tokenizer, again);
    for (const one of [tokenizer, await loadTokenizer(again)]) {
      expect(texts.map((text) => [...one.encode(text, { special: "allow" })])).toEqual(each.ids);
      if (each.decoded !== null)
        expect(each.ids.map((ids) => one.decode(ids, { skipSpecial: true }))).toEqual(each.decoded);
      for (const content of Object.values(each.names)) expect(one.special.has(content)).toBe(true);
    }
  });

  it("may have chat templates in separate files, which take precedence", async () => {
    const files = { "tokenizer.json": base, "tokenizer_config.json": { chat_template: "old", eos_token: "<s>" } };
    const messages = [{ role: "user", content: "x" }];
    const one = await loadTokenizer(await folderOf({ ...files, "chat_template.jinja": "new {{ eos_token }}" }));
    expect(await renderChat(one, messages)).toBe("new <s>");
    const more = { "additional_chat_templates/tool_use.jinja": "tools", "additional_chat_templates/rag.jinja": "rag" };
    const several = await loadTokenizer(await folderOf({ ...files, "chat_template.jinja": "new", ...more }));
    expect(await renderChat(several, messages)).toBe("new");
    expect(await renderChat(several, messages, { tools: [{}] })).toBe("tools");
    expect(await renderChat(several, messages, { template: "rag" })).toBe("rag");
    await expect(renderChat(several, messages, { template: "no" })).rejects.toThrow(/default, rag, tool_use/);
  });

  it.each([
    [
      "another id",
      { "tokenizer_config.json": { added_tokens_decoder: { 900: { content: "<x>" } } } },
      /"<x>" the id 900, but tokenizer\.json gives it \d+/,
    ],
    ["another id in added_tokens.json", { "added_tokens.json": { "<x>": 900 } }, /added_tokens.json gives.*900/],
    ["an id that is not a number", { "added_tokens.json": { "<x>": "1" } }, /not an integer/],
    ["a list for an object", { "added_tokens.json": [] }, /added_tokens.json is not a JSON object/],
    ["a token without content", { "tokenizer_config.json": { added_tokens_decoder: { 420: {} } } }, /no content/],
    [
      "a flag that is not a boolean",
      { "tokenizer_config.json": { added_tokens_decoder: { 420: { content: "\u001b[2J", lstrip: 1 } } } },
      /\\x1b.*lstrip/,
    ],
    ["a config that is a list", { "tokenizer_config.json": [] }, /tokenizer_config.json is not a JSON object/],
    ["a truncated map", { "special_tokens_map.json": "{" }, /special_tokens_map.json.*not JSON/],
    [
      "a decoder that is a list",
      { "tokenizer_config.json": { added_tokens_decoder: [1] } },
      /added_tokens_decoder.*JSON object/,
    ],
  ])("is rejected with %s", async (_, files, message) => {
    await expect(loadTokenizer(await folderOf({ "tokenizer.json": base, ...files }))).rejects.toThrow(message);
  });

  it("keeps ids that do not continue from the vocabulary's size by writing them into the vocabulary", async () => {
    const tokenizer = await loadTokenizer(await folderOf({ "tokenizer.json": base }));
    const size = tokenizer.vocabSize;
    const far = {
      id: size + 10,
      content: "<far>",
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    };
    const json = { ...tokenizer.parts.json, added_tokens: [...tokenizer.added, far] };
    const folder = join(root, "far");
    await saveTokenizer(new Tokenizer({ ...tokenizer.parts, json, added: [...tokenizer.added, far] }), folder);
    const written = JSON.parse(await readFile(join(folder, "tokenizer.json"), "utf8"));
    expect(written.model.vocab["<far>"]).toBe(size + 10);
    expect([...(await loadTokenizer(folder)).encode("a<far>", { special: "allow" })].at(-1)).toBe(size + 10);
    await expect(
      loadTokenizer(await folderOf({ "tokenizer.json": { ...base, added_tokens: [...base.added_tokens, far] } })),
    ).rejects.toThrow(new RegExp(`<far>.*has id ${size + 10}.*read it as ${size}`));
  });

  it("is rejected if its tokenizer class is not supported", async () => {
    const pair = { "vocab.json": base.model.vocab, "merges.txt": base.model.merges.join("\n") };
    const config = (content: object) => folderOf({ ...pair, "tokenizer_config.json": content });
    await expect(loadTokenizer(await config({ tokenizer_class: "RobertaTokenizer" }))).rejects.toThrow(
      /RobertaTokenizer/,
    );
    await expect(loadTokenizer(await config({ add_bos_token: true }))).rejects.toThrow(/add_bos_token/);
  });
});
