/** Types of the WebAssembly API used here. TypeScript ships them only with the whole DOM library. */
declare namespace WebAssembly {
  type Exports = Readonly<Record<string, unknown>>;
  interface Module {
    readonly opaque?: never;
  }
  class Memory {
    constructor(options: { initial: number; maximum: number; shared: boolean });
    readonly buffer: SharedArrayBuffer;
    grow(pages: number): number;
  }
  function compile(bytes: Uint8Array): Promise<Module>;
  function instantiate(module: Module, imports: object): Promise<{ readonly exports: Exports }>;
}
