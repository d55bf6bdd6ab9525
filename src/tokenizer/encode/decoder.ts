/** @file Decodes ids to bytes: copies tokens one after another into a buffer that the next call reuses. */
import { QuernError } from "../../errors.js";
import type { TokenTable } from "../token-table.js";

/** Maximum size in bytes of the buffer that is kept between calls. */
const KEPT = 1 << 24;
const FIRST_ROOM = 1 << 16;

export class Decoder {
  readonly #tokens: TokenTable;
  /** Created by the first `decode`. */
  #prepared: ReturnType<TokenTable["forDecoding"]> | undefined;
  #out = new DataView(new ArrayBuffer(FIRST_ROOM));

  constructor(tokens: TokenTable) {
    this.#tokens = tokens;
  }

  /**
   * Returns the bytes of ids as a view that the next call overwrites.
   * @param skipped ids to leave out
   * @throws QuernError if an id has no token
   */
  decode(ids: Iterable<number> | ArrayLike<number>, skipped?: ReadonlySet<number>): Uint8Array<ArrayBuffer> {
    let list: ArrayLike<number> = isArrayLike(ids) ? ids : Array.from(ids);
    if (skipped !== undefined) list = Array.from(list).filter((id) => !skipped.has(id));
    this.#prepared ??= this.#tokens.forDecoding();
    const copied = { ids: 0, bytes: 0 };
    for (;;) {
      copyTokens(list, this.#tokens, this.#prepared, this.#out, copied);
      if (copied.ids === list.length) break;
      const id = list[copied.ids];
      if (!hasToken(this.#tokens, id)) throw unknownToken(this.#tokens, id);
      const room = Math.max(this.#out.byteLength * 2, copied.bytes + this.#tokens.lengths[id] + 8);
      const grown = new Uint8Array(room);
      grown.set(new Uint8Array(this.#out.buffer, 0, copied.bytes));
      this.#out = new DataView(grown.buffer);
    }
    const bytes = new Uint8Array(this.#out.buffer, 0, copied.bytes);
    if (this.#out.byteLength > KEPT) this.#out = new DataView(new ArrayBuffer(FIRST_ROOM));
    return bytes;
  }
}

/** True if an id has a token. The ids below the vocabulary's size may have gaps. */
export function hasToken(tokens: TokenTable, id: number): boolean {
  return Number.isInteger(id) && id >= 0 && tokens.has(id);
}

export function unknownToken(tokens: TokenTable, id: number): QuernError {
  return new QuernError(`there is no token with id ${id}; the ids of this vocabulary are 0 to ${tokens.size - 1}`);
}

/**
 * Appends tokens to `out`, eight bytes at a time. Stops when all are copied, an id has no token, or `out` is full. The `| 0` tells
 * the engine that values are 32-bit integers; without it the loop is a third slower.
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

function isArrayLike(ids: Iterable<number> | ArrayLike<number>): ids is ArrayLike<number> {
  return typeof (ids as ArrayLike<number>).length === "number";
}
