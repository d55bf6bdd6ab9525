/** `quern export` to GGUF, and the way back through `quern import`. */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportModel, importModel, openTextModel } from "../../../src/infer/index.js";
import { writeGguf } from "../../../src/model/gguf/writer.js";
import {
  defineModel,
  type FileType,
  initialLora,
  initialValues,
  type LoraConfig,
  loraPairs,
  type ModelConfig,
  type ModelSizes,
  openGguf,
  openGgufModel,
  parametersOf,
  writeAdapter,
  writeModel,
} from "../../../src/model/index.js";
import { rotaryFrequencies } from "../../../src/model/rotary.js";
import {
  loadTokenizer,
  saveTokenizer,
  Tokenizer,
  type TrainTokenizerOptions,
  trainTokenizer,
} from "../../../src/tokenizer/index.js";

type TokenizerParts = Tokenizer["parts"];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-export-"));
});
afterAll(() => rm(folder, { recursive: true }));

const TEXT = ["The mill stood by the river; the miller's mill ground 1234 sacks of corn. Größe, 水車は川のそば."];
const CHATML =
  "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

const sizes = { layers: 2, width: 64, heads: 4, sequence: 64, vocabSize: 320 };
/** Values that are different in every parameter, norms and biases too. */
function valuesOf(config: ModelConfig, name: string): Float32Array {
  const parameter = parametersOf(config).find((each) => each.name === name);
  if (parameter === undefined) throw new Error(name);
  return initialValues({ ...parameter, initial: { kind: "normal", deviation: 0.3 } }, 5);
}

interface Made {
  readonly config: ModelConfig;
  readonly path: string;
}

const tokenizers = new Map<string, Promise<Tokenizer>>();
/** A tokenizer, trained once for all models with these options. */
function tokenizerOf(options: TrainTokenizerOptions): Promise<Tokenizer> {
  const key = JSON.stringify(options);
  const trained = tokenizers.get(key) ?? trainTokenizer(TEXT, options);
  tokenizers.set(key, trained);
  return trained;
}

let models = 0;
/** Writes a folder with a model and a trained tokenizer. */
async function makeModel(
  more: Partial<ModelSizes>,
  {
    change,
    read,
    endOfText = [0],
    ...training
  }: Partial<TrainTokenizerOptions> & {
    readonly change?: (parts: TokenizerParts) => Partial<TokenizerParts>;
    readonly read?: (config: ModelConfig, name: string) => Float32Array;
    readonly endOfText?: readonly number[];
  } = {},
): Promise<Made> {
  const config = defineModel({ ...sizes, ...more });
  const path = join(folder, `model-${models++}`);
  const { parts } = await tokenizerOf({ vocabSize: 300, ...training });
  await saveTokenizer(new Tokenizer({ ...parts, ...change?.(parts) }), path);
  await writeModel(path, config, (name) => (read ?? valuesOf)(config, name), { endOfText });
  return { config, path };
}

const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const fileName = () => join(folder, `${models++}.gguf`);

const llama3 = { type: "llama3", factor: 8, lowFrequencyFactor: 1.5, highFrequencyFactor: 3.7, originalSequence: 21 };
const yarn = { type: "yarn", factor: 4, originalSequence: 16, betaFast: 32, betaSlow: 1, truncate: true };
const VARIANTS: Readonly<Record<string, Partial<ModelSizes>>> = {
  "gpt2, tied": { family: "gpt2" },
  "gpt2, untied": { family: "gpt2", tiedHead: false, hidden: 96 },
  "llama, grouped, untied, llama3": { keyValueHeads: 2, tiedHead: false, ropeScaling: llama3 as never },
  "llama, one key head, biases, linear": {
    ...{ keyValueHeads: 1, attentionBias: true, feedForwardBias: true },
    ropeScaling: { type: "linear", factor: 2.5 },
  },
  "llama, dynamic": { ropeScaling: { type: "dynamic", factor: 2 }, ropeTheta: 500_000 },
  "qwen3, grouped, wide heads, yarn": {
    ...{ family: "qwen3", keyValueHeads: 2, headWidth: 32 },
    ropeScaling: { ...yarn, attentionFactor: 1.3 } as never,
  },
  "qwen3, untied": { family: "qwen3", tiedHead: false },
};

/** A configuration with its numbers as float32, the precision of the file. */
const rounded = (config: ModelConfig) =>
  JSON.parse(JSON.stringify(config, (_, value) => (typeof value === "number" ? Math.fround(value) : value)));

