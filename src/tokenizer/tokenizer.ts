/**
 * @file The tokenizer: encodes text as ids and decodes ids. It does not need Node.
 *
 *     text → added tokens → NFC → pattern → pretokens → merges → ids
 *
 * A text is processed in parts that stay in the processor's cache: each part is lexed, then its pretokens are looked up.
 */
import type { AddedToken, SpecialHandling } from "./encode/added-tokens.js";
import { END_OF_TEXT } from "./encode/added-tokens.js";
import { Decoder, hasToken, unknownToken } from "./encode/decoder.js";
import { type BpeModel, Encoder, IdBuffer } from "./encode/encoder.js";
import type { Normalizer } from "./encode/normalizers.js";
import { byteOffsets, locateTokens } from "./encode/offsets.js";
import type { Splitter } from "./encode/patterns.js";
import { Segments } from "./encode/segments.js";
import { PART_UNITS, TextParts } from "./encode/text-parts.js";
import type { TokenTable } from "./token-table.js";

/** The fields of a tokenizer file other than vocabulary and merges, kept so that they can be written again without loss. */
export type JsonObject = { readonly [key: string]: unknown };

export interface TokenizerParts {
  readonly model: BpeModel;
  readonly splitter: Splitter;
  readonly added: readonly AddedToken[];
  readonly normalizer?: Normalizer;
  /** Adds a space before each text segment that does not start with one (`add_prefix_space`). */
  readonly prefixSpace?: boolean;
  /** Ids that the post-processor adds before and after a text if `addSpecial` is set. */
  readonly before?: readonly number[];
  readonly after?: readonly number[];
  /** The contents of tokenizer.json without vocabulary and merges. */
  readonly json: JsonObject;
  /** The contents of tokenizer_config.json. */
  readonly config?: JsonObject;
  /** True if tokenizer.json stores merges as pairs, false if as strings with a space. */
  readonly mergesAsPairs?: boolean;
  /** Keys of the vocabulary that are not written in the byte-level alphabet, by id. */
  readonly plainKeys?: ReadonlyMap<number, string>;
  /** The result of `tokenizerHash`, if known. */
  readonly hash?: string;
  /** Largest size of the pretoken cache in bytes; default 32 MiB. */
  readonly cacheBytes?: number;
}

export interface EncodeOptions {
  /** How special tokens in the text are encoded; default as ordinary text. */
  readonly special?: SpecialHandling;
  /** Adds the special tokens of the file's template around the text; default false. */
  readonly addSpecial?: boolean;
}

export interface OffsetOptions extends EncodeOptions {
  /** Unit of the offsets: UTF-16 units of the original string (the default) or bytes of its UTF-8 encoding. */
  readonly unit?: "utf16" | "byte";
}

export interface DecodeOptions {
  /** Leaves special tokens out; default false. */
  readonly skipSpecial?: boolean;
}

/** N tokens with their offsets, each (N): token i covers text[starts[i], ends[i]), widened to whole characters. */
export interface Encoding {
  readonly ids: Uint32Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

const DEFAULT_CACHE = 32 << 20;

const utf8 = new TextEncoder();
/** Decodes invalid UTF-8 as U+FFFD, and keeps a byte order mark as a character. */
const utf8Decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class Tokenizer {
  /** One more than the greatest id: the number of rows of an embedding. */
  readonly vocabSize: number;
  /** Maps the text of each special token to its id. */
  readonly special: ReadonlyMap<string, number>;
  /** All added tokens, special or not. */
  readonly added: readonly AddedToken[];
  /** The tokenizer's components, for writing it to files. */
  readonly parts: TokenizerParts;

  readonly #encoder: Encoder;
  readonly #segments: Segments;
  /** The vocabulary plus the added tokens, whose bytes are their text. */
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
    this.#segments = new Segments(parts.added, parts.normalizer);
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

  /** Returns the ids of a text. Lone surrogates are encoded as U+FFFD. */
  encode(text: string, options: EncodeOptions = {}): Uint32Array<ArrayBuffer> {
    const out = this.#out;
    out.length = 0;
    this.#encodeInto(text, options, out, Number.POSITIVE_INFINITY);
    const ids = out.ids.slice(0, out.length);
    this.#release();
    return ids;
  }

  /** Returns the ids of each text. */
  encodeBatch(texts: Iterable<string>, options: EncodeOptions = {}): Uint32Array<ArrayBuffer>[] {
    const batch: Uint32Array<ArrayBuffer>[] = [];
    for (const text of texts) batch.push(this.encode(text, options));
    return batch;
  }

  /** Appends the ids of a text to a buffer and returns their number; saves the copy that `encode` makes. */
  encodeTo(text: string, out: IdBuffer, options: EncodeOptions = {}): number {
    const before = out.length;
    this.#encodeInto(text, options, out, Number.POSITIVE_INFINITY);
    return out.length - before;
  }

  /**
   * True if UTF-8 text can be encoded in parts that end at a `byteBorder`: no normalizer, no prefix space, and only
   * special added tokens.
   */
  get divisible(): boolean {
    const { splitter, normalizer, prefixSpace, added } = this.parts;
    return splitter.divisible && normalizer === undefined && !prefixSpace && added.every((token) => token.special);
  }

  /**
   * Appends the ids of bytes[start, end), which must be valid UTF-8; encodes special tokens as ordinary text. PADDING bytes after
   * the end must be readable. It must be a whole text unless the tokenizer is `divisible`.
   */
  encodeBytesTo(bytes: Uint8Array, start: number, end: number, out: IdBuffer): void {
    if (!this.divisible) {
      // Copy first: TextDecoder does not accept shared memory.
      this.encodeTo(utf8Decoder.decode(bytes.slice(start, end)), out);
      return;
    }
    const parts = this.#textParts;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    parts.eachPart(bytes, start, end, (from) =>
      this.#encoder.encode(bytes, view, from, parts.bounds, parts.count, out),
    );
  }

