/** @file Kernels compile by NVRTC for all architectures; needs no GPU. `npm run test:cuda-compile` runs it. */
import koffi from "koffi";
import { describe, expect, it } from "vitest";
import { described, loadCublasLt } from "../../../src/backends/cuda/cublaslt.js";
import { emitProgram } from "../../../src/backends/cuda/emit.js";
import { openNvrtc } from "../../../src/backends/cuda/nvrtc.js";
import { compileGraph } from "../../../src/compiler/index.js";
import type { Entries } from "../../../src/tensor/index.js";
import * as q from "../../../src/tensor/index.js";
import { ADAMW_DEFAULTS, languageModelTrainer, traceTrainer } from "../../../src/train/index.js";
import { loadFixture } from "../../model/model-fixtures.js";
import { cases } from "../operations.cases.js";
import { STORED } from "../stored-weights.js";
import { CUDA_LIMITS, figuresOf } from "./figures.js";

/** Cases that use every template, and a loop of each kind. */
const NAMES: readonly string[] = [
  ...["softmax", "layer norm", "sum of much", "max 1", "dropout", "gather", "scatterAdd", "embedding", "concatenate 1"],
  ...[
    "rope of ragged rows",
    "learned positions",
    "transpose 2,0,1",
    "casts from f16",
    "linear entropies 70x20x1100, inputs to 1",
  ],
  ...["matmul 64x96x300 NN", "matmul 64x96x300 TN", "matmul 1x300x64 NT", "batch-invariant linear 13x70x77"],
  ...["masked attention 1x100 heads 2/1 of 32", "attention 2x70 heads 2/2 of 16"],
];

/** Products with stored weights, and caches of each type. */
function storedEntries(): Entries {
  const products = STORED.map(([dtype]) => {
    const w = q.variable(`w ${dtype}`, [24, 256], dtype);
    const x = q.input("x", [3, 256]);
    return [`product ${dtype}`, { outputs: { [`y ${dtype}`]: q.linear(x, w) } }] as const;
  });
  const caches = (["f32", "bf16", "f16", "q8_0"] as const).map((dtype) => {
    const k = q.variable(`k ${dtype}`, [2, 200, 2, 32], dtype);
    const written = q.cacheWrite(k, q.input("rows", [2, 3, 2, 32]), q.scalar("position", "i32"));
    const o = q.attention(q.input("q", [2, 3, 4, 32]), written, written, { position: q.scalar("position", "i32") });
    return [`cache ${dtype}`, { outputs: { [`o ${dtype}`]: o }, assign: [[k, written]] as const }] as const;
  });
  return Object.fromEntries([...products, ...caches]);
}

/** Attention on tensor cores, for each head width whose kernels differ, with its gradient. */
function flashEntries(): Entries {
  return Object.fromEntries(
    [64, 128].map((D) => {
      const [x, k, v] = [4, 2, 2].map((heads, i) => q.variable(`x${i} ${D}`, [2, 70, heads, D]));
      const o = q.attention(x, k, v, { segments: q.input("segments", [2, 70], "i32") });
      const gradients = q.gradients(q.sum(q.mul(o, o)), [x, k, v]);
      return [`flash ${D}`, { outputs: Object.fromEntries(gradients.map((d, i) => [`d${i} ${D}`, d])) }] as const;
    }),
  );
}

/** Products that cuBLASLt computes, with the kernels around them. */
function libraryEntries(): Entries {
  const [x, w, b] = [q.variable("x", [128, 136]), q.variable("w", [144, 136]), q.variable("b", [144])];
  return { main: { outputs: { y: q.gelu(q.linear(x, w, b)) } } };
}

/** Products in e4m3, of both layouts of each operand, split along K and not. */
function fp8Entries(): Entries {
  return Object.fromEntries(
    [true, false].map((transposed) => {
      const shape = transposed ? [2048, 40] : [40, 80];
      const [a, b] = ["a", "b"].map((name) => q.variable(`${name} ${transposed}`, shape));
      const y = q.matmul(a, b, { transposeA: transposed, transposeB: !transposed });
      return [`fp8 ${transposed}`, { outputs: { [`y ${transposed}`]: y } }] as const;
    }),
  );
}