describe.each(Object.entries(VARIANTS))("a GGUF file of %s", (_, variant) => {
  it("has the model's weights and configuration", async () => {
    const { config, path } = await makeModel(variant);
    const gguf = fileName();
    await exportModel({ model: path, gguf });
    const model = await openGgufModel(gguf);
    // Beyond the model's sequence alone, dynamic scaling changes rotations.
    const isDynamic = config.family !== "gpt2" && config.ropeScaling?.type === "dynamic";
    expect(rounded(model.config)).toEqual(rounded(isDynamic ? { ...config, ropeScaling: null } : config));
    for (const { name } of parametersOf(config)) {
      expect(await model.readParameter(name)).toEqual(valuesOf(config, name));
    }
    await model.close();
  });

  it.each(["f32", "f16", "bf16", "q8_0", "q4_0"] satisfies FileType[])(
    "as %s is the same after a Hugging Face folder",
    async (type) => {
      const { path } = await makeModel(variant, { special: SPECIAL, endOfText: [2, 0] });
      const [first, second] = [fileName(), fileName()];
      const exported = await exportModel({ model: path, gguf: first, type });
      expect(exported).toMatchObject({ type, pre_tokenizer: "dbrx", warnings: [], bytes: readFileSync(first).length });
      const out = join(folder, `folder-${models++}`);
      await importModel({ file: first, out });
      await exportModel({ model: out, gguf: second, type });
      expect(hash(second)).toBe(hash(first));
    },
  );
});

describe("the tensors of a GGUF file", () => {
  it("are aligned, named as in llama.cpp, and float32 where they are no matrices", async () => {
    const { path } = await makeModel({ family: "gpt2" });
    const gguf = fileName();
    await exportModel({ model: path, gguf, type: "f16" });
    const file = await openGguf(gguf);
    const types = new Map([...file.tensors.values()].map(({ name, type }) => [name, type.name]));
    expect(types.get("blk.1.attn_qkv.weight")).toBe("F16");
    expect(types.get("token_embd.weight")).toBe("F16");
    expect(types.get("position_embd.weight")).toBe("F32");
    expect(types.get("blk.0.attn_qkv.bias")).toBe("F32");
    expect(types.get("output_norm.weight")).toBe("F32");
    expect(types.has("output.weight")).toBe(false);
    for (const { begin } of file.tensors.values()) expect(begin % 32).toBe(0);
    expect(file.metadata.get("general.file_type")).toBe(1);
    await file.close();
  });

  it("pair adjacent rows of a llama's queries and keys, by their own heads, and none of a qwen3's", async () => {
    for (const [family, rows] of [
      ["llama", [0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15, 16, 24]],
      ["qwen3", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]],
    ] as const) {
      const isRotated = (name: string) => /\.[qk]_proj\.weight$/.test(name);
      const { config, path } = await makeModel(
        { family, keyValueHeads: 2 },
        {
          read: (config, name) => {
            const values = valuesOf(config, name);
            // Each row has its own number.
            return isRotated(name) ? values.map((_, i) => Math.floor(i / config.width)) : values;
          },
        },
      );
      const gguf = fileName();
      await exportModel({ model: path, gguf });
      const file = await openGguf(gguf);
      for (const part of ["attn_q", "attn_k"]) {
        const { begin, end } = file.tensors.get(`blk.0.${part}.weight`) as { begin: number; end: number };
        const values = new Float32Array((await file.readBytes(begin, end)).buffer);
        expect(rows.map((_, row) => values[row * config.width])).toEqual(rows);
      }
      await file.close();
    }
  });

  it("contain the divisors of Llama 3's frequencies", async () => {
    const { config, path } = await makeModel({
      ropeScaling: { ...llama3, originalSequence: 64 } as never,
      headWidth: 32,
    });
    const gguf = fileName();
    await exportModel({ model: path, gguf });
    const file = await openGguf(gguf);
    const { begin, end } = file.tensors.get("rope_freqs.weight") as { begin: number; end: number };
    const factors = new Float32Array((await file.readBytes(begin, end)).buffer);
    if (config.family !== "llama") throw new Error(config.family);
    const [plain, scaled] = [rotaryFrequencies({ ...config, ropeScaling: null }), rotaryFrequencies(config)];
    expect(factors.length).toBe(16);
    expect([factors[0], factors[15]]).toEqual([1, 8]);
    factors.forEach((factor, d) => void expect(factor * scaled[d]).toBeCloseTo(plain[d], 6));
    await file.close();
  });

  it("have the types of llama.cpp's mixtures, and f16 where rows fill no blocks", async () => {
    const { path } = await makeModel({ width: 256, hidden: 320, keyValueHeads: 2, layers: 1 });
    const gguf = fileName();
    const { warnings } = await exportModel({ model: path, gguf, type: "q4_k_m" });
    expect(warnings).toEqual([]);
    const file = await openGguf(gguf);
    const types = new Map([...file.tensors.values()].map(({ name, type }) => [name, type.name]));
    expect(types.get("blk.0.attn_q.weight")).toBe("Q4_K");
    expect(types.get("token_embd.weight")).toBe("Q6_K");
    expect(types.get("blk.0.ffn_down.weight")).toMatch(/^Q(5_0|8_0)$/);
    expect(types.get("blk.0.ffn_norm.weight")).toBe("F32");
    expect(file.metadata.get("general.file_type")).toBe(15);
    expect(file.metadata.get("general.quantization_version")).toBe(2);
    await file.close();
    const narrow = await makeModel({ width: 48, heads: 2 });
    const exported = await exportModel({ model: narrow.path, gguf: fileName(), type: "q8_0" });
    expect(exported.warnings[0]).toMatch(
      /rows of \d+ matrices, such as token_embd\.weight, fill no blocks of q8_0; they are f16/,
    );
  });

  it("have rows of whole blocks, or are refused", async () => {
    const data = async () => new Uint8Array(0);
    const tensors = [{ name: "t", shape: [2, 48], type: "Q8_0", data }];
    await expect(writeGguf(fileName(), [], tensors)).rejects.toThrow(
      /the tensor t has rows of 48 values, and Q8_0 stores blocks of 32/,
    );
  });
});

