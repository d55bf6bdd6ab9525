/** @file The part of a byte stream that is looked at: it grows at its end as needed and is dropped at its start. */

export class Window {
  #source: AsyncIterator<Uint8Array>;
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0; // of what is still wanted in #bytes
  #offset = 0; // of #bytes[#start] in the stream
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** What is there of the stream from `offset` on; valid until the next `grow`. */
  get bytes(): Buffer {
    return this.#bytes.subarray(this.#start);
  }

  /** Where `bytes` begins in the stream. */
  get offset(): number {
    return this.#offset;
  }

  get ended(): boolean {
    return this.#ended;
  }

  drop(count: number): void {
    this.#start += count;
    this.#offset += count;
  }

  /** Takes more of the stream, until there are `wanted` bytes or no more. */
  async grow(wanted: number): Promise<void> {
    if (this.#bytes.length - this.#start >= wanted) return;
    const parts: Uint8Array[] = [this.bytes];
    let length = this.bytes.length;
    while (length < wanted && !this.#ended) {
      const next = await this.#source.next();
      if (next.done) this.#ended = true;
      else {
        parts.push(next.value);
        length += next.value.length;
      }
    }
    this.#bytes = Buffer.concat(parts, length);
    this.#start = 0;
  }

  /** Ends the source, when no more of it is wanted. */
  async close(): Promise<void> {
    this.#ended = true;
    await this.#source.return?.();
  }
}
