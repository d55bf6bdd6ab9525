/** @file Vocabulary formats other than tokenizer.json: tiktoken's rank files, and GPT-2's vocab.json with merges.txt. */
import { QuernError } from "../../errors.js";
import { toByteLevel } from "../encode/byte-level.js";
import { type PatternName, patternSource, splitterFor } from "../encode/patterns.js";
import { type JsonObject, Tokenizer } from "../tokenizer.js";
import { tokenizerFromJson, tokenizerJsonFrame } from "./tokenizer-json.js";
import { listMerges, rankedModel, VocabularyBuilder } from "./vocabulary.js";

export interface RankOptions {
  /** The split pattern, by name or as a regular expression in Oniguruma's syntax. */
  readonly pattern: PatternName | (string & {});
  /** Special tokens and their ids, which must not be ranks of other tokens. */
  readonly special?: Readonly<Record<string, number>>;
}

const BASE64 = new Int8Array(256).fill(-1);
for (let i = 0; i < 64; i++) {
  BASE64["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".charCodeAt(i)] = i;
}

/**
 * Reads a tiktoken file. Each line has a token's bytes in Base64, a space and its rank.
 * @throws QuernError naming the invalid line
 */
export async function tokenizerFromRanks(file: Uint8Array, options: RankOptions): Promise<Tokenizer> {
  let lines = 0;
  for (let i = 0; i < file.length; i++) if (file[i] === 10) lines++;
  const builder = new VocabularyBuilder(lines + 1, Math.ceil(file.length * 0.6));
  const reader = new RankReader(file);
  const name = (): string => `of line ${reader.line}`;
  while (reader.next()) builder.add(reader.rank, reader.token, 0, reader.length, true, name);
  const { tokens } = builder;
  if (tokens.size === 0) throw new QuernError("the rank file is empty");
  const added = Object.entries(options.special ?? {}).map(([content, id]) => {
    if (tokens.has(id))
      throw new QuernError(`special token ${content} has id ${id}, which is the rank of another token`);
    return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  });
  added.sort((a, b) => a.id - b.id);
  return new Tokenizer({
    model: rankedModel(tokens),
    splitter: await splitterFor(options.pattern),
    added,
    json: tokenizerJsonFrame({ pattern: patternSource(options.pattern), added, wholeFirst: true }),
  });
}

/** Writes a tokenizer's ranks as a tiktoken file. */
export function tokenizerToRanks(tokenizer: Tokenizer): string {
  const { model } = tokenizer.parts;
  if (!model.merges.lazy) {
    const { merged } = listMerges(model);
    for (let rank = 1; rank < merged.length; rank++) {
      if (merged[rank] <= merged[rank - 1]) {
        throw new QuernError("the merges are not in id order, so ranks cannot represent them");
      }
    }
  }
  let text = "";
  for (let id = 0; id < model.tokens.size; id++) {
    if (model.tokens.has(id)) text += `${btoa(String.fromCharCode(...model.tokens.get(id)))} ${id}\n`;
  }
  return text;
}

/**
 * Reads GPT-2's two files: vocab.json, an object from tokens to ids, and merges.txt, a version line followed by one pair per
 * line.
 */
export async function tokenizerFromGpt2(
  vocab: unknown,
  merges: string,
  special?: readonly string[],
): Promise<Tokenizer> {
  if (typeof vocab !== "object" || vocab === null || Array.isArray(vocab)) {
    throw new QuernError("vocab.json is not an object from tokens to ids");
  }
  const ids = vocab as JsonObject;
  const names = special ?? ["<|endoftext|>"].filter((name) => Object.hasOwn(ids, name));
  const added = names.map((content) => {
    if (!Object.hasOwn(ids, content)) throw new QuernError(`vocab.json has no special token ${content}`);
    return {
      ...{ id: ids[content] as number, content, single_word: false, lstrip: false, rstrip: false },
      ...{ normalized: false, special: true },
    };
  });
  const lines = merges.split(/\r?\n/);
  const pairs = lines.slice(lines[0].startsWith("#version") ? 1 : 0).filter((line) => line !== "");
  const frame = tokenizerJsonFrame({ pattern: "gpt2", added, wholeFirst: false });
  return tokenizerFromJson({ ...frame, model: { ...(frame.model as JsonObject), vocab: ids, merges: pairs } });
}

/** Writes a tokenizer's vocab.json and merges.txt. */
export function tokenizerToGpt2(tokenizer: Tokenizer): { readonly vocab: string; readonly merges: string } {
  const { model } = tokenizer.parts;
  const vocab: string[] = [];
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    if (!tokenizer.has(id)) continue;
    const added = tokenizer.added.find((token) => token.id === id);
    vocab.push(`${JSON.stringify(added?.content ?? toByteLevel(model.tokens.get(id)))}:${id}`);
  }
  const list = listMerges(model);
  let merges = "#version: 0.2\n";
  for (let rank = 0; rank < list.left.length; rank++) {
    merges += `${toByteLevel(model.tokens.get(list.left[rank]))} ${toByteLevel(model.tokens.get(list.right[rank]))}\n`;
  }
  return { vocab: `{${vocab.join(",")}}`, merges };
}

/** Reads a rank file line by line. Its methods are short and hot, so that the engine compiles them early. */
class RankReader {
  line = 0;
  rank = 0;
  /** The current line's token: token[0, length). */
  token = new Uint8Array(1024);
  length = 0;
  readonly #file: Uint8Array;
  #at = 0;

  constructor(file: Uint8Array) {
    this.#file = file;
  }

  /** Reads the next non-empty line; returns false at the end. */
  next(): boolean {
    const file = this.#file;
    let at = this.#at;
    for (this.line++; file[at] === 10; this.line++) at++;
    if (at >= file.length) return false;
    at = this.#readToken(at);
    if (this.length === 0 || file[at] !== 0x20) throw this.#wrong();
    at = this.#readRank(at + 1);
    if (file[at] === 13) at++;
    if (at < file.length && file[at] !== 10) throw this.#wrong();
    this.#at = at + 1;
    return true;
  }

  /** Decodes Base64 up to the first other character and returns its position. */
  #readToken(at: number): number {
    const file = this.#file;
    let token = this.token;
    let bits = 0;
    let held = 0;
    let written = 0;
    for (; at < file.length; at++) {
      const value = BASE64[file[at]];
      if (value < 0) break;
      held = ((held << 6) | value) & 0xffff;
      bits += 6;
      if (bits >= 8) {
        bits -= 8;
        if (written === token.length) {
          token = new Uint8Array(written * 2);
          token.set(this.token);
          this.token = token;
        }
        token[written++] = held >> bits;
      }
    }
    while (file[at] === 0x3d) at++;
    this.length = written;
    return at;
  }

  #readRank(at: number): number {
    const file = this.#file;
    const start = at;
    let rank = 0;
    for (; at < file.length; at++) {
      const digit = file[at] - 48;
      if (digit < 0 || digit > 9) break;
      rank = rank * 10 + digit;
    }
    if (at === start || at - start > 9) throw this.#wrong();
    this.rank = rank;
    return at;
  }

  #wrong(): QuernError {
    return new QuernError(`line ${this.line} of the rank file is not a token and its rank`);
  }
}