describe("the tokenizer of a GGUF file", () => {
  async function metadataOf(model: Made, warnings: string[] = []) {
    const gguf = fileName();
    warnings.push(...(await exportModel({ model: model.path, gguf })).warnings);
    const file = await openGguf(gguf);
    await file.close();
    const get = (key: string) => file.metadata.get(`tokenizer.${key}`);
    return { get, tokens: get("ggml.tokens") as string[], types: get("ggml.token_type") as Int32Array, gguf };
  }

  it("encodes as the folder's", async () => {
    const model = await makeModel({}, { special: SPECIAL });
    const { gguf } = await metadataOf(model);
    const [before, after] = await Promise.all([loadTokenizer(model.path), loadTokenizer(gguf)]);
    for (const special of ["allow", "text"] as const) {
      const text = `${TEXT[0]}<|im_end|>  HELLO we'll`;
      expect(after.encode(text, { special })).toEqual(before.encode(text, { special }));
    }
  });

  it("fills ids without a token, and states special ids", async () => {
    const model = await makeModel(
      {},
      {
        special: [...SPECIAL, "<unk>", "<pad>", "[PAD310]"],
        endOfText: [0, 2, 1],
        change: ({ config }) => ({ config: { ...config, unk_token: "<unk>", pad_token: { content: "<pad>" } } }),
      },
    );
    const { get, tokens, types } = await metadataOf(model);
    expect(tokens.length).toBe(320);
    expect([tokens[300], types[300], tokens[319], types[319]]).toEqual(["[PAD300]", 5, "[PAD319]", 5]);
    expect([tokens[5], types[5], tokens[310]]).toEqual(["[PAD310]", 3, "[PAD630]"]);
    expect(new Set(tokens).size).toBe(320);
    expect([...types.subarray(0, 7)]).toEqual([3, 3, 3, 3, 3, 3, 1]);
    // The end of a turn is recognized by its text.
    expect(["bos", "eos", "eot", "eom", "unknown", "padding"].map((role) => get(`ggml.${role}_token_id`))).toEqual([
      ...[0, 0, 2, 1, 3, 4],
    ]);
    expect([get("ggml.add_bos_token"), get("ggml.add_eos_token")]).toEqual([false, false]);
    expect(get("ggml.model")).toBe("gpt2");
  });

  it("adds the tokens that the folder's adds", async () => {
    const template = (ids: readonly number[]) => ({
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "a", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [],
      special_tokens: { a: { id: "a", ids, tokens: ["a"] } },
    });
    const changed = (ids: readonly number[]) => ({
      special: SPECIAL,
      change: ({ json }: TokenizerParts) => ({ json: { ...json, post_processor: template(ids) } }),
    });
    const { get, gguf } = await metadataOf(await makeModel({}, changed([1])));
    expect([get("ggml.add_bos_token"), get("ggml.bos_token_id"), get("ggml.eos_token_id")]).toEqual([true, 1, 0]);
    expect((await loadTokenizer(gguf)).encode("", { addSpecial: true })).toEqual(Uint32Array.of(1));
    await expect(metadataOf(await makeModel({}, changed([1, 2])))).rejects.toThrow(
      /adds "<\|im_start\|>", "<\|im_end\|>" to each text, which a GGUF file cannot store/,
    );
  });

  it("has the chat templates", async () => {
    const templates = [
      { name: "default", template: CHATML },
      { name: "rag", template: "{{ documents }}" },
    ];
    const change = ({ config }: TokenizerParts) => ({ config: { ...config, chat_template: templates } });
    const { get, gguf } = await metadataOf(await makeModel({}, { special: SPECIAL, change }));
    expect([get("chat_template"), get("chat_templates"), get("chat_template.rag")]).toEqual([
      ...[CHATML, ["rag"], "{{ documents }}"],
    ]);
    expect((await loadTokenizer(gguf)).parts.config?.chat_template).toEqual(templates);
  });

  it.each([
    ["gpt2", "gpt-2"],
    ["llama3", "dbrx"],
    ["qwen2", "deepseek-r1-qwen"],
  ])("names llama.cpp's twin of the pattern %s", async (pattern, pre) => {
    const warnings: string[] = [];
    const { get } = await metadataOf(await makeModel({}, { pattern }), warnings);
    expect([get("ggml.pre"), warnings]).toEqual([pre, []]);
  });

  it.each([
    ["o200k", "gpt-4o"],
    ["cl100k", "dbrx"],
    ["\\p{L}+|[^\\p{L}]", /./],
  ])("warns of the pattern %s with a text that llama.cpp splits differently", async (pattern, pre) => {
    const warnings: string[] = [];
    const { get } = await metadataOf(await makeModel({}, { pattern }), warnings);
    expect(get("ggml.pre")).toMatch(pre);
    expect(warnings).toHaveLength(1);
    const [, whole, theirs, ours] =
      /it splits ("(?:[^"\\]|\\.)*") into ("(?:[^"\\]|\\.)*") instead of ("(?:[^"\\]|\\.)*");/.exec(warnings[0]) ?? [];
    expect(theirs).not.toBe(ours);
    const [text, ...others] = [whole, theirs, ours].map((each) => JSON.parse(each) as string);
    for (const each of others) expect(each.replaceAll("|", "")).toBe(text);
  });

  it("warns of settings that a file cannot store", async () => {
    const warnings: string[] = [];
    const flagged = await makeModel({}, { pattern: "gpt2" });
    const saved = JSON.parse(readFileSync(join(flagged.path, "tokenizer.json"), "utf8"));
    saved.added_tokens[0].lstrip = true;
    saved.normalizer = { type: "NFC" };
    writeFileSync(join(flagged.path, "tokenizer.json"), JSON.stringify(saved));
    await rm(join(flagged.path, "tokenizer_config.json"));
    await metadataOf(flagged, warnings);
    expect(warnings.join("\n")).toMatch(/does not normalize text to NFC[\s\S]*setting lstrip/);
  });

  it("is refused if no file can store it", async () => {
    for (const [key, value, message] of [
      ["normalizer", { type: "Lowercase" }, /normalizer Lowercase, which a GGUF file cannot store/],
      ["pre_tokenizer", { type: "ByteLevel", add_prefix_space: true }, /a space before each text/],
    ] as const) {
      const { path } = await makeModel({});
      const json = JSON.parse(readFileSync(join(path, "tokenizer.json"), "utf8"));
      writeFileSync(join(path, "tokenizer.json"), JSON.stringify({ ...json, [key]: value }));
      const gguf = fileName();
      await expect(exportModel({ model: path, gguf })).rejects.toThrow(message);
      expect(await readdir(folder)).not.toContain(gguf.slice(folder.length + 1));
    }
  });
});

