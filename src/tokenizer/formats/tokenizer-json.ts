/**
 * @file Reads Hugging Face's tokenizer.json (byte-level BPE) and writes it again without loss.
 * An unsupported component is an error that names it; none is ignored.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import type { AddedToken } from "../encode/added-tokens.js";
import { fromByteLevel, toByteLevel } from "../encode/byte-level.js";
import { digitSplitter } from "../encode/digit-splitter.js";
import {
  lowercase,
  type Normalizer,
  normalizersInRow,
  prependText,
  replaceMatches,
  stripAccents,
  stripEnds,
  unicodeForm,
} from "../encode/normalizers.js";
import { inSequence, patternSource, patterns, type Splitter, splitterFor, unsplit } from "../encode/patterns.js";
import {
  BEHAVIORS,
  type Behavior,
  type Matcher,
  PUNCTUATION,
  simpleMatcher,
  splitAt,
  splitBytesAt,
  WHITE_SPACE,
  WORDS,
} from "../encode/split-steps.js";
import type { TokenTable } from "../token-table.js";
import { type JsonObject, Tokenizer } from "../tokenizer.js";
import { listedModel, listMerges, type MergeList, VocabularyBuilder } from "./vocabulary.js";

const utf8 = new TextEncoder();

/**
 * Builds the tokenizer of a parsed tokenizer.json and an optional tokenizer_config.json.
 * @throws QuernError naming the unsupported component or the problem
 */
export async function tokenizerFromJson(json: unknown, config?: unknown): Promise<Tokenizer> {
  const root = object(json, "tokenizer.json");
  const model = object(root.model, "its model");
  if (model.type !== undefined && model.type !== "BPE") throw unsupported("model", model.type);
  refuse(model, "dropout", (value) => value === null || value === 0);
  refuse(model, "continuing_subword_prefix", (value) => value === null || value === "");
  refuse(model, "end_of_word_suffix", (value) => value === null || value === "");
  refuse(model, "byte_fallback", (value) => value === null || value === false);

  const added = readAdded(root.added_tokens);
  const vocab = object(model.vocab, "the model's vocab");
  const { builder, plainKeys } = readVocabulary(vocab, added);
  const merges = readMerges(model.merges, vocab, model.merges === undefined);
  const bpe = listedModel(builder.tokens, merges.list, model.ignore_merges === true);
  if (bpe.byteIds.includes(-1) && typeof model.unk_token === "string") throw unsupported("unk_token", model.unk_token);

  const normalizer = await normalizerFromJson(root);
  const { splitter, prefixSpace } = await readPreTokenizer(root.pre_tokenizer);
  const { before, after } = readPostProcessor(root.post_processor);
  for (const id of [...before, ...after]) {
    if (!builder.tokens.has(id) && !added.some((token) => token.id === id)) {
      throw new QuernError(`TemplateProcessing adds id ${id}, but no token has that id`);
    }
  }
  readDecoder(root.decoder);

  // Keeps everything except the two long lists unchanged.
  const { vocab: _vocab, merges: _merges, ...restOfModel } = model;
  return new Tokenizer({
    model: bpe,
    splitter,
    added,
    normalizer,
    prefixSpace,
    before,
    after,
    json: { ...root, model: restOfModel },
    config: config === undefined ? undefined : object(config, "tokenizer_config.json"),
    mergesAsPairs: merges.asPairs,
    plainKeys,
  });
}

/** Returns the splitter defined by a tokenizer.json's pre_tokenizer. */
export async function splitterFromJson(json: JsonObject): Promise<Splitter> {
  return (await readPreTokenizer(json.pre_tokenizer)).splitter;
}

