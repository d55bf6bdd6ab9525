/**
 * @file Reads the tokenizer in a GGUF file's metadata: byte-level BPE under `tokenizer.ggml.*`, and chat templates. It is
 * converted to a tokenizer.json and a tokenizer_config.json, and then read like those.
 */
import { QuernError } from "../../errors.js";
import type { GgufValue } from "../../model/index.js";
import { quoted } from "../../printable.js";
import type { AddedToken } from "../encode/added-tokens.js";
import type { JsonObject, Tokenizer } from "../tokenizer.js";
import { ggufPreTokenizer } from "./gguf-pre-tokenizers.js";
import { tokenizerFromJson, tokenizerJsonFrame } from "./tokenizer-json.js";

type Metadata = ReadonlyMap<string, GgufValue>;

/** `tokenizer.ggml.token_type` */
export const TOKEN_TYPES = { undefined: 0, normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5 } as const;

/** Unsupported values of `tokenizer.ggml.model`. */
const OTHER_MODELS: Readonly<Record<string, string>> = {
  llama: "SentencePiece",
  bert: "WordPiece",
  t5: "Unigram",
  rwkv: "RWKV's",
  no_vocab: "none",
  none: "none",
};

/** Token roles: their names in GGUF and in tokenizer_config.json. */
const ROLES = [
  ["bos", "bos_token"],
  ["eos", "eos_token"],
  ["unknown", "unk_token"],
  ["seperator", "sep_token"],
  ["padding", "pad_token"],
  ["mask", "mask_token"],
  ["eot", null],
  ["eom", null],
] as const;
/** Roles whose tokens are always special, whatever their type. */
const ENDS = ["bos", "eos", "eot", "eom"];

/** @throws QuernError for a tokenizer that is malformed or is not byte-level BPE */
export async function tokenizerFromGguf(metadata: Metadata): Promise<Tokenizer> {
  const model = metadata.get("tokenizer.ggml.model");
  if (model !== "gpt2") {
    if (model === undefined) throw new QuernError("the file contains no tokenizer (tokenizer.ggml.model)");
    const kind = OTHER_MODELS[String(model)];
    throw new QuernError(
      `the file's tokenizer is ${kind === undefined ? "" : `${kind}, `}tokenizer.ggml.model ${quoted(JSON.stringify(String(model)))}, ` +
        'but Quern reads only byte-level BPE ("gpt2")',
    );
  }
  const texts = textsOf(metadata, "tokenizer.ggml.tokens");
  const merges = textsOf(metadata, "tokenizer.ggml.merges");
  const types = typesOf(metadata, texts.length);
  const roles = rolesOf(metadata, texts.length);
  const ends = new Set(ENDS.flatMap((role) => roles.get(role) ?? []));
  // Converters fill gaps in the ids with tokens such as [PAD7]; a token without text is also a gap.
  const isGap = (id: number) =>
    texts[id] === "" || (types[id] === TOKEN_TYPES.unused && /^\[PAD\d+\]$/.test(texts[id]));
  const isSpecial = (id: number) =>
    types[id] === TOKEN_TYPES.control || types[id] === TOKEN_TYPES.unknown || ends.has(id);
  const isAdded = (id: number) => !isGap(id) && (types[id] === TOKEN_TYPES.userDefined || isSpecial(id));

  const added: AddedToken[] = [];
  for (let id = 0; id < texts.length; id++) {
    if (!isAdded(id)) continue;
    const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: isSpecial(id) };
    added.push({ id, content: texts[id], ...flags });
  }
  // A token that is special only by its role may result from merges, so it stays in the vocabulary.
  const mayStandApart = (id: number) =>
    isAdded(id) && types[id] !== TOKEN_TYPES.normal && types[id] !== TOKEN_TYPES.undefined;
  const apart = firstApart(texts.length, isGap, mayStandApart);
  // Without a prototype, so that a token may be named "__proto__".
  const vocab: Record<string, number> = Object.create(null);
  for (let id = 0; id < apart; id++) {
    if (isGap(id)) continue;
    if (vocab[texts[id]] !== undefined) throw twice(texts[id], vocab[texts[id]], id);
    vocab[texts[id]] = id;
  }

  const given = metadata.get("tokenizer.ggml.pre");
  if (given !== undefined && typeof given !== "string") throw wrong("tokenizer.ggml.pre", "a string");
  const pre = ggufPreTokenizer(given ?? "default");
  const frame = tokenizerJsonFrame({ pattern: "gpt2", added, wholeFirst: pre.wholeFirst ?? false });
  const [before, after] = [
    switchOf(metadata, "tokenizer.ggml.add_bos_token", pre.addBos ?? false) ? roles.get("bos") : undefined,
    switchOf(metadata, "tokenizer.ggml.add_eos_token", false) ? roles.get("eos") : undefined,
  ];
  return tokenizerFromJson(
    {
      ...frame,
      normalizer: pre.normalizer ?? null,
      pre_tokenizer: pre.steps.length === 1 ? pre.steps[0] : { type: "Sequence", pretokenizers: pre.steps },
      post_processor: templateAround(texts, before, after),
      model: { ...(frame.model as JsonObject), vocab, merges: merges.map(pairOf) },
    },
    configOf(metadata, texts, roles, (id) => isSpecial(id) && !isGap(id)),
  );
}

