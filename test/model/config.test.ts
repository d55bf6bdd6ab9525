import { describe, expect, it } from "vitest";
import {
  countParameters,
  defineModel,
  fromHuggingFaceConfig,
  type ModelSizes,
  type RopeScaling,
  toHuggingFaceConfig,
  trainingFlopsPerToken,
} from "../../src/model/index.js";

const sizes = { layers: 2, width: 48, heads: 4, vocabSize: 100, sequence: 64 };

describe("defineModel", () => {
  it("derives missing sizes", () => {
    expect(defineModel(sizes)).toEqual({
      ...{ family: "llama", layers: 2, width: 48, heads: 4, keyValueHeads: 4, headWidth: 12, hidden: 128 },
      ...{ vocabSize: 100, sequence: 64, ropeTheta: 10000, normEpsilon: 1e-5, tiedHead: true },
      ...{ ropeScaling: null, attentionBias: false, feedForwardBias: false },
    });
  });

  it.each([
    [{ heads: 5 }, /width 48 is not a multiple of the 5 heads/],
    [{ keyValueHeads: 3 }, /4 heads are not a multiple of the 3 key\/value heads/],
    [{ heads: 16 }, /head width 3 is odd/],
    [{ layers: 0 }, /layers is 0/],
    [{ ropeTheta: 0 }, /ropeTheta/],
    [{ family: "gpt2", keyValueHeads: 2 }, /as many key\/value heads as heads/],
    [{ family: "gpt2", ropeTheta: 500 }, /gpt2 has no setting ropeTheta/],
    [{ family: "gpt3" }, /unknown family gpt3; choose one of gpt2, llama, qwen3/],
    [{ family: "qwen3", feedForwardBias: true }, /qwen3 has no biases/],
    [{ ropeScaling: { type: "linear", factor: 0 } }, /factor of the rope scaling is 0/],
  ])("refuses %j", (change, message) => {
    expect(() => defineModel({ ...sizes, ...change } as ModelSizes)).toThrow(message);
  });
});

