/** @file Small models of every family for the comparison with llama.cpp: the same weights and tokenizers on every machine. */
import { join } from "node:path";
import { defineModel, initialValues, type ModelSizes, parametersOf, writeModel } from "../../../src/model/index.js";
import { saveTokenizer, trainTokenizer } from "../../../src/tokenizer/index.js";

/** Text in several scripts; the tokenizers learn from it, and it is encoded. */
export const TEXTS = [
  "The mill stood by the river for 1234567 years, and didn't stop; it's still there!",
  "  two  spaces\tand a tab\n\n\nthree lines\r\nx = [1, 22, 333]; // 4444.5\n    ",
  "Das Mühlrad drehte sich. 水車は川のそばにある。 Привет, мир! नमस्ते دنیا",
  "HELLO World, I'LL we'Re camelCaseWords ABCdef $3.50 <b>don't</b> e-mail@example.org ",
  "e\u0301t\u00e9 \u2026 \u201cquoted\u201d 100% a+b=c ^_^ `code` \u{1f600}\u{1f600} \u00bd\u2167 no\u00a0break",
];

const SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const sizes = { layers: 2, width: 64, heads: 4, sequence: 128, vocabSize: 520 };

interface Llama3Model extends Partial<ModelSizes> {
  readonly pattern: string;
}

/** Tied and untied heads, grouped queries, wide heads, biases, and three kinds of RoPE scaling. */
export const LLAMA_CPP_MODELS: Readonly<Record<string, Llama3Model>> = {
  gpt2: { family: "gpt2", pattern: "gpt2" },
  llama: {
    ...{ family: "llama", pattern: "llama3", keyValueHeads: 2, tiedHead: false, attentionBias: true },
    ropeScaling: {
      ...{ type: "llama3", factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalSequence: 64 },
    },
  },
  "llama-linear": {
    ...{ family: "llama", pattern: "llama3", keyValueHeads: 1, ropeScaling: { type: "linear", factor: 2.5 } },
  },
  qwen3: {
    ...{ family: "qwen3", pattern: "qwen2", keyValueHeads: 2, headWidth: 32 },
    ropeScaling: {
      ...{ type: "yarn", factor: 4, originalSequence: 32, betaFast: 32, betaSlow: 1, truncate: true },
      attentionFactor: 1.25,
    },
  },
};

/** Writes a model's Hugging Face folder into `folder` and returns its path. */
export async function writeLlamaCppModel(name: string, folder: string): Promise<string> {
  const { pattern, ...more } = LLAMA_CPP_MODELS[name];
  const path = join(folder, name);
  const config = defineModel({ ...sizes, ...more });
  // llama.cpp rounds GELU to 16 bits, so that large weights would add up its errors.
  const deviation = config.family === "gpt2" ? 0.1 : 0.2;
  const values = new Map(
    parametersOf(config).map((parameter) => {
      const isNorm = /norm|ln_/.test(parameter.name) && parameter.name.endsWith(".weight");
      const drawn = initialValues({ ...parameter, initial: { kind: "normal", deviation } }, 7);
      return [parameter.name, isNorm ? drawn.map((value) => 1 + value) : drawn];
    }),
  );
  // Merges across the texts' words, so that each split shows.
  const tokenizer = await trainTokenizer([...TEXTS, ...TEXTS], { vocabSize: 500, pattern, special: SPECIAL });
  await saveTokenizer(tokenizer, path);
  await writeModel(path, config, (parameter) => values.get(parameter) as Float32Array, { endOfText: [0, 2] });
  return path;
}