/** Writes a tokenizer.json, with the vocabulary sorted by id. */
export function tokenizerToJson(tokenizer: Tokenizer): string {
  const { model, json, plainKeys, mergesAsPairs } = tokenizer.parts;
  // JSON-escaped keys without quotes.
  const keys: string[] = [];
  const vocab: string[] = [];
  for (let id = 0; id < model.tokens.size; id++) {
    const known = model.tokens.has(id);
    keys.push(known ? JSON.stringify(plainKeys?.get(id) ?? toByteLevel(model.tokens.get(id))).slice(1, -1) : "");
    if (known) vocab.push(`      "${keys[id]}": ${id}`);
  }
  // Added tokens whose ids do not continue from the vocabulary's size keep their ids only inside the vocabulary.
  const next = addedIds(vocab.length);
  const apart = tokenizer.added.filter(({ id }) => !model.tokens.has(id));
  const isInOrder = tokenizer.added.every(
    ({ id, content }) => next(content, model.tokens.has(id) ? id : undefined) === id,
  );
  if (!isInOrder) for (const { id, content } of apart) vocab.push(`      ${JSON.stringify(content)}: ${id}`);
  const list = listMerges(model);
  const merges: string[] = [];
  for (let i = 0; i < list.left.length; i++) {
    const left = keys[list.left[i]];
    const right = keys[list.right[i]];
    merges.push(
      mergesAsPairs ? `      [\n        "${left}",\n        "${right}"\n      ]` : `      "${left} ${right}"`,
    );
  }
  const vocabText = vocab.length === 0 ? "{}" : `{\n${vocab.join(",\n")}\n    }`;
  const mergesText = merges.length === 0 ? "[]" : `[\n${merges.join(",\n")}\n    ]`;
  const restOfModel = JSON.stringify(json.model, null, 2).replaceAll("\n", "\n  ").slice(0, -"\n  }".length);
  const { model: _model, ...rest } = json;
  const head = JSON.stringify(rest, null, 2).slice(0, -"\n}".length);
  return `${head},\n  "model": ${restOfModel},\n    "vocab": ${vocabText},\n    "merges": ${mergesText}\n  }\n}\n`;
}

/** Returns a tokenizer.json without vocabulary and merges, for a tokenizer from another source. */
export function tokenizerJsonFrame(options: {
  readonly pattern: string;
  readonly added: readonly AddedToken[];
  readonly wholeFirst: boolean;
}): JsonObject {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false };
  const source = patternSource(options.pattern);
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: options.added,
    normalizer: null,
    pre_tokenizer:
      source === patterns.gpt2
        ? { ...byteLevel, use_regex: true }
        : {
            type: "Sequence",
            pretokenizers: [
              { type: "Split", pattern: { Regex: source }, behavior: "Isolated", invert: false },
              { ...byteLevel, use_regex: false },
            ],
          },
    post_processor: null,
    decoder: { ...byteLevel, add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: options.wholeFirst,
    },
  };
}

function readAdded(value: unknown): AddedToken[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new QuernError("added_tokens of tokenizer.json is not a list");
  const tokens = value.map((entry, index) => {
    const token = object(entry, `added_tokens[${index}]`);
    if (typeof token.content !== "string" || token.content === "") {
      throw new QuernError(`added_tokens[${index}] of tokenizer.json has no content`);
    }
    if (!Number.isInteger(token.id) || (token.id as number) < 0 || (token.id as number) >= 1 << 24) {
      throw new QuernError(`added_tokens[${index}] of tokenizer.json, ${name(token.content)}, has no valid id`);
    }
    const flag = (key: string): boolean => {
      const set = token[key] ?? false;
      if (typeof set === "boolean") return set;
      throw new QuernError(
        `added_tokens[${index}] of tokenizer.json, ${name(token.content as string)}: ${key} must be true or false`,
      );
    };
    return {
      id: token.id as number,
      content: token.content,
      single_word: flag("single_word"),
      lstrip: flag("lstrip"),
      rstrip: flag("rstrip"),
      normalized: flag("normalized"),
      special: flag("special"),
    };
  });
  const seen = new Map<number, string>();
  for (const { id, content } of tokens) {
    const other = seen.get(id);
    if (other !== undefined && other !== content) {
      throw new QuernError(`two added tokens, ${name(other)} and ${name(content)}, have id ${id}`);
    }
    seen.set(id, content);
  }
  return tokens;
}