async function stepEntries(): Promise<Entries> {
  const { config } = await loadFixture("llama-grouped-tied");
  const trainer = languageModelTrainer(config, { batch: 16, sequence: 64 });
  return traceTrainer(trainer, { optimizer: ADAMW_DEFAULTS, accumulate: 2 }).entries;
}

const skipped = process.env.QUERN_TEST_NVRTC === undefined;
describe.skipIf(skipped)(`NVRTC${skipped ? ": run npm run test:cuda-compile" : ""}`, () => {
  it.each(["sm_80", "sm_90", "sm_90a"])("compiles every template for %s", { timeout: 900_000 }, async (on) => {
    const operations = Object.fromEntries(
      cases.filter(({ name }) => NAMES.includes(name)).map((c) => [c.name, c.entry]),
    );
    expect(Object.keys(operations).sort()).toEqual([...NAMES].sort());
    for (const [name, entries] of Object.entries({
      operations,
      stored: storedEntries(),
      flash: flashEntries(),
      library: libraryEntries(),
      step: await stepEntries(),
      // Ada and newer have e4m3.
      ...(on === "sm_80" ? {} : { fp8: fp8Entries() }),
    })) {
      const dtype = name === "fp8" ? "fp8" : "bf16";
      const graph = compileGraph(entries, { dtype, limits: CUDA_LIMITS });
      const { source, kernels } = emitProgram(graph, () => ({ data: "", workspace: 0 }));
      const flags = ["--ptxas-options=-v", "--diag-suppress=177"];
      const { log } = await openNvrtc().compile(source, on, flags);
      const figures = figuresOf(log);
      expect(figures.length).toBe(kernels);
      const most = (key: "registers" | "shared") => figures.reduce((a, b) => (b[key] > a[key] ? b : a));
      const spilled = figures.filter(({ spills }) => spills > 0).map(({ kernel, spills }) => `${kernel}: ${spills}`);
      console.log(
        `${on} ${name}: ${kernels} kernels; most registers ${most("registers").registers} (${most("registers").kernel}), ` +
          `most shared memory ${most("shared").shared} bytes (${most("shared").kernel}); spills: ${spilled.join(", ") || "none"}`,
      );
      // A few registers around a call of expf are no loss; more would be a kernel that is too large.
      expect(figures.filter(({ spills }) => spills > 32)).toEqual([]);
    }
  });
});

const cublasLt = skipped ? null : loadCublasLt();
describe.skipIf(cublasLt === null)(`cuBLASLt${cublasLt === null ? ": QUERN_CUBLASLT names its library" : ""}`, () => {
  it("takes our descriptions of products; it needs a GPU only to choose and run", () => {
    if (cublasLt === null) return;
    const library = koffi.load(cublasLt.path);
    const getter = (of: string) =>
      library.func(
        `int cublasLt${of}GetAttribute(void *of, int attribute, void *value, size_t bytes, _Out_ size_t *written)`,
      );
    const [ofOperation, ofLayout] = ["MatmulDesc", "MatrixLayout"].map(getter);
    const read = (get: typeof ofOperation, of: bigint, attribute: number, bytes: number) => {
      const value = Buffer.alloc(bytes);
      expect(get(of, attribute, value, bytes, [0])).toBe(0);
      return bytes === 4 ? value.readInt32LE() : Number(value.readBigUInt64LE());
    };
    const shape = {
      M: 24,
      N: 40,
      K: 16,
      transposeA: true,
      transposeB: false,
      output: "bf16",
      adds: false,
      bias: true,
    } as const;
    described(cublasLt, shape, 4096n, ({ operation, x, y, c }) => {
      // The library checks the size of each attribute: these are transposes, epilogue, the bias and its type, compute and scale type.
      const numbers = [3, 4, 7, 26, 0, 1].map((attribute) => read(ofOperation, operation, attribute, 4));
      expect(numbers).toEqual([0, 1, 4, 14, 68, 0]);
      expect(read(ofOperation, operation, 8, 8)).toBe(4096);
      // Type, rows, columns and leading dimension.
      const layout = (of: bigint) => [read(ofLayout, of, 0, 4), ...[2, 3, 4].map((i) => read(ofLayout, of, i, 8))];
      expect([x, y, c].map(layout)).toEqual([
        [14, 40, 16, 40],
        [14, 24, 16, 24],
        [14, 40, 24, 40],
      ]);
    });
  });
});