describe("quern export", () => {
  it("folds an adapter into its base", async () => {
    const base = await makeModel({ keyValueHeads: 2 });
    const lora: LoraConfig = { rank: 2, alpha: 8, targets: ["k_proj"], dropout: 0, rankStabilized: false };
    const path = join(folder, "adapter");
    mkdirSync(path);
    const matrices = new Map(
      loraPairs(base.config, lora).flatMap(({ a, b }) => [
        [a.name, initialLora(a, 1)] as const,
        [b.name, new Float32Array(b.shape[0] * b.shape[1]).fill(0.1)] as const,
      ]),
    );
    await writeAdapter(path, base.config, lora, (name) => matrices.get(name) as Float32Array, { base: base.path });
    const gguf = fileName();
    await exportModel({ model: path, gguf });
    const [wanted, found] = [await openTextModel(path), await openGgufModel(gguf)];
    const name = "model.layers.1.self_attn.k_proj.weight";
    expect(await found.readParameter(name)).toEqual(await wanted.model.readParameter(name));
    expect(await found.readParameter(name)).not.toEqual(valuesOf(base.config, name));
    await Promise.all([wanted.close(), found.close()]);
  });

  it.each([
    [
      "a bias after a qwen3's attention",
      { family: "qwen3", attentionBias: true },
      /o_proj\.bias that is not 0, which a GGUF file of a qwen3 cannot store/,
    ],
    [
      "Llama 3's scaling of a qwen3",
      { family: "qwen3", ropeScaling: llama3 },
      /llama3, which llama\.cpp does not have/,
    ],
    [
      "YaRN with a ramp that is not rounded",
      { headWidth: 32, ropeScaling: { ...yarn, attentionFactor: 1, truncate: false } },
      /truncate false, which llama\.cpp does not have/,
    ],
  ])("refuses %s", async (_, variant, message) => {
    const { path } = await makeModel(variant as Partial<ModelSizes>);
    const gguf = fileName();
    await expect(exportModel({ model: path, gguf })).rejects.toThrow(message);
    expect(await readdir(folder)).not.toContain(gguf.slice(folder.length + 1));
  });

  it("leaves out a qwen3's bias of zeros, and reads it as zeros", async () => {
    const zeros = (config: ModelConfig, name: string) => {
      const values = valuesOf(config, name);
      return name.endsWith("o_proj.bias") ? values.fill(0) : values;
    };
    const { config, path } = await makeModel({ family: "qwen3", attentionBias: true }, { read: zeros });
    const gguf = fileName();
    await exportModel({ model: path, gguf });
    const model = await openGgufModel(gguf);
    expect(model.config).toEqual(config);
    const name = "model.layers.0.self_attn.o_proj.bias";
    expect(await model.readParameter(name)).toEqual(new Float32Array(64));
    await model.close();
  });

  it("refuses to round weights to infinity", async () => {
    const large = (config: ModelConfig, name: string) => valuesOf(config, name).fill(70_000);
    const { path } = await makeModel({}, { read: large });
    const gguf = fileName();
    await expect(exportModel({ model: path, gguf, type: "f16" })).rejects.toThrow(
      /embed_tokens.weight in .* do not fit: /,
    );
    expect((await exportModel({ model: path, gguf, type: "bf16" })).type).toBe("bf16");
  });

  it("overwrites no file of others, and its own with force only", async () => {
    const { path } = await makeModel({});
    const foreign = fileName();
    writeFileSync(foreign, "mine");
    await expect(exportModel({ model: path, gguf: foreign, force: true })).rejects.toThrow(
      /was not written by quern export/,
    );
    expect(readFileSync(foreign, "utf8")).toBe("mine");
    const own = fileName();
    await exportModel({ model: path, gguf: own });
    await expect(exportModel({ model: path, gguf: own })).rejects.toMatchObject({ exitCode: 2 });
    await exportModel({ model: path, gguf: own, type: "f16", force: true });
    await expect(exportModel({ model: own, gguf: own, force: true })).rejects.toThrow(/is the input/);
  });

  it.skipIf(process.getuid?.() === 0)("reports a folder that may not be written", async () => {
    const { path } = await makeModel({});
    const closed = join(folder, "closed");
    mkdirSync(closed);
    chmodSync(closed, 0o500);
    await expect(exportModel({ model: path, gguf: join(closed, "x.gguf") })).rejects.toThrow(/cannot write/);
  });

  it("reports a path that cannot be a file", async () => {
    const { path } = await makeModel({});
    await expect(exportModel({ model: path, gguf: "/dev/null/x.gguf" })).rejects.toThrow(/cannot write/);
    await expect(exportModel({ model: path, gguf: await mkdtemp(join(folder, "out-")) })).rejects.toThrow(
      /is a folder, not a file/,
    );
  });
});