function readVocabulary(
  vocab: JsonObject,
  added: readonly AddedToken[],
): { builder: VocabularyBuilder; plainKeys: Map<number, string> } {
  const keys = Object.keys(vocab);
  const builder = new VocabularyBuilder(keys.length + added.length, keys.length * 8);
  const plainKeys = new Map<number, string>();
  let scratch = new Uint8Array(1024);
  for (const key of keys) {
    const id = vocab[key];
    if (typeof id !== "number") throw new QuernError(`the vocabulary gives ${name(key)} an id that is not a number`);
    if (scratch.length < key.length) scratch = new Uint8Array(key.length * 2);
    const length = fromByteLevel(key, scratch, 0);
    if (length >= 0) builder.add(id, scratch, 0, length, true, () => name(key));
    else {
      // Not in the byte-level alphabet: no text encodes to it; it is only decoded and written.
      const bytes = utf8.encode(key);
      builder.add(id, bytes, 0, bytes.length, false, () => name(key));
      plainKeys.set(id, key);
    }
  }
  checkAdded(added, vocab, builder.tokens);
  return { builder, plainKeys };
}

/**
 * Checks the ids of added tokens. An added token is either in the vocabulary, with the same text and id, or follows it. The
 * Rust library numbers the latter from the vocabulary's size on and ignores the ids in the file, so other ids are an error.
 */
function checkAdded(added: readonly AddedToken[], vocab: JsonObject, tokens: TokenTable): void {
  const next = addedIds(Object.keys(vocab).length);
  for (const { id, content } of added) {
    const own = Object.hasOwn(vocab, content) ? vocab[content] : undefined;
    if (own !== undefined && own !== id) {
      throw new QuernError(`the added token ${name(content)} has id ${id}, but ${String(own)} in the vocabulary`);
    }
    if (own === undefined && tokens.has(id)) {
      throw new QuernError(`the added token ${name(content)} has id ${id}, which is another token's in the vocabulary`);
    }
    const expected = next(content, own);
    if (id !== expected) {
      throw new QuernError(
        `the added token ${name(content)} has id ${id}, but the Rust tokenizers and transformers read it as ${expected}: ids continue ` +
          "from the vocabulary's size; put the token into the vocabulary with its id",
      );
    }
  }
}

/**
 * Returns a function that numbers added tokens as the Rust library does: a known token keeps its id, others get the next.
 */
function addedIds(size: number): (content: string, own: unknown) => number {
  const given = new Map<string, number>();
  let next = size;
  return (content, own) => {
    const id = typeof own === "number" ? own : (given.get(content) ?? next);
    given.set(content, id);
    next = Math.max(next, id + 1);
    return id;
  };
}

function readMerges(value: unknown, vocab: JsonObject, absent: boolean): { list: MergeList; asPairs: boolean } {
  if (absent) throw new QuernError("the model of tokenizer.json has no merges");
  if (!Array.isArray(value)) throw new QuernError("the merges of tokenizer.json are not a list");
  const list = {
    left: new Int32Array(value.length),
    right: new Int32Array(value.length),
    merged: new Int32Array(value.length),
  };
  const asPairs = value.length > 0 && Array.isArray(value[0]);
  for (let rank = 0; rank < value.length; rank++) {
    const entry: unknown = value[rank];
    let left: unknown;
    let right: unknown;
    if (typeof entry === "string") {
      const space = entry.indexOf(" ");
      left = entry.slice(0, space);
      right = entry.slice(space + 1);
      if (space < 0) left = undefined;
    } else if (Array.isArray(entry) && entry.length === 2) [left, right] = entry as unknown[];
    if (typeof left !== "string" || typeof right !== "string") {
      throw new QuernError(`merge ${rank} of tokenizer.json is not a pair of tokens`);
    }
    list.left[rank] = idIn(vocab, left, rank);
    list.right[rank] = idIn(vocab, right, rank);
    list.merged[rank] = idIn(vocab, left + right, rank);
  }
  return { list, asPairs };
}

function idIn(vocab: JsonObject, token: string, rank: number): number {
  const id = Object.hasOwn(vocab, token) ? vocab[token] : undefined;
  if (typeof id !== "number")
    throw new QuernError(`merge ${rank} needs the token ${name(token)}, which is not in the vocabulary`);
  return id;
}

/** Returns the normalizer defined by a tokenizer.json; undefined for none. */
export async function normalizerFromJson(json: JsonObject): Promise<Normalizer | undefined> {
  const steps: Normalizer[] = [];
  for (const step of flattened(json.normalizer, "normalizers", "the normalizer"))
    steps.push(await readNormalizer(step));
  return normalizersInRow(steps);
}

