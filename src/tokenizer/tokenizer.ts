/**
 * @file The tokenizer: text to ids and back. Nothing here needs Node.
 *
 *     text → added tokens → NFC → pattern → pretokens → merges → ids
 *
 * A text is worked on in parts that stay in the processor's cache: a part is lexed and its pretokens looked up.
 */
import { QuernError } from "../errors.js";
import { type AddedToken, AddedTokenFinder, type SpecialHandling } from "./added-tokens.js";
import { type BpeModel, Encoder, IdBuffer } from "./encoder.js";
import { type Alignment, alignedNfc, nfc } from "./normalize.js";
import type { Splitter } from "./patterns.js";
import { END_OF_TEXT } from "./special-names.js";
import { PART_UNITS, TextParts } from "./text-parts.js";
import type { TokenTable } from "./token-table.js";

/** What a file is made of besides its vocabulary and merges, kept so that writing it again loses nothing. */
export type JsonObject = { readonly [key: string]: unknown };

export interface TokenizerParts {
  readonly model: BpeModel;
  readonly splitter: Splitter;
  readonly added: readonly AddedToken[];
  readonly normalizer?: "NFC";
  /** A space goes before each stretch of text that has none (`add_prefix_space`). */
  readonly prefixSpace?: boolean;
  /** Ids that the post-processor puts around a text when asked to (`addSpecial`). */
  readonly before?: readonly number[];
  readonly after?: readonly number[];
  /** tokenizer.json without vocabulary and merges. */
  readonly json: JsonObject;
  /** tokenizer_config.json. */
  readonly config?: JsonObject;
  /** True if merges are written as pairs, false as strings with a space. */
  readonly mergesAsPairs?: boolean;
  /** Keys of the vocabulary that are not written in the byte-level alphabet, by id. */
  readonly plainKeys?: ReadonlyMap<number, string>;
  /** Bytes that the cache of pretokens may take; 32 MiB by default. */
  readonly cacheBytes?: number;
}

export interface EncodeOptions {
  /** What special tokens in the text mean; by default they are ordinary text. */
  readonly special?: SpecialHandling;
  /** Put the special tokens of the file's template around the text; false by default. */
  readonly addSpecial?: boolean;
}

export interface OffsetOptions extends EncodeOptions {
  /** What offsets count: UTF-16 units of the original string (the default), or bytes of its UTF-8. */
  readonly unit?: "utf16" | "byte";
}

export interface DecodeOptions {
  /** Leave special tokens out; false by default. */
  readonly skipSpecial?: boolean;
}

/** Tokens with where they come from: token i covers text[starts[i], ends[i]), widened to whole characters. */
export interface Encoding {
  readonly ids: Uint32Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

const DEFAULT_CACHE = 32 << 20;

const utf8 = new TextEncoder();
/** Invalid UTF-8 becomes U+FFFD; a byte order mark is a character like any other. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class Tokenizer {
  /** One more than the greatest id: the rows of an embedding. */
  readonly vocabSize: number;
  /** Id of each special token by its text. */
  readonly special: ReadonlyMap<string, number>;
  /** Every added token, special or not. */
  readonly added: readonly AddedToken[];
  /** What the tokenizer is made of; for writing it to files. */
  readonly parts: TokenizerParts;

  readonly #encoder: Encoder;
  readonly #raw: AddedTokenFinder;
  readonly #normal: AddedTokenFinder;
  /** The vocabulary with the added tokens as their text. */
  readonly #tokens: TokenTable;
  readonly #specialIds: ReadonlySet<number>;
  readonly #textParts: TextParts;
  readonly #out = new IdBuffer();
  /** Made when first something is decoded. */
  #forDecoding: ReturnType<TokenTable["forDecoding"]> | undefined;
  #decoded: DataView<ArrayBuffer> = new DataView(new ArrayBuffer(1 << 16));

