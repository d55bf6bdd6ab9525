/** Weights stored in 16 bits or blocks while a model runs. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDecoder, typedWeights, WEIGHT_TYPES, type WeightType } from "../../src/infer/index.js";
import {
  defineModel,
  initialValues,
  openGgufModel,
  parametersOf,
  quantiseRows,
  type StoredModel,
} from "../../src/model/index.js";
import { bfloat16ToFloat, decodeBlocks, halfToFloat, isBlocked } from "../../src/tensor/index.js";
import { SLOW_BUILD } from "../model/targets.js";

const fixture = (name: string) => fileURLToPath(new URL(`../oracle/fixtures/gguf/${name}`, import.meta.url));

describe("a GGUF file's blocks", () => {
  let model: StoredModel;
  beforeAll(async () => {
    model = await openGgufModel(fixture("llama.gguf"));
  });
  afterAll(() => model.close());

  it("are read as they are stored, with the rows of queries and keys in order", async () => {
    const { types, source } = typedWeights(model, "stored");
    const used = new Set<string>();
    for (const { name, kind } of parametersOf(model.config)) {
      const type = types(name);
      used.add(type);
      const wanted = await model.readParameter(name);
      if (kind === "vector") expect(type).toBe("f32");
      const found = await source(name);
      if (isBlocked(type)) expect(decodeBlocks(found as Uint8Array, type), name).toEqual(wanted);
      else if (type === "f16" || type === "bf16") {
        const bits = new Uint16Array((found as Uint8Array).slice().buffer);
        expect(Float32Array.from(bits, type === "f16" ? halfToFloat : bfloat16ToFloat), name).toEqual(wanted);
      } else expect(found, name).toEqual(wanted);
    }
    expect([...used]).toContain("q8_0");
  });
});

describe("weights converted when they are read", () => {
  const config = defineModel({ layers: 1, width: 256, heads: 4, hidden: 256, vocabSize: 290, sequence: 64 });
  const values = new Map(parametersOf(config).map((each) => [each.name, initialValues(each, 3).map((x) => x * 2)]));
  const modelOf = (of: typeof config): StoredModel => ({
    ...{ path: "runs/first", config: of, endOfText: [], warnings: [], close: async () => {} },
    readParameter: async (name) => values.get(name) as Float32Array,
  });
  const logprobs = async (weights: WeightType) => {
    const { types, source } = typedWeights(modelOf(config), weights);
    const decoder = createDecoder(config, source, { types });
    const completion = { tokens: 12, temperature: 0, topK: 0, endOfText: [], seed: 0 };
    const prompt = Array.from({ length: 40 }, (_, i) => (i * 7) % 290);
    const results = await Promise.all(
      [prompt, prompt.toReversed()].map((each) => decoder.generate({ ...completion, prompt: each })),
    );
    const [alone] = await decoder.generate({ ...completion, prompt: prompt.toReversed() });
    decoder.dispose();
    expect(alone.tokens, "alone and beside another text").toEqual(results[1][0].tokens);
    return results[0][0].tokens[0].logprob;
  };

  it.each(WEIGHT_TYPES.filter((type) => type !== "stored" && type !== "f32"))(
    "%s: close to f32",
    { timeout: SLOW_BUILD },
    async (weights) => {
      const difference = Math.abs((await logprobs(weights)) - (await logprobs("f32")));
      expect(difference).toBeLessThan({ bf16: 0.05, f16: 0.01, q8_0: 0.1 }[weights as string] ?? 1);
      expect(difference).toBeGreaterThan(0);
    },
  );

  it("are those of quantiseRows, and vectors stay f32", async () => {
    const { types, source } = typedWeights(modelOf(config), "q6_k");
    const matrix = parametersOf(config).find(({ kind }) => kind === "projection")?.name as string;
    expect(types(matrix)).toBe("q6_k");
    expect(await source(matrix)).toEqual(quantiseRows(values.get(matrix) as Float32Array, 256, "Q6_K"));
    const vector = parametersOf(config).find(({ kind }) => kind === "vector")?.name as string;
    expect(types(vector)).toBe("f32");
  });

  it("are refused if rows are not whole blocks, or the model has no blocks", () => {
    const narrow = defineModel({ layers: 1, width: 96, heads: 4, hidden: 256, vocabSize: 290, sequence: 64 });
    expect(() => typedWeights(modelOf(narrow), "q4_k")).toThrow(
      /q4_k need rows of whole blocks of 256 values, but those of .* have 96; use q8_0 or q4_0/,
    );
    expect(() => typedWeights(modelOf(narrow), "stored")).toThrow(
      /runs\/first has no stored blocks: .* only for a \.gguf file; use f32, bf16/,
    );
  });
});