/** Returns the components of a sequence, including those of nested sequences. */
function flattened(value: unknown, key: string, what: string, depth = 0): JsonObject[] {
  if (value === undefined || value === null) return [];
  if (depth > 20) throw new QuernError(`${what} of tokenizer.json is nested more than 20 deep`);
  const component = object(value, what);
  if (component.type !== "Sequence" || !Array.isArray(component[key])) return [component];
  return component[key].flatMap((step: unknown) => flattened(step, key, what, depth + 1));
}

async function readNormalizer(step: JsonObject): Promise<Normalizer> {
  switch (step.type) {
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return unicodeForm(step.type);
    case "Lowercase":
      return lowercase;
    case "StripAccents":
      return stripAccents;
    case "Strip":
      return stripEnds(step.strip_left !== false, step.strip_right !== false);
    case "Prepend":
      return prependText(text(step.prepend, "the prepend of the normalizer Prepend"));
    case "Replace":
      return replaceMatches(await readPattern(step), text(step.content, "the content of the normalizer Replace"));
    default:
      throw unsupported("normalizer", step.type);
  }
}

function text(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  throw new QuernError(`${what} in tokenizer.json must be a string`);
}

async function readPreTokenizer(value: unknown): Promise<{ splitter: Splitter; prefixSpace: boolean }> {
  if (value === undefined || value === null)
    throw new QuernError("tokenizer.json has no pre_tokenizer, so it is not byte-level; Quern reads byte-level BPE");
  const steps = flattened(value, "pretokenizers", "the pre_tokenizer");
  let splitter: Splitter | undefined;
  let prefixSpace = false;
  let isByteLevel = false;
  for (const step of steps) {
    let next: Splitter | undefined;
    if (step.type === "ByteLevel") {
      if (isByteLevel) throw unsupported("pre_tokenizer", "ByteLevel twice");
      isByteLevel = true;
      if (step.add_prefix_space === true) {
        if (splitter !== undefined) throw unsupported("pre_tokenizer", "ByteLevel with add_prefix_space after another");
        prefixSpace = true;
      }
      if (step.use_regex !== false) next = await splitterFor("gpt2");
    } else next = await readSplitter(step, isByteLevel);
    if (next !== undefined) splitter = splitter === undefined ? next : inSequence(splitter, next);
  }
  if (!isByteLevel)
    throw unsupported("pre_tokenizer without ByteLevel", steps.map((step) => step.type).join(" + ") || "none");
  return { splitter: splitter ?? unsplit, prefixSpace };
}

/** @param onBytes whether a ByteLevel step came before, which maps each byte to a character */
async function readSplitter(step: JsonObject, onBytes: boolean): Promise<Splitter> {
  /**
   * Splits at single characters. Unless it merges different ones, each split depends only on the two adjacent characters.
   */
  const byCharacter = (characters: RegExp, behavior: Behavior): Splitter => ({
    lex: (onBytes ? splitBytesAt : splitAt)(simpleMatcher(characters), behavior),
    divisible: false,
    isLocal: !behavior.startsWith("Merged"),
  });
  switch (step.type) {
    case "Split":
      return readSplit(step, onBytes);
    case "Digits":
      if (onBytes) return byCharacter(/\p{N}/gu, step.individual_digits === true ? "Isolated" : "Contiguous");
      return digitSplitter(step.individual_digits === true);
    case "Punctuation":
      return byCharacter(PUNCTUATION, behaviorOf(step, "Isolated"));
    case "WhitespaceSplit":
      return byCharacter(WHITE_SPACE, "Removed");
    case "CharDelimiterSplit": {
      const delimiter = text(step.delimiter, "the delimiter of CharDelimiterSplit");
      return byCharacter(new RegExp(escapedPattern(delimiter), "g"), "Removed");
    }
    case "Whitespace":
      return { lex: (onBytes ? splitBytesAt : splitAt)(simpleMatcher(WORDS), "Removed", true), divisible: false };
    default:
      throw unsupported(onBytes ? "pre_tokenizer after ByteLevel" : "pre_tokenizer", step.type);
  }
}

function behaviorOf(step: JsonObject, fallback: Behavior): Behavior {
  const behavior = BEHAVIORS.find((each) => each === (step.behavior ?? fallback));
  if (behavior === undefined) throw unsupported(`${String(step.type)} behavior`, step.behavior);
  return behavior;
}

