/** @file Completes a kernel's text to a WGSL shader: bindings, the functions that access them, and the library's. */
import { libraryOf } from "./library.js";

/** Offsets of a launch's operands in words; as many as fit into the smallest step of dynamic offsets. */
export const OFFSETS = 64;

/**
 * @param text a kernel with `$k` in place of operand k's binding
 * @param bindings the number of each operand's binding; binding 0 has the offsets
 */
export function shaderOf(text: string, bindings: readonly number[]): string {
  const bound = text.replace(
    /\b(ld|st|st_part)\$(\d+)/g,
    (_, name: string, k: string) => `${name}${bindings[Number(k)]}`,
  );
  const parts = [
    ...(/\bsubgroup[A-Z]/.test(bound) ? ["enable subgroups;"] : []),
    "diagnostic(off, derivative_uniformity);",
    `@group(0) @binding(0) var<uniform> offsets: array<vec4<u32>, ${OFFSETS / 4}>;`,
    ...[...new Set(bindings)].sort((a, b) => a - b).map((binding) => accessors(binding, bound)),
    libraryOf(bound),
    bound,
  ];
  return `${parts.join("\n")}\n`;
}

/** Declares a binding and its functions. Buffers with elements smaller than a word are atomic, because threads share words. */
function accessors(n: number, text: string): string {
  const isAtomic = new RegExp(`\\bst_part${n}\\(`).test(text);
  const memory = `@group(0) @binding(${n}) var<storage, read_write> s${n}: array<${isAtomic ? "atomic<u32>" : "u32"}>;`;
  if (!isAtomic) {
    return `${memory}
fn ld${n}(i: u32) -> u32 { return s${n}[i]; }
fn st${n}(i: u32, word: u32) { s${n}[i] = word; }`;
  }
  return `${memory}
fn ld${n}(i: u32) -> u32 { return atomicLoad(&s${n}[i]); }
fn st${n}(i: u32, word: u32) { atomicStore(&s${n}[i], word); }
fn st_part${n}(i: u32, shift: u32, mask: u32, bits: u32) {
  atomicAnd(&s${n}[i], ~(mask << shift));
  atomicOr(&s${n}[i], bits << shift);
}`;
}
