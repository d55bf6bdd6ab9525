/** `quern import`, and commands that read a .gguf file directly. */
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { perplexity } from "../../src/eval/index.js";
import { generateText, importModel, openTextModel } from "../../src/infer/index.js";
import { openModel, openSafetensors, parametersOf } from "../../src/model/index.js";
import { pretrain } from "../../src/train/index.js";
import { type Entry, ggufBytes, tinyLlama } from "../model/gguf-writer.js";
import { SLOW_BUILD } from "../model/targets.js";

const fixture = (name: string) => fileURLToPath(new URL(`../oracle/fixtures/gguf/${name}`, import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-import-"));
});
afterAll(() => rm(folder, { recursive: true }));

const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));

describe.each(["llama", "gpt2", "qwen3"])("quern import of %s.gguf", (name) => {
  it("writes the same model as a Hugging Face folder", async () => {
    const out = join(folder, name);
    const imported = await importModel({ file: fixture(`${name}.gguf`), out });
    expect(imported).toMatchObject({ family: name, dtype: "f32", chat_template: name === "llama" });
    expect((await readdir(out)).filter((file) => !file.startsWith(".")).sort()).toEqual([
      ...["config.json", "generation_config.json", "model.safetensors"],
      ...["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"],
    ]);
    const [before, after] = [await openTextModel(fixture(`${name}.gguf`)), await openTextModel(out)];
    expect(after.model.config).toEqual(before.model.config);
    expect(after.endOfText).toEqual(before.endOfText);
    expect(after.beginning).toEqual(before.beginning);
    for (const parameter of parametersOf(before.model.config)) {
      expect(await after.model.readParameter(parameter.name)).toEqual(await before.model.readParameter(parameter.name));
    }
    await Promise.all([before.close(), after.close()]);
  });
});

describe("quern import", () => {
  it("writes the tokens that begin, end and pad a text", async () => {
    const out = join(folder, "roles");
    await importModel({ file: fixture("qwen3.gguf"), out });
    for (const file of ["config.json", "generation_config.json"]) {
      expect(json(join(out, file))).toMatchObject({ bos_token_id: 380, eos_token_id: 382, pad_token_id: 380 });
    }
    expect(json(join(out, "special_tokens_map.json"))).toEqual({
      bos_token: "<|endoftext|>",
      eos_token: "<|im_end|>",
      pad_token: "<|endoftext|>",
    });
    expect(json(join(out, "tokenizer_config.json"))).toMatchObject({ model_max_length: 256 });
  });

  it("keeps 16 bits if the file has no more, and rounds to --dtype", async () => {
    const { metadata, tensors } = tinyLlama();
    const halves = (bits: number, count: number) => new Uint8Array(new Uint16Array(count).fill(bits).buffer);
    const ones = new Uint8Array(new Float32Array(4).fill(1).buffer);
    const stored = tensors.map((tensor) =>
      tensor.dimensions.length > 1 ? { ...tensor, type: 30, data: halves(0x3dcd, 16) } : { ...tensor, data: ones },
    );
    const file = join(folder, "bf16.gguf");
    writeFileSync(file, ggufBytes({ metadata, tensors: stored }));
    expect((await importModel({ file, out: join(folder, "bf16") })).dtype).toBe("bf16");
    expect((await importModel({ file, out: join(folder, "f16"), dtype: "f16" })).dtype).toBe("f16");
    const weights = await openSafetensors(join(folder, "bf16", "model.safetensors"));
    expect(weights.tensors.get("model.norm.weight")?.dtype).toBe("BF16");
    await weights.close();
    writeFileSync(file, ggufBytes({ metadata, tensors: stored.map((each, i) => (i === 1 ? tensors[1] : each)) }));
    expect((await importModel({ file, out: join(folder, "f32") })).dtype).toBe("f32");
  });

  it("refuses to round weights to infinity", async () => {
    const { metadata, tensors } = tinyLlama();
    const data = new Uint8Array(new Float32Array(4).fill(70_000).buffer);
    const file = join(folder, "large-weights.gguf");
    writeFileSync(
      file,
      ggufBytes({ metadata, tensors: tensors.map((each, i) => (i === 1 ? { ...each, data } : each)) }),
    );
    const out = join(folder, "overflow");
    await expect(importModel({ file, out, dtype: "f16" })).rejects.toThrow(/model\.norm\.weight .* too large for f16/);
    expect((await importModel({ file, out, dtype: "bf16" })).dtype).toBe("bf16");
  });

  it("rejects a file that is not GGUF, and a vocabulary larger than the embedding", async () => {
    const out = join(folder, "refused");
    const text = join(folder, "notes.txt");
    writeFileSync(text, "no model");
    await expect(importModel({ file: text, out })).rejects.toThrow(
      /is not a GGUF file; commands read other models directly/,
    );
    await expect(importModel({ file: join(folder, "nowhere.gguf"), out })).rejects.toMatchObject({ exitCode: 2 });
    const { metadata, tensors } = tinyLlama();
    const entries = metadata.map((entry): Entry => {
      if (entry[0] === "tokenizer.ggml.tokens") return [entry[0], "string", ["a", "b", "ab", "<end>", "c"]];
      if (entry[0] === "tokenizer.ggml.token_type") return [entry[0], "i32", [1, 1, 1, 3, 1]];
      return entry;
    });
    const large = join(folder, "large.gguf");
    writeFileSync(large, ggufBytes({ metadata: entries, tensors }));
    await expect(importModel({ file: large, out })).rejects.toThrow(/has 5 tokens, but the model has 4/);
    expect(await readdir(folder)).not.toContain("refused");
  });
});

describe("commands that take a model", { timeout: SLOW_BUILD }, () => {
  const text = (times: number) => {
    const path = join(folder, "mill.txt");
    writeFileSync(path, "The mill stood by the river. ".repeat(times));
    return path;
  };

  it("score a text the same from a .gguf file and its folder", async () => {
    const out = join(folder, "scored");
    await importModel({ file: fixture("gpt2.gguf"), out });
    const target = { backend: "reference" } as const;
    const [file, imported] = await Promise.all(
      [fixture("gpt2.gguf"), out].map((model) => perplexity({ model, files: [text(20)], target })),
    );
    expect(file.total.tokens).toBeGreaterThan(100);
    expect(file.total).toEqual(imported.total);
  });

  it("generate from one", async () => {
    const pieces: string[] = [];
    const call = { model: fixture("gpt2.gguf"), prompt: "The mill", tokens: 4, temperature: 0 };
    for await (const piece of generateText(call)) pieces.push(piece);
    expect(pieces.join("")).not.toBe("");
  });

  it("continue its training, with its tokenizer", async () => {
    const out = join(folder, "run");
    const sizes = { steps: 1, batch: 2, sequence: 16, dtype: "fp32", threads: 1 } as const;
    await pretrain({ text: [text(500)], from: fixture("qwen3.gguf"), out, ...sizes });
    const model = await openModel(out);
    expect(model.config).toMatchObject({ family: "qwen3", ropeScaling: { type: "yarn" } });
    await model.close();
  });
});