const escapedPattern = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

/** Returns the matcher of a component's pattern: an Oniguruma regular expression, or a text. */
async function readPattern(step: JsonObject): Promise<Matcher> {
  const pattern = object(step.pattern, `the pattern of ${String(step.type)}`);
  const { regexMatcher } = await import("../encode/regex-lexer.js");
  if (typeof pattern.Regex === "string") return regexMatcher(pattern.Regex);
  if (typeof pattern.String !== "string")
    throw unsupported(`${String(step.type)} pattern`, Object.keys(pattern).join(", "));
  return simpleMatcher(new RegExp(escapedPattern(pattern.String), "g"));
}

async function readSplit(step: JsonObject, onBytes: boolean): Promise<Splitter> {
  const pattern = object(step.pattern, "the pattern of Split");
  const behavior = behaviorOf(step, "Isolated");
  // Isolated keeps matches and the text between them. The published patterns match every character, so there is none.
  if (!onBytes && behavior === "Isolated" && typeof pattern.Regex === "string") return splitterFor(pattern.Regex);
  const lex = (onBytes ? splitBytesAt : splitAt)(await readPattern(step), behavior, step.invert === true);
  return { lex, divisible: false };
}

function readPostProcessor(value: unknown): { before: number[]; after: number[] } {
  const before: number[] = [];
  const after: number[] = [];
  const read = (step: unknown): void => {
    if (step === undefined || step === null) return;
    const processor = object(step, "the post_processor");
    if (processor.type === "ByteLevel") return;
    if (processor.type === "Sequence" && Array.isArray(processor.processors)) {
      processor.processors.forEach(read);
      return;
    }
    if (processor.type !== "TemplateProcessing" || !Array.isArray(processor.single)) {
      throw unsupported("post_processor", processor.type);
    }
    if (before.length + after.length > 0) throw unsupported("post_processor", "two TemplateProcessing");
    const specials = object(processor.special_tokens ?? {}, "special_tokens of TemplateProcessing");
    let seen = false;
    for (const entry of processor.single as unknown[]) {
      const piece = object(entry, "a piece of TemplateProcessing");
      if (piece.Sequence !== undefined) {
        if (seen) throw unsupported("post_processor", "TemplateProcessing with the text twice");
        seen = true;
        continue;
      }
      const id = object(piece.SpecialToken, "a piece of TemplateProcessing").id;
      const special = typeof id === "string" && Object.hasOwn(specials, id) ? object(specials[id], id) : undefined;
      if (special === undefined || !Array.isArray(special.ids) || !special.ids.every(Number.isInteger)) {
        throw new QuernError(
          `TemplateProcessing uses the special token ${quoted(String(id))} without defining its ids`,
        );
      }
      (seen ? after : before).push(...(special.ids as number[]));
    }
  };
  read(value);
  return { before, after };
}

function readDecoder(value: unknown): void {
  if (value === undefined || value === null) return;
  const decoder = object(value, "the decoder");
  if (decoder.type === "Sequence" && Array.isArray(decoder.decoders)) decoder.decoders.forEach(readDecoder);
  else if (decoder.type !== "ByteLevel") throw unsupported("decoder", decoder.type);
}

function object(value: unknown, what: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new QuernError(`${what} is not a JSON object; Quern cannot read this tokenizer`);
  }
  return value as JsonObject;
}

function refuse(holder: JsonObject, key: string, fine: (value: unknown) => boolean): void {
  const value = holder[key];
  if (value !== undefined && !fine(value)) throw unsupported(key, value);
}

function unsupported(component: string, value: unknown): QuernError {
  const shown = quoted(typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing"));
  return new QuernError(
    `tokenizer.json has ${component} ${shown}, which is not supported; Quern reads byte-level BPE ` +
      "(pre-tokenizers ByteLevel, Split, Digits, Punctuation and Whitespace, Unicode and text normalizers, TemplateProcessing)",
  );
}

/** Quotes a token for an error message and truncates long ones. */
function name(token: string): string {
  return quoted(JSON.stringify(token.length > 60 ? `${token.slice(0, 60)}…` : token));
}
