/** Model folders from other tools: the content of each file, precedence between files, and refusals. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  defineModel,
  fromHuggingFaceConfig,
  initialValues,
  openModel,
  openSafetensors,
  parametersOf,
  toHuggingFaceConfig,
  writeModel,
} from "../../src/model/index.js";

const config = defineModel({ layers: 1, width: 12, heads: 2, vocabSize: 31, sequence: 16 });
const values = new Map(parametersOf(config).map((parameter) => [parameter.name, initialValues(parameter, 3)]));
const EMBEDDING = "model.embed_tokens.weight";
const DOWN = "model.layers.0.mlp.down_proj.weight"; // (12, 64)

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "quern-folders-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

interface Stored {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

const f32 = (shape: readonly number[], numbers: ArrayLike<number>): Stored => ({
  ...{ dtype: "F32", shape, bytes: new Uint8Array(Float32Array.from(numbers).buffer) },
});

/** A folder of the model above with changed config fields and tensors; undefined removes one. */
async function folderWith(
  fields: Readonly<Record<string, unknown>>,
  tensors: Readonly<Record<string, Stored | undefined>> = {},
): Promise<string> {
  const folder = await mkdtemp(join(root, "model-"));
  await writeModel(folder, config, (name) => values.get(name) as Float32Array, { endOfText: 7 });
  const path = join(folder, "model.safetensors");
  const file = await openSafetensors(path);
  const all: Record<string, Stored | undefined> = {};
  for (const { name, dtype, shape } of file.tensors.values()) {
    all[name] = { dtype, shape, bytes: await file.readBytes(name) };
  }
  await file.close();
  await writeFile(path, safetensors({ ...all, ...tensors }));
  const json = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
  await writeFile(join(folder, "config.json"), JSON.stringify({ ...json, ...fields }));
  return folder;
}

/** A safetensors file of raw tensors of any element type. */
function safetensors(tensors: Readonly<Record<string, Stored | undefined>>): Buffer {
  const header: Record<string, unknown> = {};
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const [name, stored] of Object.entries(tensors)) {
    if (stored === undefined) continue;
    header[name] = { dtype: stored.dtype, shape: stored.shape, data_offsets: [offset, offset + stored.bytes.length] };
    offset += stored.bytes.length;
    parts.push(stored.bytes);
  }
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([prefix, json, ...parts]);
}

/** Opens a folder, calls `use`, and closes it. */
async function opened<T>(
  folder: string,
  use: (model: Awaited<ReturnType<typeof openModel>>) => T,
): Promise<Awaited<T>> {
  const model = await openModel(folder);
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}

describe("end tokens", () => {
  it.each([
    [{ eos_token_id: 9 }, [7, 9]],
    [{ eos_token_id: [9, 7, 11] }, [7, 9, 11]],
    [{ eos_token_id: null }, [7]],
    [{ temperature: 0.1 }, [7]],
    [{ eos_token_id: -1 }, [7]],
  ])("come from config.json and a generation_config.json with %j", async (generation, ends) => {
    const folder = await folderWith({});
    await writeFile(join(folder, "generation_config.json"), JSON.stringify(generation));
    expect(await opened(folder, (model) => model.endOfText)).toEqual(ends);
  });

  it.each([
    ["{", /generation_config.json is not JSON/],
    ["[1]", /generation_config.json is not a generation configuration/],
    ['{"eos_token_id": "</s>"}', /has "<\/s>" in eos_token_id/],
  ])("refuses %s", async (text, message) => {
    const folder = await folderWith({});
    await writeFile(join(folder, "generation_config.json"), text);
    await expect(openModel(folder)).rejects.toThrow(message);
  });

  it("do not require a generation_config.json", async () => {
    const folder = await folderWith({});
    await rm(join(folder, "generation_config.json"));
    expect(await opened(folder, (model) => model.endOfText)).toEqual([7]);
  });
});

