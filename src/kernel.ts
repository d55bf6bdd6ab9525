/** @file WebAssembly kernels: small C files, built by scripts/kernels.mjs, over a memory made here. */
import { readFileSync } from "node:fs";

/** The part of WebAssembly's JavaScript interface that Node's types leave out. */
const { Module, Instance } = WebAssembly as unknown as {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

/** What the linker adds to a kernel's own functions. */
export interface KernelBase {
  readonly __heap_base: { readonly value: number };
  readonly __stack_pointer: { value: number };
}

const PAGE = 65536;
const modules = new Map<string, object>();

/** A memory for a kernel: it can grow to the 4 GiB that WebAssembly addresses, and threads can share it. */
export const kernelMemory = () => new WebAssembly.Memory({ initial: 2, maximum: PAGE, shared: true });

/** The functions of the kernel.wasm at `url` over a memory; `imports` are what it calls. */
export function instantiateKernel<K>(url: URL, memory: WebAssembly.Memory, imports: object = {}): K & KernelBase {
  let module = modules.get(url.href);
  if (module === undefined) {
    module = new Module(readFileSync(url));
    modules.set(url.href, module);
  }
  return new Instance(module, { env: { memory, ...imports } }).exports as K & KernelBase;
}

/** Makes the memory reach `top`; throws RangeError where it cannot. */
export function growTo(memory: WebAssembly.Memory, top: number): void {
  const have = memory.buffer.byteLength;
  if (top > have) memory.grow(Math.ceil((top - have) / PAGE));
}
