/** Compares GGUF models with transformers and llama.cpp (test/oracle/gguf_fixtures.py), and tests invalid files. */
import { execFileSync } from "node:child_process";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/backends/index.js";
import { TENSOR_TYPES } from "../../src/model/gguf/blocks.js";
import { llama3Scaling } from "../../src/model/gguf/rope-factors.js";
import {
  defineModel,
  forward,
  isGguf,
  logits,
  modelVariables,
  openGguf,
  openModel,
  type StoredModel,
} from "../../src/model/index.js";
import { rotaryFrequencies } from "../../src/model/rotary.js";
import { input, reshape } from "../../src/tensor/index.js";
import { type Entry, type GgufOptions, ggufBytes, type TensorToStore, tinyLlama, u32, u64 } from "./gguf-writer.js";
import { relativeDifference } from "./model-fixtures.js";

const fixture = (name: string) => fileURLToPath(new URL(`../oracle/fixtures/gguf/${name}`, import.meta.url));
const json = (name: string) => JSON.parse(readFileSync(fixture(name), "utf8"));
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-gguf-"));
});
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
function fileOf(options: GgufOptions | Uint8Array): string {
  const path = join(folder, `${files++}.gguf`);
  writeFileSync(path, options instanceof Uint8Array ? options : ggufBytes(options));
  return path;
}

describe("blocks", () => {
  const blocks = json("blocks.json") as Record<string, { data: string; values: string }>;
  it.each(Object.keys(blocks))("of %s decode to the values of gguf-py, bit for bit", (name) => {
    const type = [...TENSOR_TYPES.values()].find((each) => each.name === name);
    const wanted = new Float32Array(bytesOf(blocks[name].values).buffer);
    const values = new Float32Array(wanted.length);
    type?.decode?.(bytesOf(blocks[name].data), values);
    expect(Buffer.from(values.buffer).equals(Buffer.from(wanted.buffer))).toBe(true);
  });
});

/** Logits (V) after the last of `ids`. */
async function lastLogits(model: StoredModel, ids: readonly number[]): Promise<Float32Array> {
  const weights = modelVariables(model.config);
  const { hidden } = forward(model.config, weights, input("ids", [1, ids.length], "i32"));
  const rows = reshape(hidden, [ids.length, model.config.width]);
  const program = await compile(
    { all: { outputs: { logits: logits(model.config, weights, rows) } } },
    { backend: "reference" },
  );
  for (const name of weights.keys()) await program.write(name, await model.readParameter(name));
  await program.run("all", { ids: Int32Array.from(ids) });
  const all = await program.read("logits");
  await program.dispose();
  return all.slice(-model.config.vocabSize);
}

describe.each(["llama", "gpt2", "qwen3"])("a GGUF file of %s", (name) => {
  const { prompt, logits: wanted, greedy } = json("expected.json").models[name];

  it("matches the logits of transformers", async () => {
    const model = await openModel(fixture(`${name}.gguf`));
    expect(model.config.family).toBe(name);
    expect(relativeDifference(await lastLogits(model, prompt), wanted)).toBeLessThan(2e-6);
    await model.close();
  });

  // llama.cpp rounds activations before multiplying them with quantized blocks, so the llama's tokens soon differ.
  it("matches the greedy tokens of llama.cpp", async () => {
    const { greedy: theirs } = json("llamacpp.json").models[name];
    const agreed = greedy.findIndex((id: number, i: number) => id !== theirs[i]);
    const count = name === "llama" ? 2 : 4;
    expect(agreed === -1 ? greedy.length : agreed).toBeGreaterThanOrEqual(count);
    const model = await openModel(fixture(`${name}.gguf`));
    const ids = [...prompt];
    for (let i = 0; i < count; i++) {
      const found = await lastLogits(model, ids);
      ids.push(found.indexOf(found.reduce((most, value) => Math.max(most, value))));
    }
    expect(ids.slice(prompt.length)).toEqual(theirs.slice(0, count));
    await model.close();
  });
});

