/**
 * @file Products that cuBLASLt computes in bf16, against `reference` in bf16. The emulator's cuBLASLt computes them plainly, and refuses
 * descriptions, addresses, algorithms and workspaces that do not agree.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compile, type Program } from "../../../src/backends/index.js";
import type { Entries, Entry } from "../../../src/tensor/index.js";
import * as q from "../../../src/tensor/index.js";
import { randomNumbers } from "../stored-weights.js";
import { distance } from "./compare.js";
import { describeCuda } from "./device.js";

const [M, N, K] = [160, 144, 128];
/** The emulator's library refuses this side. */
const REFUSED = 136;

const matrix = (name: string, shape: readonly number[]) => q.variable(name, shape);
/** The launches of cuBLASLt that each entry should have. */
const wanted: Record<string, number> = {};

function entriesOf(): Entries {
  const entries: Record<string, Entry> = {};
  const add = (name: string, calls: number, entry: Entry) => {
    wanted[name] = calls;
    entries[name] = entry;
  };
  for (const [transposeA, transposeB] of [
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ]) {
    const name = `${transposeA ? "T" : "N"}${transposeB ? "T" : "N"}`;
    const a = matrix(`a${name}`, transposeA ? [K, M] : [M, K]);
    const b = matrix(`b${name}`, transposeB ? [N, K] : [K, N]);
    add(name, 1, { outputs: { [name]: q.matmul(a, b, { transposeA, transposeB }) } });
  }
  const [x, w, bias] = [matrix("x", [M, K]), matrix("w", [N, K]), matrix("bias", [N])];
  const layer = q.add(q.linear(x, w), bias);
  add("layer", 1, { outputs: { layer } });
  add("gelu", 1, { outputs: { gelu: q.gelu(layer) } });
  // The first layer is stored in bf16 for the second.
  add("two", 2, { outputs: { two: q.linear(layer, matrix("v", [K, N])) } });
  add("two with gelu", 2, { outputs: { "two with gelu": q.linear(q.gelu(layer), matrix("v", [K, N])) } });
  const sum = q.variable("sum", [K, N]);
  add("adds", 1, {
    outputs: {},
    assign: [[sum, q.add(sum, q.matmul(x, matrix("y", [M, N]), { transposeA: true }))]],
  });
  add("refused", 0, { outputs: { refused: q.linear(x, matrix("refused w", [REFUSED, K])) } });
  add("odd", 0, { outputs: { odd: q.linear(x, matrix("odd w", [N + 1, K])) } });
  add("invariant", 0, { outputs: { invariant: q.linear(x, w, null, { batchInvariant: true }) } });
  const head = matrix("head", [256, K]);
  const loss = q.sum(q.linearCrossEntropy(x, head, q.input("targets", [M], "i32")));
  const [dx, dHead] = q.gradients(loss, [x, head]);
  add("head", 3, { outputs: { dx, dHead } });
  return entries;
}

describeCuda("cuda, products by cuBLASLt", () => {
  let program: Program;
  let reference: Program;
  const entries = entriesOf();
  beforeAll(async () => {
    program = await compile(entries, { backend: "cuda", dtype: "bf16" });
    reference = await compile(entries, { backend: "reference", dtype: "bf16" });
  }, 1_200_000);
  afterAll(() => program?.dispose());

  it("are the library's where it computes them, and match reference in bf16", { timeout: 1_200_000 }, async () => {
    const folder = dirname(program.plan.source as string);
    const { entries: launches } = JSON.parse(readFileSync(join(folder, "launches.json"), "utf8"));
    const calls = (name: string) => launches[name].filter((launch: object) => "product" in launch).length;
    expect(Object.fromEntries(Object.keys(entries).map((name) => [name, calls(name)]))).toEqual(wanted);

    const random = randomNumbers(9);
    const targets = Int32Array.from({ length: M }, (_, i) => (i % 7 === 0 ? -100 : (i * 37) % 256));
    for (const node of q.nodesOf(...Object.values(entries))) {
      if (!q.isOp(node, "variable")) continue;
      const { name } = node.attributes;
      const data = Float32Array.from({ length: q.sizeOf(node.outputs[0].shape) }, () => random() - 0.5);
      for (const each of [program, reference]) each.write(name, data);
    }
    for (const [name, entry] of Object.entries(entries)) {
      for (const each of [program, reference]) {
        for (let i = 0; i < 2; i++) await each.run(name, name === "head" ? { targets } : {});
      }
      const results = [...Object.keys(entry.outputs), ...(name === "adds" ? ["sum"] : [])];
      for (const result of results) {
        const error = distance(await program.read(result), await reference.read(result));
        // fp32 sums in another order; results that are stored in bf16 for another product are rounded once more.
        expect(error, result).toBeLessThan(result.startsWith("two") || name === "head" ? 2 ** -7 : 1e-5);
      }
    }
  });
});
