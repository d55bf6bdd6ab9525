import { describe, expect, it } from "vitest";
import { explain } from "../../src/backends/index.js";
import { compileGraph, type Kernel } from "../../src/compiler/index.js";
import { HOST_LIMITS } from "../../src/compiler/memory.js";
import * as q from "../../src/tensor/index.js";

const [N, C, F] = [64, 32, 96];
const x = q.variable("x", [N, C]);
const [up, down] = [q.variable("up", [F, C]), q.variable("down", [C, F])];
const bias = q.variable("bias", [F]);

/** What each kernel stores, as `matmul: bf16 6144`, without variables and outputs. */
function stores(entry: q.Entry, limits = { ...HOST_LIMITS, storesBf16: true }): string[] {
  const { entries } = compileGraph({ main: entry }, { dtype: "bf16", limits });
  return (entries.get("main") as readonly Kernel[]).flatMap((kernel) => {
    const body = kernel.kind === "loop" ? kernel.body : kernel.epilogue;
    const raw = kernel.kind === "template" ? kernel.results.filter((buffer) => buffer !== null) : [];
    const stored =
      body?.results.map((result) => (result.kind === "store" ? result.access.buffer : result.buffer)) ?? [];
    return [...new Set([...raw, ...stored])]
      .filter(({ kind, size }) => kind === "temporary" && size > 0)
      .map(({ dtype, size }) => `${kernel.kind === "loop" ? "loop" : kernel.node.op}: ${dtype} ${size}`);
  });
}

describe("narrow", () => {
  it("stores operands of products in bf16, and needs no memory for a product that only its epilogue reads", () => {
    const hidden = q.gelu(q.linear(x, up, bias));
    expect(stores({ outputs: { y: q.linear(hidden, down) } })).toEqual([`matmul: bf16 ${N * F}`]);
    expect(stores({ outputs: { y: q.linear(q.silu(q.add(x, 1)), up) } })).toEqual([`loop: bf16 ${N * C}`]);
  });

  it("rounds the output of a linear layer that a loop reads, but not the residual stream", () => {
    const hidden = q.linear(x, up, bias);
    const rows = q.mean(q.mul(hidden, hidden), [-1], true);
    expect(stores({ outputs: { rows } })).toContain(`matmul: bf16 ${N * F}`);
    const stream = q.add(x, q.linear(q.gelu(q.linear(x, up)), down));
    const y = q.mul(q.sub(stream, q.mean(stream, [-1], true)), 2);
    expect(
      stores({ outputs: { y: q.linear(y, up), z: y } }).filter((line) => line === `matmul: bf16 ${N * C}`),
    ).toEqual([]);
  });

  it("keeps gradients of weights, outputs, and what other operations read in fp32", () => {
    const [a, b] = [q.variable("a", [N, C]), q.variable("b", [N, F])];
    const product = q.matmul(a, b, { transposeA: true }); // (C,F), as a weight's gradient
    expect(stores({ outputs: { y: q.sum(q.mul(product, product)) } }).join()).not.toContain("bf16");
    const logits = q.linear(x, up);
    const loss = q.linearCrossEntropy(logits, q.variable("head", [16, F]), q.input("targets", [N], "i32"));
    expect(stores({ outputs: { loss } })).toEqual([`matmul: f32 ${N * F}`]);
  });

  it("changes nothing for targets that cannot read it", () => {
    const entry = { outputs: { y: q.linear(q.gelu(q.linear(x, up)), down) } };
    expect(stores(entry, HOST_LIMITS as never).join()).not.toContain("bf16");
  });

  it("is shown by explain for the instruction sets that have it", () => {
    const main = { outputs: { y: q.linear(q.gelu(q.linear(x, up, bias)), down) } };
    const [narrow, wide] = ["amx", "avx512"].map((target) => explain({ main }, "bf16", target).entries[0]);
    expect(narrow.kernels.filter(({ what }) => /^matmul 64×96×32 in bf16, stores bf16/.test(what))).toHaveLength(1);
    expect(wide.kernels.some(({ what }) => what.includes("stores bf16"))).toBe(false);
    expect(narrow.fused.bytes).toBeLessThan(wide.fused.bytes - 2 * 2 * N * F + 1);
  });
});