  /** Returns the number of tokens of a text. */
  count(text: string, options: EncodeOptions = {}): number {
    const out = this.#out;
    out.length = 0;
    this.#encodeInto(text, options, out, Number.POSITIVE_INFINITY);
    const count = out.length;
    this.#release();
    return count;
  }

  /** Returns the number of tokens if it is at most `limit`, else false. Stops encoding once the limit is exceeded. */
  isWithinLimit(text: string, limit: number, options: EncodeOptions = {}): number | false {
    const out = this.#out;
    out.length = 0;
    const whole = this.#encodeInto(text, options, out, limit);
    const count = out.length;
    this.#release();
    return whole && count <= limit ? count : false;
  }

  /** Returns the ids of a text and the offsets of each in the original text, even if a normalizer changes it. */
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
    this.#segments.visit(text, options.special ?? "text", true, (id, start, end, normal, alignment) => {
      if (id >= 0) {
        ids.reserve(1);
        ids.ids[ids.length++] = id;
        spans.push(start, end);
        return true;
      }
      const first = ids.length;
      this.#encodeText(normal, ids, Number.POSITIVE_INFINITY);
      const segment = { normal, prefix: this.#prefixLength(normal), offset: start, alignment };
      locateTokens(ids.ids.subarray(first, ids.length), this.parts.model.tokens.lengths, segment, spans);
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

  /** Decodes ids to text. Invalid UTF-8 becomes U+FFFD. @throws QuernError if an id has no token */
  decode(ids: Iterable<number> | ArrayLike<number>, options: DecodeOptions = {}): string {
    return utf8Decoder.decode(this.#bytesOf(ids, options));
  }

  /** Decodes ids to bytes, which may not be valid UTF-8. @throws QuernError if an id has no token */
  decodeBytes(ids: Iterable<number> | ArrayLike<number>, options: DecodeOptions = {}): Uint8Array<ArrayBuffer> {
    return this.#bytesOf(ids, options).slice();
  }

  /** Returns a stream that decodes ids to text. It delays a character whose bytes are in several tokens until all have arrived. */
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

  /** Returns the bytes of one token; for an added token, the UTF-8 of its text. @throws QuernError if the id has no token */
  tokenBytes(id: number): Uint8Array<ArrayBuffer> {
    if (!this.has(id)) throw unknownToken(this.#tokens, id);
    return this.#tokens.get(id).slice();
  }

  /** Returns the id of the token with exactly this text or these bytes; undefined if there is none. Added tokens take precedence. */
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
   * The id of the token that ends a text: `<|endoftext|>`, or else the `eos_token` of tokenizer_config.json; undefined if there is
   * neither.
   */
  get endOfText(): number | undefined {
    const named = this.special.get(END_OF_TEXT);
    if (named !== undefined) return named;
    const eos = this.parts.config?.eos_token;
    const content = typeof eos === "string" ? eos : (eos as JsonObject | undefined | null)?.content;
    return typeof content === "string" ? this.idOf(content) : undefined;
  }

  /** True if an id has a token; some ids below `vocabSize` may have none. */
  has(id: number): boolean {
    return hasToken(this.#tokens, id);
  }

  #encodeInto(text: string, options: EncodeOptions, out: IdBuffer, limit: number): boolean {
    const { before, after } = this.parts;
    if (options.addSpecial && before !== undefined) pushAll(before, out);
    const whole = this.#segments.visit(text, options.special ?? "text", false, (id, _start, _end, normal) => {
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

  /** Appends the ids of ordinary text; stops and returns false once there are more than `limit`. */
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

  /** Returns a view that the next call overwrites. */
  #bytesOf(ids: Iterable<number> | ArrayLike<number>, { skipSpecial }: DecodeOptions): Uint8Array<ArrayBuffer> {
    return this.#decoder.decode(ids, skipSpecial ? this.#specialIds : undefined);
  }

  /** Frees the memory of a huge text, which a long-lived tokenizer would otherwise keep. */
  #release(): void {
    this.#textParts.release();
    if (this.#out.ids.length > 1 << 22) this.#out.ids = new Uint32Array(1 << 16);
  }
}

function pushAll(list: readonly number[], out: IdBuffer): void {
  out.reserve(list.length);
  for (const id of list) out.ids[out.length++] = id;
}
