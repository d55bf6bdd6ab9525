/** @file Models and texts for bench/align.ts: random weights and made-up words, which cost what real ones cost. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  defineModel,
  initialValues,
  type ModelSizes,
  parametersOf,
  randomStream,
  writeModel,
} from "../src/model/index.js";
import { saveTokenizer, trainTokenizer } from "../src/tokenizer/index.js";

/** Files of one model, all in one folder. */
export interface BenchModel {
  /** A Hugging Face folder. */
  readonly folder: string;
  /** Rows with `text`, with `prompt`, `chosen` and `rejected`, and with `prompt`. */
  readonly texts: string;
  readonly pairs: string;
  readonly prompts: string;
  /** Ids of prompts of `PROMPT_TOKENS` tokens. */
  readonly promptIds: readonly (readonly number[])[];
}

export const PROMPT_TOKENS = 64;
const ROWS = 64;

/** Llama 3.3M, and the shape of SmolLM2-135M. */
export const SIZES = {
  "llama-3m": { layers: 4, width: 192, heads: 6, vocabSize: 8192, sequence: 512 },
  "llama-135m": {
    ...{ layers: 30, width: 576, heads: 9, keyValueHeads: 3, hidden: 1536 },
    ...{ vocabSize: 49_152, sequence: 512 },
  },
  /** To try the benchmark. */
  tiny: { layers: 2, width: 64, heads: 2, vocabSize: 1024, sequence: 512 },
} as const satisfies Record<string, ModelSizes>;

export async function makeModel(folder: string, name: keyof typeof SIZES): Promise<BenchModel> {
  const config = defineModel(SIZES[name]);
  const random = randomStream(1, `bench ${name}`);
  let drawn = 0;
  const draw = (count: number) => Math.floor(random.uniform(drawn++) * count);
  const words = madeUpWords(config.vocabSize, draw);
  const text = (count: number) => Array.from({ length: count }, () => words[draw(words.length)]).join(" ");
  const tokenizer = await trainTokenizer([words.join(" "), words.join(" ")], { vocabSize: config.vocabSize });
  const model = join(folder, name);
  await mkdir(model, { recursive: true });
  const parameters = new Map(parametersOf(config).map((parameter) => [parameter.name, parameter]));
  const read = (parameter: string) => {
    const found = parameters.get(parameter);
    if (found === undefined) throw new Error(`the model has no parameter ${parameter}`);
    return initialValues(found, 1);
  };
  await writeModel(model, config, read, { endOfText: tokenizer.endOfText ?? null });
  await saveTokenizer(tokenizer, model);

  const rows = async (file: string, row: () => object) => {
    const path = join(folder, `${name}-${file}.jsonl`);
    await writeFile(path, Array.from({ length: ROWS }, () => `${JSON.stringify(row())}\n`).join(""));
    return path;
  };
  // Texts are longer than a row, and cut to it.
  const prompt = () => tokenizer.decode(tokenizer.encode(text(PROMPT_TOKENS)).slice(0, PROMPT_TOKENS));
  const longest = config.sequence;
  return {
    folder: model,
    texts: await rows("texts", () => ({ text: text(longest) })),
    pairs: await rows("pairs", () => ({
      prompt: prompt(),
      chosen: ` ${text(longest)}`,
      rejected: ` ${text(longest)}`,
    })),
    prompts: await rows("prompts", () => ({ prompt: prompt() })),
    promptIds: Array.from({ length: ROWS }, () =>
      Array.from({ length: PROMPT_TOKENS }, () => 1 + draw(config.vocabSize - 1)),
    ),
  };
}

/** Enough words for a vocabulary of that size. */
function madeUpWords(vocabSize: number, draw: (count: number) => number): string[] {
  const syllables = ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z"].flatMap((consonant) =>
    ["a", "e", "i", "o", "u", "an", "er", "is"].map((vowel) => consonant + vowel),
  );
  const words = new Set<string>();
  while (words.size < 2 * vocabSize) {
    words.add(Array.from({ length: 2 + draw(3) }, () => syllables[draw(syllables.length)]).join(""));
  }
  return [...words];
}
