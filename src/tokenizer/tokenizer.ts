/**
 * @file The tokenizer: text to ids and back. Nothing here needs Node.
 *
 *     text → added tokens → NFC → pattern → pretokens → merges → ids
 *
 * A text is worked on in parts that stay in the processor's cache: a part is lexed and its pretokens looked up.
 */
import type { AddedToken, SpecialHandling } from "./encode/added-tokens.js";
import { END_OF_TEXT } from "./encode/added-tokens.js";
import { Decoder, hasToken, unknownToken } from "./encode/decoder.js";
import { type BpeModel, Encoder, IdBuffer } from "./encode/encoder.js";
import type { Normalizer } from "./encode/normalizers.js";
import { byteOffsets, locateTokens } from "./encode/offsets.js";
import type { Splitter } from "./encode/patterns.js";
import { Stretches } from "./encode/stretches.js";
import { PART_UNITS, TextParts } from "./encode/text-parts.js";
import type { TokenTable } from "./token-table.js";

/** What a file is made of besides its vocabulary and merges, kept so that writing it again loses nothing. */
export type JsonObject = { readonly [key: string]: unknown };

export interface TokenizerParts {
  readonly model: BpeModel;
  readonly splitter: Splitter;
  readonly added: readonly AddedToken[];
  readonly normalizer?: Normalizer;
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
  /** `tokenizerHash`, where it is known. */
  readonly hash?: string;
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
const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

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
  readonly #stretches: Stretches;
  /** The vocabulary with the added tokens as their text. */
  readonly #tokens: TokenTable;
  readonly #specialIds: ReadonlySet<number>;
  readonly #textParts: TextParts;
  readonly #out = new IdBuffer();
  readonly #decoder: Decoder;

  constructor(parts: TokenizerParts) {
    this.parts = parts;
    this.added = parts.added;
    this.special = new Map(parts.added.filter((token) => token.special).map((token) => [token.content, token.id]));
    this.#specialIds = new Set(this.special.values());
    this.#textParts = new TextParts(parts.splitter);
    this.#encoder = new Encoder(parts.model, parts.cacheBytes ?? DEFAULT_CACHE);
    this.#stretches = new Stretches(parts.added, parts.normalizer);
    let tokens = parts.model.tokens;
    if (parts.added.length > 0) {
      tokens = tokens.copy();
      for (const token of parts.added) {
        const bytes = utf8.encode(token.content);
        tokens.add(token.id, bytes, 0, bytes.length, false);
      }
    }
    this.#tokens = tokens;
    this.#decoder = new Decoder(tokens);
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
      this.encodeTo(utf8Decoder.decode(bytes.slice(start, end)), out);
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
    this.#stretches.visit(text, options.special ?? "text", true, (id, start, end, normal, alignment) => {
      if (id >= 0) {
        ids.reserve(1);
        ids.ids[ids.length++] = id;
        spans.push(start, end);
        return true;
      }
      const first = ids.length;
      this.#encodeText(normal, ids, Number.POSITIVE_INFINITY);
      const stretch = { normal, prefix: this.#prefixLength(normal), offset: start, alignment };
      locateTokens(ids.ids.subarray(first, ids.length), this.parts.model.tokens.lengths, stretch, spans);
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
    return utf8Decoder.decode(this.#bytesOf(ids, options));
  }

  /** The bytes of ids, which need not be valid UTF-8. */
  decodeBytes(ids: Iterable<number> | ArrayLike<number>, options: DecodeOptions = {}): Uint8Array<ArrayBuffer> {
    return this.#bytesOf(ids, options).slice();
  }

  /** Ids in, text out, piece by piece; a character whose bytes come in several tokens is held back until it is whole. */
  decodeStream(options: DecodeOptions = {}): TransformStream<number | ArrayLike<number>, string> {
    const text = new TextDecoder("utf-8", { ignoreBOM: true });
    return new TransformStream<number | ArrayLike<number>, string>({
      transform: (chunk, controller) => {
        const ids = typeof chunk === "number" ? [chunk] : chunk;
        const piece = text.decode(this.#bytesOf(ids, options), { stream: true });
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
    if (!this.has(id)) throw unknownToken(this.#tokens, id);
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
    return hasToken(this.#tokens, id);
  }

  #encodeInto(text: string, options: EncodeOptions, out: IdBuffer, limit: number): boolean {
    const { before, after } = this.parts;
    if (options.addSpecial && before !== undefined) pushAll(before, out);
    const whole = this.#stretches.visit(text, options.special ?? "text", false, (id, _start, _end, normal) => {
      if (id < 0) return this.#encodeText(normal, out, limit);
      out.reserve(1);
      out.ids[out.length++] = id;
      return out.length <= limit;
    });
    if (whole && options.addSpecial && after !== undefined) pushAll(after, out);
    return whole;
  }

  #prefixLength(text: string): number {
    return this.parts.prefixSpace && text !== "" && !text.startsWith(" ") ? 1 : 0;
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

  /** As a view that the next call overwrites. */
  #bytesOf(ids: Iterable<number> | ArrayLike<number>, { skipSpecial }: DecodeOptions): Uint8Array<ArrayBuffer> {
    return this.#decoder.decode(ids, skipSpecial ? this.#specialIds : undefined);
  }

  /** Gives back what a huge text needed, so that a tokenizer does not hold it for ever. */
  #release(): void {
    this.#textParts.release();
    if (this.#out.ids.length > 1 << 22) this.#out.ids = new Uint32Array(1 << 16);
  }
}

function pushAll(list: readonly number[], out: IdBuffer): void {
  out.reserve(list.length);
  for (const id of list) out.ids[out.length++] = id;
}