describe("config.json", () => {
  it("survives a round trip", () => {
    const config = defineModel({ ...sizes, keyValueHeads: 2, headWidth: 24, ropeTheta: 500, tiedHead: false });
    expect(fromHuggingFaceConfig(toHuggingFaceConfig(config, 7), "x")).toEqual({
      config,
      endOfText: [7],
      byteWeights: null,
    });
    expect(fromHuggingFaceConfig(toHuggingFaceConfig(config, null), "x").endOfText).toEqual([]);
  });

  const scalings: readonly RopeScaling[] = [
    { type: "linear", factor: 2 },
    { type: "dynamic", factor: 2 },
    { type: "llama3", factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalSequence: 32 },
    {
      ...{ type: "yarn", factor: 4, originalSequence: 16, betaFast: 32, betaSlow: 1 },
      ...{ attentionFactor: 1.25, truncate: false },
    },
  ];
  it.each<Partial<ModelSizes>>([
    { family: "gpt2", hidden: 100, tiedHead: false },
    { family: "qwen3", headWidth: 6, keyValueHeads: 1, attentionBias: true },
    { attentionBias: true, feedForwardBias: true },
    ...scalings.map((ropeScaling) => ({ ropeScaling })),
  ])("survives a round trip with %j", (options) => {
    const config = defineModel({ ...sizes, ...options });
    expect(fromHuggingFaceConfig(toHuggingFaceConfig(config, 7), "x")).toEqual({
      config,
      endOfText: [7],
      byteWeights: null,
    });
  });

  it("reads both names of the activation", () => {
    const json = toHuggingFaceConfig(defineModel(sizes), 7);
    expect(fromHuggingFaceConfig({ ...json, hidden_act: "swish" }, "x")).toEqual(fromHuggingFaceConfig(json, "x"));
  });

  it("reads that of the original GPT-2, which omits many fields", () => {
    const { config } = fromHuggingFaceConfig({ model_type: "gpt2", n_layer: 12, n_head: 12, n_embd: 768 }, "x");
    expect(config).toEqual(
      defineModel({ family: "gpt2", layers: 12, width: 768, heads: 12, vocabSize: 50257, sequence: 1024 }),
    );
    expect(countParameters(config)).toBe(124_439_808);
  });

  it.each([
    [{ activation_function: "gelu" }, /activation "gelu"/],
    [{ scale_attn_by_inverse_layer_idx: true }, /scale_attn_by_inverse_layer_idx/],
    [{ scale_attn_weights: false }, /scale_attn_weights/],
    [{ n_head: 5 }, /not a multiple of the 5 heads/],
  ])("refuses a gpt2 with %j", (change, message) => {
    const json = { ...toHuggingFaceConfig(defineModel({ ...sizes, family: "gpt2" }), 7), ...change };
    expect(() => fromHuggingFaceConfig(json, "config.json")).toThrow(message);
  });

  it("reads the older form of theta, and the family's defaults", () => {
    const json: Record<string, unknown> = { ...toHuggingFaceConfig(defineModel(sizes), 7), rope_theta: 5e5 };
    for (const key of ["rope_parameters", "head_dim", "num_key_value_heads", "rms_norm_eps", "tie_word_embeddings"]) {
      delete json[key];
    }
    const { config } = fromHuggingFaceConfig(json, "x");
    expect(config).toMatchObject({
      ropeTheta: 5e5,
      headWidth: 12,
      keyValueHeads: 4,
      normEpsilon: 1e-6,
      tiedHead: false,
    });
  });

  it.each([
    [{ model_type: "mistral" }, /config\.json has model_type "mistral"; only gpt2, llama, qwen3/],
    [{ rope_scaling: { rope_type: "longrope" }, rope_parameters: null }, /rotary positions of type "longrope"/],
    [{ rope_scaling: { rope_type: "llama3" }, rope_parameters: null }, /no number for factor/],
    [{ partial_rotary_factor: 0.5 }, /partial_rotary_factor/],
    [{ use_sliding_window: true }, /use_sliding_window/],
    [{ hidden_act: "gelu" }, /activation "gelu"/],
    [{ quantization_config: { bits: 4 } }, /quantized/],
    [{ quantization_config: { quant_method: "gptq" } }, /method "gptq"/],
    [{ quantization_config: { quant_method: "fp8", activation_scheme: "static" } }, /scheme "static"/],
    [{ quantization_config: { quant_method: "fp8", weight_block_size: [128] } }, /weight_block_size of \[128\]/],
    [{ compression_config: {} }, /compression_config/],
    [{ hidden_size: "wide" }, /has "wide" for hidden_size; a llama model needs a number/],
    [{ num_hidden_layers: 3e7 }, /layers is 30000000, but at most 4096/],
    [{ vocab_size: 1e12 }, /vocabSize is 1000000000000, but at most/],
    [{ num_hidden_layers: 1.5 }, /layers is 1.5, not a whole number/],
    [{ hidden_size: -48 }, /width is -48, not a whole number/],
    [{ rms_norm_eps: [1] }, /has \[1\] for rms_norm_eps/],
    [{ tie_word_embeddings: "true" }, /has "true" for tie_word_embeddings, not true or false/],
    [{ eos_token_id: ["</s>"] }, /has "<\/s>" in eos_token_id/],
    [{ rope_parameters: { full_attention: {} }, rope_scaling: null }, /per kind of layer \(full_attention\)/],
    [{ rope_parameters: "linear", rope_scaling: null }, /has "linear" for rope_parameters, which must be an object/],
    [{ num_attention_heads: 7, head_dim: null }, /not a multiple of the 7 heads/],
  ])("refuses %j", (change, message) => {
    const json = { ...toHuggingFaceConfig(defineModel(sizes), 7), ...change };
    expect(() => fromHuggingFaceConfig(json, "config.json")).toThrow(message);
  });

  it.each([[null], [[]], ["text"], [{}]])("refuses %j", (json) => {
    expect(() => fromHuggingFaceConfig(json, "config.json")).toThrow(/config\.json/);
  });
});

describe("counts", () => {
  it("counts the parameters and FLOPs of the llama-3m preset", () => {
    const config = defineModel({ layers: 4, width: 192, heads: 6, vocabSize: 8192, sequence: 256 });
    expect(config.hidden).toBe(512);
    // embedding; per layer 4 projections, 3 feed-forward matrices and 2 norms; a final norm
    const layer = 4 * 192 * 192 + 3 * 192 * 512;
    expect(countParameters(config)).toBe(8192 * 192 + 4 * (layer + 2 * 192) + 192);
    expect(trainingFlopsPerToken(config, 256)).toBe(6 * (4 * layer + 8192 * 192) + 6 * 4 * 192 * 256);
  });
});