describe("a stored head of a model with tied embedding", () => {
  const embedding = values.get(EMBEDDING) as Float32Array;

  it("stays tied if both are equal", async () => {
    const folder = await folderWith({}, { "lm_head.weight": f32([31, 12], embedding) });
    const model = await opened(folder, ({ config: found, warnings }) => ({ found, warnings }));
    expect(model).toEqual({ found: config, warnings: [] });
  });

  it("is used if they differ, with a warning", async () => {
    const other = embedding.map((x) => x + 1);
    const folder = await folderWith({}, { "lm_head.weight": f32([31, 12], other) });
    await opened(folder, async (model) => {
      expect(model.config.tiedHead).toBe(false);
      expect(model.warnings).toEqual([expect.stringMatching(/stores lm_head.weight with other values/)]);
      expect(await model.readParameter("lm_head.weight")).toEqual(other);
      expect(await model.readParameter(EMBEDDING)).toEqual(embedding);
    });
  });

  it("replaces a missing embedding", async () => {
    const folder = await folderWith({}, { "lm_head.weight": f32([31, 12], embedding), [EMBEDDING]: undefined });
    expect(await opened(folder, (model) => model.readParameter(EMBEDDING))).toEqual(embedding);
  });

  it("may be in the index but in no file; required tensors must be in some file", async () => {
    const folder = await mkdtemp(join(root, "index-"));
    await writeModel(folder, config, (name) => values.get(name) as Float32Array, { shardBytes: 2000 });
    const path = join(folder, "model.safetensors.index.json");
    const { weight_map: map } = JSON.parse(await readFile(path, "utf8"));
    const [first] = Object.values(map);
    const moved = {
      ...map,
      "lm_head.weight": first,
      "rotary.inv_freq": first,
      [EMBEDDING]: map[DOWN],
      [DOWN]: map[EMBEDDING],
    };
    await writeFile(path, JSON.stringify({ weight_map: moved }));
    expect(await opened(folder, (model) => model.readParameter(DOWN))).toEqual(values.get(DOWN));
    await writeFile(path, JSON.stringify({ weight_map: { [EMBEDDING]: first } }));
    await expect(openModel(folder)).rejects.toThrow(/has no weights for model\.layers\.0/);
  });
});

describe("element types", () => {
  it.each([
    ["F8_E8M0", 8],
    ["F4", 4],
    ["F6_E2M3", 6],
    ["C64", 64],
    ["X9_NEW", 24],
  ])("opens a model with an unused tensor of %s, but refuses it as a weight", async (dtype, bits) => {
    const unused = { dtype, shape: [8], bytes: new Uint8Array(bits) };
    const folder = await folderWith({}, { unused });
    expect(await opened(folder, (model) => model.readParameter(DOWN))).toEqual(values.get(DOWN));
    if (dtype === "F8_E8M0") return; // readable, as it is used for scales
    const weights = { dtype, shape: [12, 64], bytes: new Uint8Array((12 * 64 * bits) / 8) };
    const other = await folderWith({}, { [DOWN]: weights });
    await expect(opened(other, (model) => model.readParameter(DOWN))).rejects.toThrow(
      new RegExp(`down_proj.weight in .* is ${dtype}; only F64, F32, F16, BF16, F8_E4M3`),
    );
  });

  // Values of PyTorch 2.13's float8 types.
  const infinity = Number.POSITIVE_INFINITY;
  it.each([
    [
      "F8_E4M3",
      { 0: 0, 1: 2 ** -9, 8: 2 ** -6, 56: 1, 57: 1.125, 126: 448, 127: Number.NaN, 184: -1, 255: Number.NaN },
    ],
    [
      "F8_E5M2",
      { 1: 2 ** -16, 4: 2 ** -14, 60: 1, 61: 1.25, 123: 57344, 124: infinity, 125: Number.NaN, 252: -infinity },
    ],
    ["F8_E4M3FNUZ", { 1: 2 ** -10, 64: 1, 127: 240, 128: Number.NaN, 192: -1 }],
    ["F8_E5M2FNUZ", { 1: 2 ** -17, 64: 1, 127: 57344, 128: Number.NaN, 192: -1 }],
    ["F8_E8M0", { 0: 2 ** -127, 127: 1, 254: 2 ** 127, 255: Number.NaN }],
  ])("reads %s", async (dtype, table) => {
    const path = join(root, `${dtype}.safetensors`);
    await writeFile(
      path,
      safetensors({ all: { dtype, shape: [256], bytes: Uint8Array.from({ length: 256 }, (_, i) => i) } }),
    );
    const file = await openSafetensors(path);
    const numbers = await file.readFloats("all");
    await file.close();
    for (const [bits, value] of Object.entries(table)) expect(numbers[Number(bits)], bits).toBe(value);
  });
});

