/** `quern quantise`: one file per type, and the report. The bytes and types are tested in test/model. */
import { existsSync } from "node:fs";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { perplexity, type QuantiseOptions, quantiseModel } from "../../src/eval/index.js";
import { defineModel, initialValues, openGguf, parametersOf, writeModel } from "../../src/model/index.js";
import { saveTokenizer, trainTokenizer } from "../../src/tokenizer/index.js";
import { SLOW_BUILD } from "../model/targets.js";

describe("quantiseModel", { timeout: SLOW_BUILD }, () => {
  const TEXT = "Grün ist die Heide, die Heide ist grün. ".repeat(20);
  let folder: string;
  let model: string;
  let text: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "quern-quantise-test-"));
    model = join(folder, "model");
    text = join(folder, "text.txt");
    const tokenizer = await trainTokenizer([TEXT], { vocabSize: 290 });
    const config = defineModel({ layers: 2, width: 64, heads: 2, vocabSize: tokenizer.vocabSize, sequence: 64 });
    const read = (name: string) => {
      const parameter = parametersOf(config).find((each) => each.name === name)!;
      return initialValues({ ...parameter, initial: { kind: "normal", deviation: 0.3 } }, 1);
    };
    await writeModel(model, config, read, { endOfText: tokenizer.endOfText ?? null });
    await saveTokenizer(tokenizer, model);
    await writeFile(text, TEXT);
  });
  afterAll(() => rm(folder, { recursive: true }));

  const quantise = (name: string, options: Partial<QuantiseOptions> = {}) =>
    quantiseModel({ model, type: ["q8_0"], out: join(folder, name), threads: 1, ...options });

  it("writes one file and reports sizes", async () => {
    const { before, after, text: measured, ...facts } = await quantise("one.gguf");
    expect(facts).toMatchObject({ model, family: "llama", warnings: [] });
    expect(measured).toBeUndefined();
    expect(before.bytes).toBe((await stat(join(model, "model.safetensors"))).size);
    expect(after).toHaveLength(1);
    const { gguf, bytes, bits_per_weight, ...rest } = after[0];
    expect(gguf).toBe(join(folder, "one.gguf"));
    expect(rest).toEqual({ type: "q8_0" });
    expect(bytes).toBe((await stat(gguf)).size);
    // 34 bytes per 32 weights, and few vectors.
    expect(bits_per_weight).toBeGreaterThan(8.5);
    expect(bits_per_weight).toBeLessThan(8.6);
    const file = await openGguf(gguf);
    expect(file.metadata.get("general.file_type")).toBe(7);
    await file.close();
  });

  it("writes a file per type and measures each on the same text", async () => {
    const result = await quantise("many.gguf", { type: ["q8_0", "q4_0", "q8_0"], text: [text], tokens: 8 });
    const { before, after } = result;
    expect(after.map(({ type, gguf }) => [type, gguf])).toEqual([
      ["q8_0", join(folder, "many-q8_0.gguf")],
      ["q4_0", join(folder, "many-q4_0.gguf")],
    ]);
    expect(result.text).toMatchObject({ files: [text], bytes: Buffer.byteLength(TEXT) });
    for (const [each, name] of [[before, model] as const, ...after.map((one) => [one, one.gguf] as const)]) {
      const { total } = await perplexity({ model: name, files: [text], threads: 1 });
      expect(each.bits_per_byte).toBe(total.bits_per_byte);
      expect(each.tokens_per_second).toBeGreaterThan(0);
    }
    const [q8, q4] = after;
    expect(Math.abs(q8.bits_per_byte_change!)).toBeLessThan(0.01);
    expect(q8.bits_per_byte_change).toBe(q8.bits_per_byte! / before.bits_per_byte! - 1);
    // Four bits change these large random weights far more.
    expect(Math.abs(q4.bits_per_byte_change!)).toBeGreaterThan(Math.abs(q8.bits_per_byte_change!));
    expect(q4.speedup).toBe(q4.tokens_per_second! / before.tokens_per_second!);
    expect(q4.bytes).toBeLessThan(q8.bytes);
  });

  it("samples the text from the model, the same for a seed", async () => {
    const options = { report: true, samples: 3, tokens: 8, force: true };
    const [first, again, other] = [
      await quantise("sampled.gguf", options),
      await quantise("sampled.gguf", options),
      await quantise("sampled.gguf", { ...options, seed: 9 }),
    ];
    expect(first.text!.files).toBeNull();
    expect(first.text!.tokens).toBeGreaterThan(8);
    expect(again.text).toEqual(first.text);
    expect(again.before.bits_per_byte).toBe(first.before.bits_per_byte);
    expect(other.before.bits_per_byte).not.toBe(first.before.bits_per_byte);
  });

  it("names the model's own text in the error if nothing is measurable", async () => {
    const empty = join(folder, "empty.txt");
    await writeFile(empty, "");
    await expect(quantise("empty.gguf", { text: [empty] })).rejects.toThrow(/empty\.txt/);
  });

  it.each<[string, Partial<QuantiseOptions>, RegExp]>([
    ["an unknown type", { type: ["q3_x" as "q8_0"] }, /type must be one of f32, .*q4_k_m.*not "q3_x"/],
    ["no type", { type: [] }, /type must/],
    ["a model that is missing", { model: "/nowhere" }, /\/nowhere: there is no such folder or file/],
  ])("refuses %s and leaves no file", async (_, options, message) => {
    await expect(quantise("refused.gguf", options)).rejects.toThrow(message);
    expect(existsSync(join(folder, "refused.gguf"))).toBe(false);
  });

  it("refuses an output that exists before it writes another", async () => {
    await writeFile(join(folder, "taken-q4_0.gguf"), "mine");
    await expect(quantise("taken.gguf", { type: ["q8_0", "q4_0"] })).rejects.toThrow(/taken-q4_0\.gguf/);
    expect(existsSync(join(folder, "taken-q8_0.gguf"))).toBe(false);
  });
});
