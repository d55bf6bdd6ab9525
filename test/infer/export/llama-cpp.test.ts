/** Compares exported files with llama.cpp's results on the same bytes (test/oracle/gguf_export.ts). */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../../src/backends/index.js";
import { exportModel } from "../../../src/infer/index.js";
import { forward, logits, modelVariables, openModel, type StoredModel } from "../../../src/model/index.js";
import { input, reshape } from "../../../src/tensor/index.js";
import { loadTokenizer } from "../../../src/tokenizer/index.js";
import { LLAMA_CPP_MODELS, TEXTS, writeLlamaCppModel } from "./llama-cpp-models.js";

interface Expected {
  readonly sha256: string;
  readonly ids: readonly (readonly number[])[];
  readonly special: readonly number[];
  readonly prompt: readonly number[];
  readonly greedy: readonly number[];
  readonly kept: readonly number[];
  readonly logprobs: readonly (readonly number[])[];
}
const expected = JSON.parse(readFileSync(new URL("../../oracle/fixtures/gguf/exported.json", import.meta.url), "utf8"))
  .models as Readonly<Record<string, Expected>>;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-llama-cpp-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Logits (T, V) at every position of `ids` (T). */
async function allLogits(model: StoredModel, ids: readonly number[]): Promise<Float32Array> {
  const weights = modelVariables(model.config);
  const { hidden } = forward(model.config, weights, input("ids", [1, ids.length], "i32"));
  const rows = reshape(hidden, [ids.length, model.config.width]);
  const outputs = { logits: logits(model.config, weights, rows) };
  const program = await compile({ all: { outputs } }, { backend: "reference" });
  for (const name of weights.keys()) await program.write(name, await model.readParameter(name));
  await program.run("all", { ids: Int32Array.from(ids) });
  const all = await program.read("logits");
  await program.dispose();
  return all;
}

describe.each(Object.keys(LLAMA_CPP_MODELS))("the exported %s", (name) => {
  const { sha256, ids, special, prompt, greedy, kept, logprobs } = expected[name];
  let gguf: string;
  beforeAll(async () => {
    gguf = join(folder, `${name}.gguf`);
    await exportModel({ model: await writeLlamaCppModel(name, folder), gguf });
  });

  it("is the file that llama.cpp ran", () => {
    expect(createHash("sha256").update(readFileSync(gguf)).digest("hex")).toBe(sha256);
  });

  it("has llama.cpp's token ids", async () => {
    const tokenizer = await loadTokenizer(join(folder, name));
    expect(TEXTS.map((text) => [...tokenizer.encode(text)])).toEqual(ids);
    const chat = `<|im_start|>user\n${TEXTS[0]}<|im_end|>`;
    expect([...tokenizer.encode(chat, { special: "allow" })]).toEqual(special);
  });

  it("has llama.cpp's log-probabilities and 64 greedy tokens", async () => {
    const model = await openModel(gguf);
    const { vocabSize } = model.config;
    const all = await allLogits(model, [...prompt, ...greedy.slice(0, -1)]);
    await model.close();
    const rowOf = (position: number) => all.subarray(position * vocabSize, (position + 1) * vocabSize);
    const first = prompt.length - 1;
    const chosen = greedy.map((_, i) => {
      const row = rowOf(first + i);
      return row.indexOf(row.reduce((most, value) => Math.max(most, value)));
    });
    expect(chosen).toEqual(greedy);
    for (const [k, position] of kept.entries()) {
      const row = rowOf(first + position);
      const most = row.reduce((a, b) => Math.max(a, b));
      const total = most + Math.log(row.reduce((sum, value) => sum + Math.exp(value - most), 0));
      const apart = logprobs[k].map((value, id) => Math.abs(row[id] - total - value));
      expect(Math.max(...apart)).toBeLessThan(1e-3);
    }
  });
});
