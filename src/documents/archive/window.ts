/** @file A window over a byte stream: it grows at its end on demand, and bytes are dropped from its start. */

const LEAST = 2 ** 16;

export class Window {
  #source: AsyncIterator<Uint8Array>;
  #memory: Buffer = Buffer.alloc(0);
  #start = 0; // of the window in #memory
  #end = 0;
  #offset = 0; // of #memory[#start] in the stream
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The buffered bytes of the stream, from `offset` on; valid until the next `grow`. */
  get bytes(): Buffer {
    return this.#memory.subarray(this.#start, this.#end);
  }

  /** The position of `bytes` in the stream. */
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

  /** Reads from the stream until the window has `wanted` bytes or the stream ends. */
  async grow(wanted: number): Promise<void> {
    while (this.#end - this.#start < wanted && !this.#ended) {
      const next = await this.#source.next();
      if (next.done) this.#ended = true;
      else this.#append(next.value);
    }
  }

  /** Moves each byte a bounded number of times, however small the pieces are. */
  #append(piece: Uint8Array): void {
    const length = this.#end - this.#start;
    if (this.#end + piece.length > this.#memory.length) {
      const needed = length + piece.length;
      const roomy = 2 * needed <= this.#memory.length;
      const memory = roomy ? this.#memory : Buffer.allocUnsafe(Math.max(2 * needed, LEAST));
      this.#memory.copy(memory, 0, this.#start, this.#end);
      this.#memory = memory;
      this.#start = 0;
      this.#end = length;
    }
    this.#memory.set(piece, this.#end);
    this.#end += piece.length;
  }

  /** Closes the source. */
  async close(): Promise<void> {
    this.#ended = true;
    await this.#source.return?.();
  }
}
