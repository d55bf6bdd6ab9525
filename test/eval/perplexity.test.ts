/** Nats per token of files; the scorer itself is tested in test/infer. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PerplexityOptions, perplexity } from "../../src/eval/index.js";
import { defineModel, initialValues, parametersOf, writeModel } from "../../src/model/index.js";
import { saveTokenizer, type Tokenizer, trainTokenizer } from "../../src/tokenizer/index.js";
import { SLOW_BUILD } from "../model/targets.js";

describe("perplexity", { timeout: SLOW_BUILD }, () => {
  let folder: string;
  let tokenizer: Tokenizer;
  const texts = { "one.txt": `${"Grün ist die Heide, die Heide ist grün. ".repeat(12)}`, "two.txt": "日本語 is one." };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "quern-perplexity-"));
    tokenizer = await trainTokenizer(Object.values(texts), { vocabSize: 290 });
    const model = defineModel({ layers: 1, width: 16, heads: 2, vocabSize: tokenizer.vocabSize, sequence: 64 });
    const values = new Map(parametersOf(model).map((each) => [each.name, initialValues(each, 1)]));
    await writeModel(folder, model, (name) => values.get(name)!, { endOfText: tokenizer.endOfText ?? null });
    await saveTokenizer(tokenizer, folder);
    for (const [name, text] of Object.entries(texts)) await writeFile(join(folder, name), text);
    const lines = Object.values(texts).map((text) => JSON.stringify({ text }));
    await writeFile(join(folder, "both.jsonl"), lines.join("\n"));
    await writeFile(join(folder, "empty.txt"), " \n");
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const score = (names: readonly string[], options: Partial<PerplexityOptions> = {}) =>
    perplexity({ model: folder, files: names.map((name) => join(folder, name)), ...options });

  it("counts the tokens and bytes of each file and adds them up", async () => {
    const { files, total, sequence, stride } = await score(["one.txt", "two.txt"]);
    expect([sequence, stride]).toEqual([64, 32]);
    for (const [i, text] of Object.values(texts).entries()) {
      expect(files[i].tokens).toBe(tokenizer.encode(text).length);
      expect(files[i].bytes).toBe(Buffer.byteLength(text));
      const bits = files[i].bits_per_token * files[i].tokens;
      expect(files[i].bits_per_byte).toBeCloseTo(bits / files[i].bytes, 10);
      expect(files[i].perplexity).toBeCloseTo(2 ** files[i].bits_per_token, 6);
      // An untrained model predicts about uniformly over the vocabulary.
      expect(files[i].nats_per_token).toBeGreaterThan(0.9 * Math.log(tokenizer.vocabSize));
    }
    const sum = files.reduce((nats, file) => nats + file.nats_per_token * file.tokens, 0);
    expect(total.nats_per_token).toBeCloseTo(sum / total.tokens, 10);
    // The same documents as rows of one file.
    const rows = await score(["both.jsonl"]);
    expect(rows.total).toEqual(total);
    // Windows without overlap see less context, so the numbers differ. A text shorter than a window is not affected.
    const plain = await score(["one.txt", "two.txt"], { sequence: 32, stride: 32 });
    expect(plain.files[0].nats_per_token).not.toBe(files[0].nats_per_token);
    expect(plain.files[1].nats_per_token).toBeCloseTo(files[1].nats_per_token, 5);
  });

  it("rejects files and windows that it cannot score", async () => {
    await expect(score(["empty.txt"])).rejects.toThrow(/empty/);
    await expect(score(["none.txt"])).rejects.toThrow(/there is no such file/);
    await expect(score(["one.txt"], { sequence: 65 })).rejects.toThrow(/a window of 65 tokens is longer than .* 64/);
    await expect(score(["one.txt"], { sequence: 16, stride: 17 })).rejects.toThrow(/a stride of 17 tokens/);
  });
});
