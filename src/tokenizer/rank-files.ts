/** @file Vocabularies in other files than tokenizer.json: tiktoken's ranks, GPT-2's vocab.json with merges.txt. */
import { QuernError } from "../errors.js";
import { toByteLevel } from "./byte-level.js";
import { type PatternName, patternSource, splitterFor } from "./patterns.js";
import { type JsonObject, Tokenizer } from "./tokenizer.js";
import { tokenizerFromJson, tokenizerJsonFrame } from "./tokenizer-json.js";
import { listMerges, rankedModel, VocabularyBuilder } from "./vocabulary.js";

export interface RankOptions {
  /** The pattern, by name or as a regular expression in Oniguruma's syntax. */
  readonly pattern: PatternName | (string & {});
  /** Special tokens and their ids, which the ranks leave free. */
  readonly special?: Readonly<Record<string, number>>;
}

const BASE64 = new Int8Array(256).fill(-1);
for (let i = 0; i < 64; i++) {
  BASE64["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".charCodeAt(i)] = i;
}

/**
 * The tokenizer of a tiktoken file: a line a token, its bytes in base 64, a space, its rank.
 * @throws QuernError with the line that is wrong
 */
export async function tokenizerFromRanks(file: Uint8Array, options: RankOptions): Promise<Tokenizer> {
  let lines = 0;
  for (let i = 0; i < file.length; i++) if (file[i] === 10) lines++;
  const builder = new VocabularyBuilder(lines + 1, Math.ceil(file.length * 0.6));
  let scratch = new Uint8Array(256);
  let line = 0;
  for (let i = 0; i < file.length; ) {
    line++;
    let end = file.indexOf(10, i);
    if (end < 0) end = file.length;
    const space = file.indexOf(32, i);
    if (i === end || (end === i + 1 && file[i] === 13)) {
      i = end + 1;
      continue;
    }
    if (space < 0 || space > end) throw new QuernError(`line ${line} of the rank file is not a token and its rank`);
    if (scratch.length < space - i) scratch = new Uint8Array((space - i) * 2);
    const length = decodeBase64(file, i, space, scratch);
    let rank = 0;
    let digits = 0;
    for (let j = space + 1; j < end; j++) {
      if (file[j] === 13) continue;
      const digit = file[j] - 48;
      if (digit < 0 || digit > 9 || ++digits > 9) digits = -1000;
      rank = rank * 10 + digit;
    }
    if (length <= 0 || digits <= 0) throw new QuernError(`line ${line} of the rank file is not a token and its rank`);
    builder.add(rank, scratch, 0, length, true, `of line ${line}`);
    i = end + 1;
  }
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

/** The ranks of a tokenizer as a tiktoken file. */
export function tokenizerToRanks(tokenizer: Tokenizer): string {
  const { model } = tokenizer.parts;
  if (!model.merges.lazy) {
    const { merged } = listMerges(model);
    for (let rank = 1; rank < merged.length; rank++) {
      if (merged[rank] <= merged[rank - 1]) {
        throw new QuernError("the merges are not in the order of the ids, so ranks cannot stand for them");
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
 * The tokenizer of GPT-2's two files: vocab.json, an object from token to id, and merges.txt, a pair a line behind a first
 * line with the version.
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

/** vocab.json and merges.txt of a tokenizer. */
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

/** Decodes text[start, end) into out; returns how many bytes, or −1 if it is not base 64. */
function decodeBase64(text: Uint8Array, start: number, end: number, out: Uint8Array): number {
  while (end > start && text[end - 1] === 0x3d) end--;
  let bits = 0;
  let held = 0;
  let written = 0;
  for (let i = start; i < end; i++) {
    const value = BASE64[text[i]];
    if (value < 0) return -1;
    held = (held << 6) | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[written++] = (held >> bits) & 255;
      held &= (1 << bits) - 1;
    }
  }
  return written;
}