  constructor(parts: TokenizerParts) {
    this.parts = parts;
    this.added = parts.added;
    this.special = new Map(parts.added.filter((token) => token.special).map((token) => [token.content, token.id]));
    this.#specialIds = new Set(this.special.values());
    this.#textParts = new TextParts(parts.splitter);
    this.#encoder = new Encoder(parts.model, parts.cacheBytes ?? DEFAULT_CACHE);
    this.#raw = new AddedTokenFinder(parts.added.filter((token) => !token.normalized));
    // Tokens that are sought in the normalised text are normalised themselves.
    this.#normal = new AddedTokenFinder(
      parts.added
        .filter((token) => token.normalized)
        .map((token) => (parts.normalizer ? { ...token, content: nfc(token.content) } : token)),
    );
    let tokens = parts.model.tokens;
    if (parts.added.length > 0) {
      tokens = tokens.copy();
      for (const token of parts.added) {
        const bytes = utf8.encode(token.content);
        tokens.add(token.id, bytes, 0, bytes.length, false);
      }
    }
    this.#tokens = tokens;
    this.vocabSize = tokens.size;
  }

  /** The ids of a text. Lone surrogates are read as U+FFFD. */
  encode(text: string, options: EncodeOptions = {}): Uint32Array<ArrayBuffer> {
    const out = this.#out;
    out.length = 0;
    this.#encodeInto(text, options, out, Number.POSITIVE_INFINITY);
    const ids = out.ids.slice(0, out.length);
    this.#release();
    return ids;
  }

  /** The ids of each text. */
  encodeBatch(texts: Iterable<string>, options: EncodeOptions = {}): Uint32Array<ArrayBuffer>[] {
    const batch: Uint32Array<ArrayBuffer>[] = [];
    for (const text of texts) batch.push(this.encode(text, options));
    return batch;
  }

  /** Appends the ids of a text to a buffer, and returns how many they are: `encode` without its copy. */
  encodeTo(text: string, out: IdBuffer, options: EncodeOptions = {}): number {
    const before = out.length;
    this.#encodeInto(text, options, out, Number.POSITIVE_INFINITY);
    return out.length - before;
  }

  /**
   * True if a text can be encoded as UTF-8 in stretches that end at `byteBorder`s: nothing normalises it, and nothing but
   * the pattern and special tokens looks at it.
   */
  get divisible(): boolean {
    const { splitter, normalizer, prefixSpace, added } = this.parts;
    return splitter.divisible && normalizer === undefined && !prefixSpace && added.every((token) => token.special);
  }

  /**
   * Appends the ids of bytes[start, end), valid UTF-8 in which special tokens are ordinary text. PADDING bytes can be read
   * beyond the end. Only where this tokenizer is `divisible` need it not be a whole text.
   */
  encodeBytesTo(bytes: Uint8Array, start: number, end: number, out: IdBuffer): void {
    if (!this.divisible) {
      // Decoders take no memory that threads share.
      this.encodeTo(decoder.decode(bytes.slice(start, end)), out);
      return;
    }
    const parts = this.#textParts;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    parts.eachPart(bytes, start, end, (from) =>
      this.#encoder.encode(bytes, view, from, parts.bounds, parts.count, out),
    );
  }

  /** How many tokens a text has. */
  count(text: string, options: EncodeOptions = {}): number {
    const out = this.#out;
    out.length = 0;
    this.#encodeInto(text, options, out, Number.POSITIVE_INFINITY);
    const count = out.length;
    this.#release();
    return count;
  }

  /** The number of tokens if it is at most `limit`, else false; a longer text is not read to its end. */
  isWithinLimit(text: string, limit: number, options: EncodeOptions = {}): number | false {
    const out = this.#out;
    out.length = 0;
    const whole = this.#encodeInto(text, options, out, limit);
    const count = out.length;
    this.#release();
    return whole && count <= limit ? count : false;
  }

  /** The ids of a text and the stretch of the original that each comes from, also through NFC. */
  encodeWithOffsets(text: string, options: OffsetOptions = {}): Encoding {
    const ids = new IdBuffer();
    const spans: number[] = [];
    const inBytes = options.unit === "byte";
    const { before = [], after = [] } = this.parts;
    const around = (list: readonly number[], at: number): void => {
      if (!options.addSpecial) return;
      ids.reserve(list.length);
      for (const id of list) {
        ids.ids[ids.length++] = id;
        spans.push(at, at);
      }
    };
    around(before, 0);
    this.#stretches(text, options.special ?? "text", true, (id, start, end, normal, alignment) => {
      if (id >= 0) {
        ids.reserve(1);
        ids.ids[ids.length++] = id;
        spans.push(start, end);
        return true;
      }
      const first = ids.length;
      this.#encodeText(normal, ids, Number.POSITIVE_INFINITY);
      this.#locate(ids.ids.subarray(first, ids.length), normal, this.#prefixLength(normal), start, alignment, spans);
      return true;
    });
    around(after, text.length);
    const count = ids.length;
    const starts = new Uint32Array(count);
    const ends = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      starts[i] = spans[i * 2];
      ends[i] = spans[i * 2 + 1];
    }
    if (inBytes) {
      const at = byteOffsets(text);
      for (let i = 0; i < count; i++) {
        starts[i] = at[starts[i]];
        ends[i] = at[ends[i]];
      }
    }
    return { ids: ids.ids.slice(0, count), starts, ends };
  }

  /** The text of ids. Bytes that are not UTF-8 become U+FFFD. */
  decode(ids: Iterable<number> | ArrayLike<number>, options: DecodeOptions = {}): string {
    return decoder.decode(this.#decodeBytes(ids, options));
  }

  /** The bytes of ids, which need not be valid UTF-8. */
  decodeBytes(ids: Iterable<number> | ArrayLike<number>, options: DecodeOptions = {}): Uint8Array<ArrayBuffer> {
    return this.#decodeBytes(ids, options).slice();
  }

  /** Ids in, text out, piece by piece; a character whose bytes come in several tokens is held back until it is whole. */
  decodeStream(options: DecodeOptions = {}): TransformStream<number | ArrayLike<number>, string> {
    const text = new TextDecoder("utf-8", { ignoreBOM: true });
    return new TransformStream<number | ArrayLike<number>, string>({
      transform: (chunk, controller) => {
        const ids = typeof chunk === "number" ? [chunk] : chunk;
        const piece = text.decode(this.#decodeBytes(ids, options), { stream: true });
        if (piece !== "") controller.enqueue(piece);
      },
      flush: (controller) => {
        const piece = text.decode();
        if (piece !== "") controller.enqueue(piece);
      },
    });
  }

  /** The bytes of one token; for an added token those of its text. */
  tokenBytes(id: number): Uint8Array<ArrayBuffer> {
    if (!this.#tokens.has(id)) throw this.#unknown(id);
    return this.#tokens.get(id).slice();
  }

  /** The id of the token with exactly these bytes or this text, added tokens first; undefined if there is none. */
  idOf(token: string | Uint8Array): number | undefined {
    if (typeof token === "string") {
      const added = this.added.find((candidate) => candidate.content === token);
      if (added !== undefined) return added.id;
    }
    const bytes = typeof token === "string" ? utf8.encode(token) : token;
    const id = this.parts.model.tokens.find(bytes, 0, bytes.length);
    return id < 0 ? undefined : id;
  }

  /**
   * The id of the token that ends a text: `<|endoftext|>`, or what tokenizer_config.json calls `eos_token`; undefined if
   * there is neither.
   */
  get endOfText(): number | undefined {
    const named = this.special.get(END_OF_TEXT);
    if (named !== undefined) return named;
    const eos = this.parts.config?.eos_token;
    const content = typeof eos === "string" ? eos : (eos as JsonObject | undefined | null)?.content;
    return typeof content === "string" ? this.idOf(content) : undefined;
  }

  /** True if an id has a token; ids below `vocabSize` may be holes. */
  has(id: number): boolean {
    return Number.isInteger(id) && id >= 0 && this.#tokens.has(id);
  }

  #encodeInto(text: string, options: EncodeOptions, out: IdBuffer, limit: number): boolean {
    const { before, after } = this.parts;
    if (options.addSpecial && before !== undefined) pushAll(before, out);
    const whole = this.#stretches(text, options.special ?? "text", false, (id, _start, _end, normal) => {
      if (id < 0) return this.#encodeText(normal, out, limit);
      out.reserve(1);
      out.ids[out.length++] = id;
      return out.length <= limit;
    });
    if (whole && options.addSpecial && after !== undefined) pushAll(after, out);
    return whole;
  }

  /**
   * Visits a text's added tokens and the stretches between them, these normalised; stops when `visit` returns false.
   * Positions are UTF-16 units of the original; they are right only with `align`, which also gives the alignment where
   * normalisation changed something.
   */
  #stretches(text: string, special: SpecialHandling, align: boolean, visit: StretchVisitor): boolean {
    if (text === "") return true;
    if (this.#raw.idle(special)) return this.#normalStretches(text, 0, special, align, visit);
    const whole = this.#raw.split(text, special, (start, end, id) =>
      id >= 0
        ? visit(id, start, end, "", undefined)
        : this.#normalStretches(text.slice(start, end), start, special, align, visit),
    );
    return whole ?? this.#normalStretches(text, 0, special, align, visit);
  }

  #normalStretches(
    text: string,
    offset: number,
    special: SpecialHandling,
    align: boolean,
    visit: StretchVisitor,
  ): boolean {
    const normal = this.parts.normalizer === undefined ? text : nfc(text);
    const alignment = align && normal !== text ? alignedNfc(text) : undefined;
    const all = (): boolean => visit(-1, offset, offset + text.length, normal, alignment);
    if (this.#normal.idle(special)) return all();
    const whole = this.#normal.split(normal, special, (start, end, id) => {
      const from = offset + (alignment === undefined ? start : alignment.starts[start]);
      const to = offset + (alignment === undefined ? end : alignment.ends[end - 1]);
      const part =
        alignment === undefined
          ? undefined
          : {
              text: normal.slice(start, end),
              starts: alignment.starts.slice(start, end).map((at) => at + offset - from),
              ends: alignment.ends.slice(start, end).map((at) => at + offset - from),
            };
      return visit(id, from, to, id >= 0 ? "" : normal.slice(start, end), part);
    });
    return whole ?? all();
  }

  #prefixLength(text: string): number {
    return this.parts.prefixSpace && !text.startsWith(" ") ? 1 : 0;
  }

  /** Appends the ids of ordinary text; stops early, returning false, once there are more than `limit`. */
  #encodeText(text: string, out: IdBuffer, limit: number): boolean {
    if (this.#prefixLength(text) > 0) text = ` ${text}`;
    const size = limit === Number.POSITIVE_INFINITY ? PART_UNITS : 4096;
    const parts = this.#textParts;
    for (let start = 0; start < text.length; ) {
      start = parts.load(text, start, size);
      this.#encoder.encode(parts.bytes, parts.view, 0, parts.bounds, parts.count, out);
      if (out.length > limit) return false;
    }
    return true;
  }

  /** Gives back what a huge text needed, so that a tokenizer does not hold it for ever. */
  #release(): void {
    this.#textParts.release();
    if (this.#out.ids.length > 1 << 22) this.#out.ids = new Uint32Array(1 << 16);
  }

  /** Appends to `spans` the start and end of each of a stretch's tokens, in units of the original. */
  #locate(
    ids: Uint32Array,
    normal: string,
    prefix: number,
    offset: number,
    alignment: Alignment | undefined,
    spans: number[],
  ): void {
    let unit = 0;
    // Bytes of the stretch before the character at `unit`, the added space included.
    let byte = prefix;
    let position = 0;
    for (const id of ids) {
      const start = position;
      position += this.parts.model.tokens.lengths[id];
      while (unit < normal.length && byte + utf8Width(normal, unit) <= start) {
        byte += utf8Width(normal, unit);
        unit += unitWidth(normal, unit);
      }
      let last = unit;
      let lastByte = byte;
      while (last < normal.length && lastByte < position) {
        lastByte += utf8Width(normal, last);
        last += unitWidth(normal, last);
      }
      if (alignment === undefined) spans.push(offset + unit, offset + last);
      else if (last > unit) spans.push(offset + alignment.starts[unit], offset + alignment.ends[last - 1]);
      else {
        const at = unit < normal.length ? alignment.starts[unit] : unit === 0 ? 0 : alignment.ends[unit - 1];
        spans.push(offset + at, offset + at);
      }
    }
  }

  #decodeBytes(ids: Iterable<number> | ArrayLike<number>, options: DecodeOptions): Uint8Array<ArrayBuffer> {
    let list: ArrayLike<number> = isArrayLike(ids) ? ids : Array.from(ids);
    if (options.skipSpecial) list = Array.from(list).filter((id) => !this.#specialIds.has(id));
    this.#forDecoding ??= this.#tokens.forDecoding();
    const copied = { ids: 0, bytes: 0 };
    for (;;) {
      copyTokens(list, this.#tokens, this.#forDecoding, this.#decoded, copied);
      if (copied.ids === list.length) break;
      const id = list[copied.ids];
      if (!this.has(id)) throw this.#unknown(id);
      const room = Math.max(this.#decoded.byteLength * 2, copied.bytes + this.#tokens.lengths[id] + 8);
      const grown = new Uint8Array(room);
      grown.set(new Uint8Array(this.#decoded.buffer, 0, copied.bytes));
      this.#decoded = new DataView(grown.buffer);
    }
    const bytes = new Uint8Array(this.#decoded.buffer, 0, copied.bytes);
    if (this.#decoded.byteLength > 1 << 24) this.#decoded = new DataView(new ArrayBuffer(1 << 16));
    return bytes;
  }

  #unknown(id: number): QuernError {
    return new QuernError(`there is no token with id ${id}; this vocabulary has ids from 0 to ${this.vocabSize - 1}`);
  }
}

/**
 * Copies tokens into `out` behind what is there, eight bytes at a time, until all are copied, the next is none, or it has no
 * room. Integers are told to be integers, which a third of the speed hangs on.
 */
function copyTokens(
  list: ArrayLike<number>,
  { lengths, starts, size }: TokenTable,
  { heads, bytes }: ReturnType<TokenTable["forDecoding"]>,
  out: DataView,
  copied: { ids: number; bytes: number },
): void {
  const room = out.byteLength - 8;
  let written = copied.bytes | 0;
  let i = copied.ids | 0;
  for (; i < list.length; i++) {
    const id = list[i];
    if (!(id < size)) break;
    const length = lengths[id] | 0;
    if (length <= 0 || written + length > room) break;
    out.setInt32(written, heads[id << 1], true);
    out.setInt32(written + 4, heads[(id << 1) + 1], true);
    if (length > 8) {
      const from = starts[id] | 0;
      for (let j = 8; j < length; j += 8) {
        out.setInt32(written + j, bytes.getInt32(from + j, true), true);
        out.setInt32(written + j + 4, bytes.getInt32(from + j + 4, true), true);
      }
    }
    written = (written + length) | 0;
  }
  copied.ids = i;
  copied.bytes = written;
}

type StretchVisitor = (
  id: number,
  start: number,
  end: number,
  normal: string,
  alignment: Alignment | undefined,
) => boolean;

function isArrayLike(ids: Iterable<number> | ArrayLike<number>): ids is ArrayLike<number> {
  return typeof (ids as ArrayLike<number>).length === "number";
}

function pushAll(list: readonly number[], out: IdBuffer): void {
  out.reserve(list.length);
  for (const id of list) out.ids[out.length++] = id;
}

function unitWidth(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  if (unit < 0xd800 || unit > 0xdbff || index + 1 >= text.length) return 1;
  const low = text.charCodeAt(index + 1);
  return low >= 0xdc00 && low <= 0xdfff ? 2 : 1;
}

function utf8Width(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  return unit < 0x80 ? 1 : unit < 0x800 ? 2 : unitWidth(text, index) === 2 ? 4 : 3;
}

/** Byte offset in UTF-8 of each UTF-16 unit and of the end; the second half of a pair has its first half's. */
function byteOffsets(text: string): Uint32Array {
  const at = new Uint32Array(text.length + 1);
  let byte = 0;
  for (let i = 0; i < text.length; ) {
    const units = unitWidth(text, i);
    at[i] = byte;
    if (units === 2) at[i + 1] = byte;
    byte += utf8Width(text, i);
    i += units;
  }
  at[text.length] = byte;
  return at;
}
