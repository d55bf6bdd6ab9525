/** @file Loads WebAssembly kernels: small C files, built by scripts/kernels.mjs, that share a memory made here. */
import { readFileSync } from "node:fs";

/** The part of WebAssembly's JavaScript interface that Node's types lack. */
const { Module, Instance } = WebAssembly as unknown as {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

/** Exports that the linker adds to a kernel. */
export interface KernelBase {
  readonly __heap_base: { readonly value: number };
  readonly __stack_pointer: { value: number };
}

const PAGE = 65536;
const modules = new Map<string, object>();

/** Makes a memory for a kernel. It can grow to WebAssembly's limit of 4 GiB, and threads can share it. */
export const kernelMemory = () => new WebAssembly.Memory({ initial: 2, maximum: PAGE, shared: true });

/** Instantiates the kernel.wasm at `url` on a memory, and returns its functions. @param imports functions that it calls */
export function instantiateKernel<K>(url: URL, memory: WebAssembly.Memory, imports: object = {}): K & KernelBase {
  let module = modules.get(url.href);
  if (module === undefined) {
    module = new Module(readFileSync(url));
    modules.set(url.href, module);
  }
  return new Instance(module, { env: { memory, ...imports } }).exports as K & KernelBase;
}

/** Grows the memory to at least `top` bytes. @throws RangeError if it cannot */
export function growTo(memory: WebAssembly.Memory, top: number): void {
  const have = memory.buffer.byteLength;
  if (top > have) memory.grow(Math.ceil((top - have) / PAGE));
}
