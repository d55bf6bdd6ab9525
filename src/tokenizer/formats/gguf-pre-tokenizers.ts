/**
 * @file The pre-tokenizers of GGUF files. A file contains only a name (`tokenizer.ggml.pre`); the rules for it are those of
 * llama.cpp (`src/llama-vocab.cpp`, "tokenizer_pre" and "regex_exprs").
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { CASED, CONTRACTION, patterns, SPACES, UNCASED } from "../encode/patterns.js";
import type { JsonObject } from "../tokenizer.js";

export interface PreTokenizer {
  /** Pre-tokenizers of a tokenizer.json, ByteLevel last. */
  readonly steps: readonly JsonObject[];
  readonly normalizer?: JsonObject;
  /** A pretoken that is a token is not merged (`ignore_merges`). */
  readonly wholeFirst?: boolean;
  /** Default of `add_bos_token`. */
  readonly addBos?: boolean;
  /** The steps of llama.cpp, where they differ from those of the published tokenizers with this name. */
  readonly inLlamaCpp?: readonly JsonObject[];
}

/** A pre-tokenizer with its names; the first is the one that Quern writes. */
export type NamedPreTokenizer = PreTokenizer & { readonly names: readonly string[] };

const split = (pattern: string): JsonObject => ({
  type: "Split",
  pattern: { Regex: pattern },
  behavior: "Isolated",
  invert: false,
});
const byteLevel = (use_regex: boolean): JsonObject => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex,
});
const bytes = byteLevel(false);
const gpt2 = byteLevel(true);
const pattern = (source: string): readonly JsonObject[] => [split(source), bytes];

const digits: readonly JsonObject[] = [{ type: "Digits", individual_digits: true }, gpt2];
const HAN = "[一-龥ࠀ-一가-퟿]+";

/** llama.cpp's classes for the cased patterns: it tells the case of ASCII letters only, and no marks are letters. */
const [ANY_UPPER, ANY_LOWER] = ["(?:(?=\\p{L})[^a-z])", "(?:(?=\\p{L})[^A-Z])"];
const casedWords = (after: string) =>
  `[^\\r\\n\\p{L}\\p{N}]?${ANY_UPPER}*${ANY_LOWER}+${after}|[^\\r\\n\\p{L}\\p{N}]?${ANY_UPPER}+${ANY_LOWER}*${after}`;
const SYMBOLS = `| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${SPACES}`;

export const GGUF_PRE_TOKENIZERS: readonly NamedPreTokenizer[] = [
  {
    names: [
      ...["gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum"],
      ...["modern-bert", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4"],
    ],
    steps: [gpt2],
  },
  {
    names: ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
    steps: digits,
  },
  {
    names: [
      ...["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"],
    ],
    steps: pattern(patterns.llama3),
    wholeFirst: true,
    addBos: true,
  },
  { names: ["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], steps: pattern(patterns.llama3) },
  // As in Qwen's tokenizer.json; llama.cpp does not normalize.
  { names: ["qwen2"], steps: pattern(patterns.qwen2), normalizer: { type: "NFC" } },
  {
    names: ["deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2"],
    steps: pattern(patterns.qwen2),
  },
  {
    names: ["qwen35"],
    steps: pattern(
      `${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${SPACES}`,
    ),
    normalizer: { type: "NFC" },
  },
  {
    names: ["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
    steps: pattern(patterns.o200k),
    inLlamaCpp: pattern(`${casedWords(`${CONTRACTION}?`)}|\\p{N}{1,3}${SYMBOLS}`),
  },
  {
    names: ["tekken"],
    steps: pattern(
      `[^\\r\\n\\p{L}\\p{N}]?${CASED}*${UNCASED}+|[^\\r\\n\\p{L}\\p{N}]?${CASED}+${UNCASED}*|\\p{N}` + SYMBOLS,
    ),
    wholeFirst: true,
    addBos: true,
    inLlamaCpp: pattern(`${casedWords("")}|\\p{N}${SYMBOLS}`),
  },
  {
    names: ["seed-coder"],
    steps: pattern(`${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|${SPACES}`),
  },
  {
    names: ["bailingmoe", "bailingmoe2", "llada-moe"],
    steps: pattern(
      `${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+`,
    ),
  },
  {
    names: ["deepseek-coder"],
    steps: [split("[\\r\\n]"), split("\\s?\\p{L}+"), split("\\s?\\p{P}+"), split(HAN), split("\\p{N}"), bytes],
  },
  {
    names: ["deepseek-v3", "hunyuan-dense", "joyai-llm"],
    steps: [
      split("\\p{N}{1,3}"),
      split("[一-龥぀-ゟ゠-ヿ]+"),
      split(
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+" +
          `| ?[\\p{P}\\p{S}]+[\\r\\n]*|${SPACES}`,
      ),
      bytes,
    ],
  },
  { names: ["falcon"], steps: [split("[\\p{P}$+<=>^~|`]+"), split(patterns.gpt2), split("[0-9][0-9][0-9]"), bytes] },
  {
    names: ["default"],
    steps: [split("[\\p{P}$+<=>^~|]+"), split(patterns.gpt2), split("\\p{N}+"), split("[0-9][0-9][0-9]"), bytes],
  },
];

const BY_NAME = new Map(GGUF_PRE_TOKENIZERS.flatMap((entry) => entry.names.map((name) => [name, entry] as const)));

/** @throws QuernError for an unknown name */
export function ggufPreTokenizer(name: string): PreTokenizer {
  const found = BY_NAME.get(name);
  if (found !== undefined) return found;
  throw new QuernError(
    `the pre-tokenizer ${quoted(JSON.stringify(name))} (tokenizer.ggml.pre) is unknown; ` +
      "use the model's Hugging Face folder, whose tokenizer.json defines it",
  );
}