describe("8-bit weights", () => {
  const bytes = Uint8Array.from({ length: 12 * 64 }, (_, i) => (i * 7) % 120); // finite
  const weights = { dtype: "F8_E4M3", shape: [12, 64], bytes };
  const fp8 = (block: readonly number[] | null) => ({
    quantization_config: { quant_method: "fp8", activation_scheme: "dynamic", weight_block_size: block },
  });
  const read = (folder: string) => opened(folder, (model) => model.readParameter(DOWN));

  it("are unscaled without a quantization_config", async () => {
    const plain = await read(await folderWith({}, { [DOWN]: weights }));
    expect(plain[8]).toBe(1); // byte 56
    expect(plain[1]).toBe(7 * 2 ** -9);
  });

  it("are multiplied by the scale of their block or matrix", async () => {
    const plain = await read(await folderWith({}, { [DOWN]: weights }));
    const scales = [1, 2, 3, 4, 5, 6]; // blocks of (5, 40): 3 × 2
    const byBlock = await read(
      await folderWith(fp8([5, 40]), { [DOWN]: weights, [`${DOWN}_scale_inv`]: f32([3, 2], scales) }),
    );
    const expected = plain.map((x, i) => x * scales[Math.floor(Math.floor(i / 64) / 5) * 2 + (i % 64 >= 40 ? 1 : 0)]);
    expect(byBlock).toEqual(expected);
    const byMatrix = await read(
      await folderWith(fp8(null), { [DOWN]: weights, [`${DOWN}_scale_inv`]: f32([], [0.5]) }),
    );
    expect(byMatrix).toEqual(plain.map((x) => x * 0.5));
  });

  it.each([
    ["no scales", fp8([5, 40]), {}, /has no .*down_proj.weight_scale_inv/],
    ["unexplained scales", {}, { [`${DOWN}_scale_inv`]: f32([3, 2], new Float32Array(6)) }, /no quantization_config/],
    [
      "scales of other blocks",
      fp8([6, 64]),
      { [`${DOWN}_scale_inv`]: f32([3, 2], new Float32Array(6)) },
      /\(3,2\).*\(2,1\)/,
    ],
    [
      "scales of float32 weights",
      fp8([5, 40]),
      { [DOWN]: f32([12, 64], new Float32Array(768)), [`${DOWN}_scale_inv`]: f32([3, 2], new Float32Array(6)) },
      /not a matrix of 8-bit floats/,
    ],
  ])("refuses %s", async (_, fields, tensors, message) => {
    await expect(openModel(await folderWith(fields, { [DOWN]: weights, ...tensors }))).rejects.toThrow(message);
  });
});

describe("rotary positions", () => {
  const json = (fields: object) => ({ ...toHuggingFaceConfig(config, 7), rope_scaling: null, ...fields });
  const linear = { rope_type: "linear", factor: 2 };
  const rope = (fields: object) => {
    const { config: found } = fromHuggingFaceConfig(json(fields), "config.json");
    return found.family === "gpt2" ? null : [found.ropeTheta, found.ropeScaling];
  };

  // As in transformers 5.24: the loss on a text was equal to six digits in each of these cases.
  it("come from rope_scaling if both are filled, with the theta next to it", () => {
    const wanted = [5000, { type: "linear", factor: 2 }];
    expect(
      rope({ rope_parameters: { rope_type: "default", rope_theta: 500 }, rope_scaling: linear, rope_theta: 5000 }),
    ).toEqual(wanted);
    expect(rope({ rope_parameters: { ...linear, rope_theta: 5000 }, rope_scaling: {}, rope_theta: 70 })).toEqual(
      wanted,
    );
    expect(rope({ rope_parameters: linear, rope_theta: 5000 })).toEqual(wanted);
    expect(rope({ rope_parameters: linear, rope_theta: undefined })).toEqual([10_000, wanted[1]]);
  });

  it("take the original length from the top-level field, then from the scaling, then from the model", () => {
    const original = (fields: object) => (rope(fields) as [number, { originalSequence: number }])[1].originalSequence;
    const yarn = { type: "yarn", factor: 4 };
    expect(original({ rope_scaling: yarn })).toBe(16);
    expect(original({ rope_scaling: { ...yarn, original_max_position_embeddings: 8 } })).toBe(8);
    expect(
      original({ rope_scaling: { ...yarn, original_max_position_embeddings: 8 }, original_max_position_embeddings: 4 }),
    ).toBe(4);
  });
});

describe("hostile folders", () => {
  it.each([
    [{ num_hidden_layers: 3e7 }, /layers is 30000000, but at most/],
    [{ num_hidden_layers: 4000 }, /describes 4000 layers, but the weights are only 11 tensors/],
    [{ vocab_size: 2e9 }, /have the shape \(31,12\), but config.json requires \(2000000000,12\)/],
    [{ intermediate_size: 1e9 }, /requires \(1000000000,12\)/],
    [{ model_type: "\u001b[2J".repeat(1000) }, /model_type "\\u001b\[2J/],
  ])("are refused with %j before anything is allocated", async (fields, message) => {
    const folder = await folderWith(fields);
    await expect(openModel(folder)).rejects.toThrow(message);
    await expect(openModel(folder)).rejects.toMatchObject({ name: "QuernError" });
  });

  it("are refused if their JSON is nested too deeply, too large or invalid", async () => {
    const folder = await folderWith({});
    const path = join(folder, "config.json");
    await writeFile(path, "[".repeat(100_000));
    await expect(openModel(folder)).rejects.toThrow(/config.json nests more than 128 levels deep/);
    await writeFile(path, '"'.padEnd(65 * 2 ** 20, "x"));
    await expect(openModel(folder)).rejects.toThrow(/the limit for this JSON file is 64 MiB/);
    await rm(path);
    await writeFile(path, "\u001b{");
    await expect(openModel(folder)).rejects.toThrow(/config.json is not JSON: .*\\x1b/);
  });
});