describe("the configuration of a GGUF file", () => {
  it("recovers Llama 3's settings from the factors of rope_freqs.weight", async () => {
    const model = await openModel(fixture("llama.gguf"));
    expect(model.config).toMatchObject({
      headWidth: 16,
      keyValueHeads: 2,
      attentionBias: true,
      tiedHead: false,
      normEpsilon: 1e-5,
      ropeScaling: { type: "llama3", factor: 4, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalSequence: 64 },
    });
    expect(model.endOfText).toEqual([381, 382]);
    await model.close();
  });

  it("ties a head that is a copy of the embedding, as in GPT-2", async () => {
    const model = await openModel(fixture("gpt2.gguf"));
    expect(model.config).toMatchObject({ family: "gpt2", tiedHead: true, sequence: 64, hidden: 48 });
    await model.close();
  });

  it("reads YaRN's settings", async () => {
    const model = await openModel(fixture("qwen3.gguf"));
    const { attentionFactor } = (model.config as { ropeScaling: { attentionFactor: number } }).ropeScaling;
    expect(attentionFactor).toBeCloseTo(0.1 * Math.log(4) + 1, 12);
    expect(model.config).toMatchObject({ normEpsilon: 1e-6, ropeScaling: { type: "yarn", originalSequence: 64 } });
    await model.close();
  });

  it("recovers the settings of the published Llama 3 models", () => {
    const scaling = {
      type: "llama3",
      factor: 32,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalSequence: 8192,
    } as const;
    const sizes = { layers: 1, width: 64, heads: 1, vocabSize: 4, sequence: 16, ropeTheta: 500_000 };
    const config = defineModel(sizes) as Parameters<typeof llama3Scaling>[1];
    const plain = rotaryFrequencies(config);
    const stretched = rotaryFrequencies({ ...config, ropeScaling: scaling });
    const factors = Float32Array.from(plain, (value, d) => value / stretched[d]);
    expect(llama3Scaling(factors, config, "x.gguf")).toEqual(scaling);
    factors[20] *= 1.01;
    expect(() => llama3Scaling(factors, config, "x.gguf")).toThrow(/not Llama 3's/);
  });
});

describe("the metadata of a GGUF file", () => {
  it("has values of every type, in versions 2 and 3 and with another alignment", async () => {
    const metadata: Entry[] = [
      ["u8", "u8", 255],
      ["i8", "i8", -7],
      ["u16", "u16", 65535],
      ["i16", "i16", -300],
      ["u32", "u32", 4294967295],
      ["i32", "i32", -70000],
      ["f32", "f32", 1.5],
      ["f64", "f64", Math.PI],
      ["bool", "bool", 1],
      ["string", "string", "grüße\0水"],
      ["u64", "u64", 2n ** 40n],
      ["i64", "i64", -1n],
      ["large", "u64", 2n ** 64n - 1n],
      ["numbers", "f32", [0.5, -2]],
      ["texts", "string", ["a", "", "水"]],
      ["switches", "bool", [1, 0]],
      ["longs", "i64", [1n, -2n]],
      // A list of two lists of bytes.
      ["lists", 9, Buffer.concat([u32(9), u64(2), ...[1, 2].flatMap((n) => [u32(0), u64(n), Buffer.alloc(n, n)])])],
      ["general.alignment", "u32", 64],
    ];
    const data = new Uint8Array(new Float32Array([1, 2, 3, 4, 5, 6]).buffer);
    const tensors = [{ name: "t", dimensions: [3, 2], data }];
    for (const version of [2, 3]) {
      const file = await openGguf(fileOf({ version, metadata, tensors, alignment: 64 }));
      expect(Object.fromEntries(file.metadata)).toEqual({
        ...{ u8: 255, i8: -7, u16: 65535, i16: -300, u32: 4294967295, i32: -70000, f32: 1.5, f64: Math.PI },
        ...{ bool: true, string: "grüße\0水", u64: 2 ** 40, i64: -1, large: 2n ** 64n - 1n, longs: [1, -2] },
        ...{ numbers: new Float32Array([0.5, -2]), texts: ["a", "", "水"], switches: [true, false] },
        ...{ lists: [new Uint8Array([1]), new Uint8Array([2, 2])], "general.alignment": 64 },
      });
      const { shape, begin, end, type } = file.tensors.get("t")!;
      expect([shape, begin % 64, end - begin, type.name]).toEqual([[2, 3], 0, 24, "F32"]);
      expect(await file.readBytes(begin, end)).toEqual(data);
      await file.close();
    }
  });

  it("is recognized by its first bytes, not by the file name", async () => {
    const path = join(folder, "sha256-abc");
    writeFileSync(path, ggufBytes(tinyLlama()));
    expect(await isGguf(path)).toBe(true);
    expect((await openModel(path)).config.layers).toBe(1);
    expect(await isGguf(fixture("expected.json"))).toBe(false);
    expect(await isGguf(join(folder, "nowhere"))).toBe(false);
  });
});

/** A tiny llama with replaced or added entries and changed tensors. */
function changed(entries: readonly Entry[], tensors?: (all: TensorToStore[]) => TensorToStore[]): GgufOptions {
  const tiny = tinyLlama();
  const keys = new Set(entries.map(([key]) => key));
  return {
    metadata: [...tiny.metadata.filter(([key]) => !keys.has(key)), ...entries],
    tensors: tensors?.(tiny.tensors) ?? tiny.tensors,
  };
}
const without = (key: string): GgufOptions => {
  const tiny = tinyLlama();
  return { ...tiny, metadata: tiny.metadata.filter(([each]) => each !== key) };
};

describe("openModel refuses a GGUF file", () => {
  const one = (tensor: Partial<TensorToStore>): GgufOptions => ({
    tensors: [{ name: "t", dimensions: [4], data: new Uint8Array(16), ...tensor }],
  });
  const named = (name: string, change: Partial<TensorToStore>) => (all: TensorToStore[]) =>
    all.map((tensor) => (tensor.name === name ? { ...tensor, ...change } : tensor));
  const UP = "blk.0.ffn_up.weight";
  it.each<[string, GgufOptions | Uint8Array, RegExp]>([
    ["that is empty", new Uint8Array(0), /it starts with ""/],
    ["that is a zip", Buffer.from("PK\x03\x04 a zip"), /it starts with "PK/],
    ["older than GGUF", Buffer.from("tjgg\x03\0\0\0"), /is a GGML file from before GGUF.*convert the model/],
    ["of version 1", { version: 1 }, /is GGUF version 1; Quern reads versions 2 and 3/],
    ["of a future version", { version: 9 }, /is GGUF version 9/],
    ["that is big-endian", { version: 3 << 24 }, /is a big-endian GGUF file/],
    ["with too many entries", { entryCount: 2n ** 60n }, /claims \d+ metadata entries, more than its \d+ bytes/],
    ["with too many tensors", { tensorCount: 2n ** 63n }, /claims \d+ tensors, more than its \d+ bytes/],
    ["with a text of 2^60 bytes", { metadata: [["k", 8, u64(2n ** 60n)]] }, /the value of k claims \d+ bytes/],
    ["with a text past the end", { metadata: [["k", 8, u64(100)]] }, /needs 100 bytes, but only 0 are left/],
    [
      "with a list of 2^61 values",
      { metadata: [["k", 9, Buffer.concat([u32(12), u64(2n ** 61n)])]] },
      /claims \d+ values in the list k/,
    ],
    [
      "with deeply nested lists",
      { metadata: [["k", 9, Buffer.concat(Array.from({ length: 9 }, () => Buffer.concat([u32(9), u64(1)])))]] },
      /lists more than 4 deep/,
    ],
    ["with an unknown value type", { metadata: [["k", 13, u64(0)]] }, /has the unknown type 13/],
    ["with a boolean of 2", { metadata: [["k", "bool", 2]] }, /neither true nor false/],
    [
      "with a duplicate key",
      {
        metadata: [
          ["k", "u8", 1],
          ["k", "u8", 2],
        ],
      },
      /the key k twice/,
    ],
    ["with alignment 0", { ...one({}), metadata: [["general.alignment", "u32", 0]] }, /general.alignment is 0/],
    ["with five dimensions", one({ dimensions: [1, 1, 1, 1, 1] }), /tensor t has 5 dimensions/],
    ["with an impossible shape", one({ dimensions: [2n ** 40n, 2n ** 40n] }), /tensor t has the impossible shape/],
    ["with a shape that overflows", one({ dimensions: [2n ** 63n, 2n] }), /tensor t has the impossible shape/],
    ["with an unknown tensor type", one({ type: 99 }), /tensor t has the unknown type 99/],
    ["with a removed tensor type", one({ type: 4 }), /tensor t has the unknown type 4/],
    [
      "with half a block",
      one({ type: 2, dimensions: [16] }),
      /rows of 16 values, not a multiple of the 32 in a block of Q4_0/,
    ],
    ["with an unaligned offset", one({ offset: 4 }), /is not aligned to 32 bytes/],
    ["with an offset past the end", one({ offset: 2n ** 62n }), /tensor t ends at byte \d+, but the file has/],
    ["with a duplicate tensor", { tensors: [one({}).tensors![0], one({}).tensors![0]] }, /it has tensor t twice/],
    [
      "with overlapping tensors",
      { tensors: [one({}).tensors![0], { ...one({}).tensors![0], name: "u", offset: 0 }] },
      /tensor u overlaps t/,
    ],
    [
      "of another architecture",
      changed([["general.architecture", "string", "gemma3"]]),
      /has the architecture gemma3; Quern reads gpt2, llama, qwen3/,
    ],
    ["without an architecture", without("general.architecture"), /has no general.architecture/],
    [
      "that is a LoRA adapter",
      changed([["general.type", "string", "adapter"]]),
      /is a LoRA adapter, not a model; merge/,
    ],
    ["that is a projector", changed([["general.architecture", "string", "clip"]]), /is a vision or audio projector/],
    [
      "that is part of a split model",
      changed([
        ["split.no", "u16", 0],
        ["split.count", "u16", 3],
      ]),
      /is part 1 of 3 of a split model.*--merge/,
    ],
    [
      "with experts",
      changed([["llama.expert_count", "u32", 8]]),
      /requires a mixture of experts \(llama\.expert_count\)/,
    ],
    ["with a sliding window", changed([["llama.attention.sliding_window", "u32", 8]]), /attention in a sliding window/],
    [
      "with partial rotations",
      changed([
        ["llama.attention.key_length", "u32", 2],
        ["llama.rope.dimension_count", "u32", 1],
      ]),
      /rotations of 1 of the 2 dimensions/,
    ],
    [
      "with different heads per layer",
      changed([["llama.attention.head_count", "u32", [2, 1]]]),
      /layers with different values of llama\.attention\.head_count/,
    ],
    [
      "with another RoPE scaling",
      changed([["llama.rope.scaling.type", "string", "longrope"]]),
      /rotary positions of type longrope/,
    ],
    [
      "without a size",
      without("llama.embedding_length"),
      /has no llama\.embedding_length, but a model needs a number there/,
    ],
    ["with a size that is a text", changed([["llama.block_count", "string", "1"]]), /has "1" for llama\.block_count/],
    ["with impossible heads", changed([["llama.attention.head_count", "u32", 3]]), /describes an invalid model/],
    [
      "with more layers than tensors",
      changed([["llama.block_count", "u32", 1000]]),
      /claims 1000 layers, but contains only 11 tensors/,
    ],
    ["with an extra layer", changed([["llama.block_count", "u32", 2]]), /has no tensor blk\.1\./],
    ["without an embedding", changed([], (all) => all.slice(1)), /has no tensor token_embd\.weight/],
    [
      "with a missing tensor",
      changed([], (all) => all.filter(({ name }) => name !== UP)),
      /has no tensor blk\.0\.ffn_up\.weight, so its llama model is incomplete/,
    ],
    [
      "with a wrong shape",
      changed([], named(UP, { dimensions: [2, 8] })),
      /has the shape \(8,2\), but its metadata requires \(4,4\)/,
    ],
    [
      "with an unknown tensor",
      changed([], (all) => [...all, { ...all[0], name: "blk.0.ffn_gate_inp.weight" }]),
      /contains a tensor blk\.0\.ffn_gate_inp\.weight, which is not part of a llama/,
    ],
    [
      "with integer weights",
      changed([], named(UP, { type: 26 })),
      /stored as I32, which Quern does not support; use a file with F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, BF16/,
    ],
  ])("%s", async (_, options, message) => {
    const error = await openModel(fileOf(options)).then(
      () => null,
      (thrown: Error) => thrown,
    );
    expect(error).toMatchObject({ name: "QuernError" });
    expect(error?.message).toMatch(message);
    expect(error?.message.split("\n")).toHaveLength(1);
  });

  it("truncated at any position", async () => {
    const whole = ggufBytes(tinyLlama());
    for (let length = 0; length < whole.length - 16; length += 61) {
      const path = fileOf(whole);
      truncateSync(path, length);
      await expect(openModel(path)).rejects.toMatchObject({ name: "QuernError", message: /^[^\n]{20,300}$/ });
    }
  });

  it.skipIf(process.platform === "win32")("that is a pipe, without waiting for a writer", async () => {
    const path = join(folder, "pipe.gguf");
    execFileSync("mkfifo", [path]);
    await expect(openModel(path)).rejects.toThrow(/it is not a regular file/);
    expect(await isGguf(path)).toBe(false);
  });

  it("named by its folder, and names the file", async () => {
    fileOf(tinyLlama());
    await expect(openModel(folder)).rejects.toThrow(
      /is neither a model nor a run: name a file in it, such as .*\.gguf/,
    );
  });
});
