/** Prompt files: valid lines, and errors for invalid ones. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodePrompt, readPrompts } from "../../src/infer/index.js";
import { trainTokenizer } from "../../src/tokenizer/index.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-prompts-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function read(content: string | Buffer) {
  const path = join(folder, "prompts.jsonl");
  await writeFile(path, content);
  return readPrompts(path);
}

describe("readPrompts", () => {
  it("returns texts and conversations with line numbers that count blank lines", async () => {
    const messages = [{ role: "user", content: "Who?", name: "Ann" }];
    const lines = ['\ufeff{"prompt": "a\\nb"}', "", '{"prompt": ""}\r', JSON.stringify({ messages })];
    expect(await read(lines.join("\n"))).toEqual([
      { line: 1, prompt: { prompt: "a\nb" } },
      { line: 3, prompt: { prompt: "" } },
      { line: 4, prompt: { messages } },
    ]);
  });

  it.each([
    ['{"promt": "a"}', 'line 2: unknown key "promt"; did you mean "prompt"?'],
    ['{"prompt": "a", "id": 3}', 'line 2: unknown key "id"'],
    ['{"prompt": "a", "messages": [{"role": "user"}]}', "line 2: both prompt and messages; give one of them"],
    ["{}", "line 2: neither prompt nor messages"],
    ['{"prompt": 3}', "line 2: prompt must be text, not 3"],
    ['{"messages": []}', "line 2: messages must be a list of at least one message"],
    ['{"messages": "hi"}', "line 2: messages must be a list of at least one message"],
    ['{"messages": [{"role": "user"}, {"content": "x"}]}', "line 2: message 2 is not an object with a role"],
    ['{"messages": [null]}', "line 2: message 1 is not an object with a role"],
    ['["a"]', "line 2: not a JSON object"],
    ['{"prompt": "a"', "line 2: Expected ',' or '}'"],
  ])("refuses %s", async (line, message) => {
    const reading = read(`{"prompt": "fine"}\n${line}\n`);
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toMatchObject({ name: "QuernError", exitCode: 2 });
  });

  it("lists the first bad lines and counts the others", async () => {
    await expect(read(Array(8).fill("[]").join("\n"))).rejects.toThrow(
      /prompts.jsonl: line 1: .*line 5: not a JSON object; and 3 more lines \(/,
    );
    await expect(read(Buffer.from([0x22, 0xff, 0x22]))).rejects.toThrow("line 1: not UTF-8");
  });

  it.each(["", "\n\n"])("refuses a file without prompts: %j", async (content) => {
    await expect(read(content)).rejects.toThrow("prompts.jsonl contains no prompts");
  });

  it("rejects a missing file", async () => {
    await expect(readPrompts(join(folder, "none.jsonl"))).rejects.toThrow("there is no such file");
  });
});

describe("encodePrompt", () => {
  it("encodes an empty text as the beginning of a text, and needs a chat template for messages", async () => {
    const tokenizer = await trainTokenizer(["a text"], { vocabSize: 260 });
    expect(await encodePrompt(tokenizer, [7], { prompt: "" })).toEqual({ text: "", ids: [7] });
    await expect(encodePrompt(tokenizer, [], { prompt: "" })).rejects.toThrow("the prompt is empty");
    const messages = [{ role: "user", content: "x" }];
    await expect(encodePrompt(tokenizer, [], { messages })).rejects.toThrow("no chat_template");
  });
});