/**
 * Returns the first id of the added tokens at the end, which a tokenizer.json keeps outside its vocabulary. If the ids
 * before have gaps there are none, since a tokenizer.json numbers such tokens from the vocabulary's size on.
 */
function firstApart(count: number, isGap: (id: number) => boolean, isAdded: (id: number) => boolean): number {
  let end = count;
  while (end > 0 && isGap(end - 1)) end--;
  let first = end;
  while (first > 0 && isAdded(first - 1)) first--;
  for (let id = 0; id < first; id++) if (isGap(id)) return end;
  return first;
}

/** Splits a merge into its two tokens, which are separated by a space; the first token may begin with a space. */
function pairOf(merge: string, rank: number): [string, string] {
  const space = merge.indexOf(" ", 1);
  if (space < 0 || space === merge.length - 1) {
    throw new QuernError(`merge ${rank} of tokenizer.ggml.merges, ${shown(merge)}, is not a pair of tokens`);
  }
  return [merge.slice(0, space), merge.slice(space + 1)];
}

/** Returns a post-processor that adds tokens before and after a text; null for none. */
function templateAround(texts: readonly string[], before?: number, after?: number): JsonObject | null {
  const ids = [before, after].filter((id) => id !== undefined);
  if (ids.length === 0) return null;
  const piece = (id: number | undefined, type_id: number) =>
    id === undefined ? [] : [{ SpecialToken: { id: texts[id], type_id } }];
  const around = (name: string, type_id: number) => [
    ...piece(before, type_id),
    { Sequence: { id: name, type_id } },
    ...piece(after, type_id),
  ];
  return {
    type: "TemplateProcessing",
    single: around("A", 0),
    pair: [...around("A", 0), ...around("B", 1)],
    special_tokens: Object.fromEntries(ids.map((id) => [texts[id], { id: texts[id], ids: [id], tokens: [texts[id]] }])),
  };
}

/** Builds a tokenizer_config.json with the tokens' roles and the chat templates. */
function configOf(
  metadata: Metadata,
  texts: readonly string[],
  roles: ReadonlyMap<string, number>,
  isSpecial: (id: number) => boolean,
): JsonObject {
  const named = ROLES.flatMap(([role, key]) => {
    const id = roles.get(role);
    // transformers makes every token named here special, so others are left out.
    return key === null || id === undefined || !isSpecial(id) ? [] : [[key, texts[id]] as const];
  });
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    ...Object.fromEntries(named),
    clean_up_tokenization_spaces: false,
    ...templatesOf(metadata),
  };
}

function templatesOf(metadata: Metadata): JsonObject {
  const main = metadata.get("tokenizer.chat_template");
  if (main !== undefined && typeof main !== "string") throw wrong("tokenizer.chat_template", "a string");
  const PREFIX = "tokenizer.chat_template.";
  const others = [...metadata].flatMap(([key, template]) =>
    key.startsWith(PREFIX) && typeof template === "string" ? [{ name: key.slice(PREFIX.length), template }] : [],
  );
  if (others.length === 0) return main === undefined ? {} : { chat_template: main };
  const first = main === undefined ? [] : [{ name: "default", template: main }];
  return { chat_template: [...first, ...others] };
}

function rolesOf(metadata: Metadata, count: number): Map<string, number> {
  const roles = new Map<string, number>();
  for (const [role] of ROLES) {
    const key = `tokenizer.ggml.${role}_token_id`;
    const id = metadata.get(key);
    if (id === undefined) continue;
    if (typeof id !== "number" || !Number.isInteger(id)) throw wrong(key, "the id of a token");
    // Some files write 4294967295 or −1 for none; llama.cpp ignores ids without a token.
    if (id >= 0 && id < count) roles.set(role, id);
  }
  return roles;
}

function textsOf(metadata: Metadata, key: string): readonly string[] {
  const value = metadata.get(key);
  if (!Array.isArray(value) || (value.length > 0 && typeof value[0] !== "string"))
    throw wrong(key, "a list of strings");
  return value as readonly string[];
}

function typesOf(metadata: Metadata, count: number): Int32Array {
  const key = "tokenizer.ggml.token_type";
  const value = metadata.get(key);
  if (value === undefined) return new Int32Array(count);
  if (!(value instanceof Int32Array || value instanceof Uint32Array)) throw wrong(key, "a list of numbers");
  if (value.length < count) throw wrong(key, `${count} numbers, one per token, not ${value.length}`);
  return Int32Array.from(value);
}

function switchOf(metadata: Metadata, key: string, fallback: boolean): boolean {
  const value = metadata.get(key) ?? fallback;
  if (typeof value !== "boolean") throw wrong(key, "true or false");
  return value;
}

const wrong = (key: string, wanted: string) =>
  new QuernError(`the file's tokenizer is malformed: ${key} must be ${wanted}`);

const twice = (text: string, first: number, second: number) =>
  new QuernError(`the file's tokenizer is malformed: the tokens ${first} and ${second} are both ${shown(text)}`);

const shown = (text: string) => quoted(JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text));
