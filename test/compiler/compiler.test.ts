import { describe, expect, it } from "vitest";
import { type Buffer, buffersOf, compileGraph, explain, type Kernel } from "../../src/compiler/index.js";
import * as q from "../../src/tensor/index.js";

const kernelsOf = (entry: q.Entry): readonly Kernel[] => compileGraph({ main: entry }).entries.get("main") ?? [];
const describeKernel = (kernel: Kernel): string =>
  kernel.kind === "loop" ? "loop" : `${kernel.node.op}${kernel.epilogue ? "+epilogue" : ""}`;

describe("fusion", () => {
  it("fuses an RMS norm into one loop", () => {
    const y = q.rmsNorm(q.input("x", [64, 48]), q.variable("w", [48]), 1e-5);
    expect(kernelsOf({ outputs: { y } }).map(describeKernel)).toEqual(["loop"]);
  });

  it("fuses activation, product and residual into matrix products, without intermediate tensors", () => {
    const x = q.input("x", [64, 48]);
    const gate = q.silu(q.linear(x, q.variable("gate", [96, 48])));
    const up = q.linear(x, q.variable("up", [96, 48]));
    const y = q.add(x, q.linear(q.mul(gate, up), q.variable("down", [48, 96])));
    const kernels = kernelsOf({ outputs: { y } });
    expect(kernels.map(describeKernel)).toEqual(["matmul", "matmul+epilogue", "matmul+epilogue"]);
    // The last product uses the buffer of the residual's result.
    const last = kernels[2];
    expect(last.kind === "template" && last.results[0]?.name).toBe("y");
  });

  it("leaves out the gradient of a frozen head", () => {
    const [x, w] = [q.variable("x", [8, 16]), q.variable("w", [32, 16])];
    const loss = q.sum(q.linearCrossEntropy(x, w, q.input("ids", [8], "i32")));
    const [dx, dw] = q.gradients(loss, [x, w]);
    const resultsOf = (outputs: Readonly<Record<string, q.Tensor>>) =>
      kernelsOf({ outputs }).flatMap((kernel) =>
        kernel.kind === "template" ? [kernel.results.map((one) => (one === null ? "left out" : one.name))] : [],
      );
    expect(resultsOf({ dx, dw })).toEqual([[undefined, "dx", "dw"]]);
    expect(resultsOf({ dx })).toEqual([[undefined, "dx", "left out"]]);
  });

  it("runs one model's gradients before a second model that reads the same batch", () => {
    const model = (name: string) => {
      const w = q.variable(name, [32, 16]);
      const losses = q.linearCrossEntropy(q.input("x", [8, 16]), w, q.input("ids", [8], "i32"));
      const loss = q.sum(q.mul(q.exp(losses), q.input("weights", [8])));
      return [loss, q.gradients(loss, [w])[0]] as const;
    };
    const [firstLoss, firstGradient] = model("first");
    const [secondLoss, secondGradient] = model("second");
    const kernels = kernelsOf({
      outputs: { loss: q.add(firstLoss, secondLoss) },
      assign: [
        [q.variable("firstGradient", [32, 16]), firstGradient],
        [q.variable("secondGradient", [32, 16]), secondGradient],
      ],
    });
    const uses = (name: string) =>
      kernels.map((kernel) => Object.values(buffersOf(kernel)).some((list) => list.some((one) => one.name === name)));
    expect(uses("firstGradient").indexOf(true)).toBeLessThan(uses("second").indexOf(true));
  });

  it("updates parameter and moments in one loop, in place", () => {
    const [w, m, g] = ["w", "m", "g"].map((name) => q.variable(name, [32, 16]));
    const mean = q.add(q.mul(m, 0.9), q.mul(g, 0.1));
    const kernels = kernelsOf({
      outputs: {},
      assign: [
        [m, mean],
        [w, q.sub(w, q.mul(mean, q.scalar("rate")))],
      ],
    });
    expect(kernels.map(describeKernel)).toEqual(["loop"]);
    expect(
      buffersOf(kernels[0])
        .writes.map((buffer) => buffer.name)
        .sort(),
    ).toEqual(["m", "w"]);
  });

  it("accumulates gradients inside the products that compute them", () => {
    const w = q.variable("w", [24, 16]);
    const x = q.input("x", [40, 16]);
    const loss = q.sum(q.mul(q.linear(x, w), q.input("d", [40, 24])));
    const sum = q.variable("sum", [24, 16]);
    const kernels = kernelsOf({ outputs: {}, assign: [[sum, q.add(sum, q.gradients(loss, [w])[0])]] });
    expect(kernels.map(describeKernel)).toEqual(["matmul"]);
    expect(kernels[0].kind === "template" && kernels[0].accumulate).toEqual([true]);
  });

  it("computes an expression once if it is traced twice", () => {
    const x = q.input("x", [8, 8]);
    const w = q.variable("w", [8, 8]);
    const y = q.add(q.linear(x, w), q.linear(x, w));
    expect(kernelsOf({ outputs: { y } }).map(describeKernel)).toEqual(["matmul+epilogue"]);
  });
});

describe("memory plan", () => {
  it("never overlaps live buffers, and reuses the memory of dead ones", () => {
    let x = q.input("x", [128, 64]);
    for (let layer = 0; layer < 6; layer++) {
      const w = q.variable(`w${layer}`, [64, 64]);
      x = q.add(x, q.linear(q.rmsNorm(x, q.variable(`n${layer}`, [64]), 1e-5), w));
    }
    const graph = compileGraph({ main: { outputs: { y: x } } });
    const kernels = graph.entries.get("main") ?? [];
    const lives = new Map<Buffer, { first: number; last: number }>();
    kernels.forEach((kernel, time) => {
      const { reads, writes } = buffersOf(kernel);
      for (const buffer of [...reads, ...writes]) {
        if (buffer.kind === "variable") continue; // variables have separate memory
        lives.set(buffer, { first: lives.get(buffer)?.first ?? time, last: time });
      }
    });
    const placed = [...lives].map(([buffer, life]) => {
      const start = graph.memory.offsets.get(buffer) as number;
      const always = buffer.kind !== "temporary";
      return { start, end: start + 4 * buffer.size, ...(always ? { first: 0, last: kernels.length } : life) };
    });
    placed.forEach((a, i) => {
      for (const b of placed.slice(i + 1)) {
        const together = a.first <= b.last && b.first <= a.last;
        if (together) expect(a.end <= b.start || b.end <= a.start).toBe(true);
      }
    });
    const temporaries = [...lives.keys()].filter((buffer) => buffer.kind === "temporary");
    const sum = temporaries.reduce((total, buffer) => total + 4 * buffer.size, 0);
    const named = [...graph.named.values()]
      .filter(({ kind }) => kind !== "variable")
      .reduce((total, buffer) => total + Math.ceil(buffer.size / 16) * 64, 0);
    expect(graph.memory.bytes - named).toBeLessThan(sum);
    expect(graph.memory.variables.map(({ name }) => name)).toHaveLength(12);
    expect(graph.memory.stateBytes).toBe(4 * 6 * (64 * 64 + 64));
  });

  it("respects a target's alignment and largest binding, or throws", () => {
    const x = q.input("x", [16, 20]);
    let y = x;
    for (let i = 0; i < 5; i++) y = q.mul(q.linear(y, q.variable(`w${i}`, [20, 20])), q.sum(y, [0]));
    const entries = { main: { outputs: { y, z: q.sum(y) } } };
    const limits = { alignment: 256, maxBindingBytes: 2048 };
    const block = 2048;
    const { memory } = compileGraph(entries, { limits });
    expect(memory.offsets.size).toBeGreaterThan(5);
    for (const [buffer, start] of memory.offsets) {
      expect(start % limits.alignment).toBe(0);
      expect(Math.floor((start + 4 * buffer.size - 1) / block)).toBe(Math.floor(start / block));
    }
    // The same plan without a limit places at least one of them across a boundary.
    const { memory: free } = compileGraph(entries, {
      limits: { ...limits, maxBindingBytes: Number.POSITIVE_INFINITY },
    });
    expect(free.bytes).toBeLessThan(memory.bytes);
    const small = (maxBindingBytes: number) => () =>
      compileGraph(entries, { limits: { alignment: 256, maxBindingBytes } });
    expect(small(1500)).toThrow(
      /^"w\d" has 1600 bytes, but this device can bind at most 1500 at once; reduce the batch/,
    );
    const wide = { main: { outputs: { y: q.sum(q.softmax(q.linear(x, q.input("w", [60, 20])))) } } };
    expect(() => compileGraph(wide, { limits: { alignment: 256, maxBindingBytes: 3000 } })).toThrow(
      /has \d+ bytes, but this device can bind at most 3000 at once/,
    );
  });
});

describe("gradients", () => {
  it("throws for operations without a gradient", () => {
    const x = q.variable("x", [2, 3]);
    expect(() => q.gradients(x, [x])).toThrow("the loss has shape (2,3)");
    const attended = q.attention(
      q.variable("q", [1, 2, 1, 4]),
      q.variable("k", [1, 2, 1, 4]),
      q.variable("v", [1, 2, 1, 4]),
      {
        position: q.scalar("position", "i32"),
      },
    );
    expect(() => q.gradients(q.sum(attended), [x, q.variable("q", [1, 2, 1, 4])])).not.toThrow();
  });

  it("are zero for variables that the loss does not depend on, and stop at stopGradient", () => {
    const x = q.variable("x", [2, 3]);
    const other = q.variable("other", [4]);
    const [dx, dOther] = q.gradients(q.sum(q.stopGradient(x)), [x, other]);
    for (const [d, shape] of [
      [dx, [2, 3]],
      [dOther, [4]],
    ] as const) {
      expect(d.shape).toEqual(shape);
      expect(d.node.op).toBe("broadcast");
    }
  });
});

describe("shapes", () => {
  it("are checked during tracing; errors name the operation and its inputs", () => {
    const a = q.variable("a", [2, 3]);
    expect(() => q.matmul(a, a)).toThrow("matmul(f32 (2,3), f32 (2,3)): inner dimensions 3 and 2 differ");
    expect(() => q.add(a, q.variable("b", [4]))).toThrow("add(f32 (2,3), f32 (4)): the shapes do not broadcast");
    expect(() => q.reshape(a, [5])).toThrow("does not fill (5)");
    expect(() => q.embedding(a, a)).toThrow("needs a table (V,C) and i32 ids");
  });
});

describe("explain", () => {
  const x = q.input("x", [64, 48]);
  const y = q.add(x, q.linear(q.rmsNorm(x, q.variable("n", [48]), 1e-5), q.variable("w", [48, 48])));
  const explanation = explain({ main: { outputs: { y } } });
  const [main] = explanation.entries;

  it("counts the operations of a product, and those that fusion adds to its epilogue", () => {
    const product = main.kernels.find((kernel) => kernel.what.startsWith("matmul"));
    expect(product?.what).toBe("matmul 64×48×48 + add");
    expect(product?.flops).toBe(2 * 64 * 48 * 48 + 64 * 48);
  });

  it("reports which products round their operands to bf16", () => {
    const [inBf16] = explain({ main: { outputs: { y } } }, "bf16").entries;
    expect(inBf16.kernels.map(({ what }) => what).sort()).toEqual([
      expect.stringMatching(/^loop/),
      "matmul 64×48×48 in bf16 + add",
    ]);
    expect(inBf16.fused).toEqual({ ...main.fused, bf16Flops: 2 * 64 * 48 * 48 });
    expect(main.fused.bf16Flops).toBe(0);
  });

  it("reports launches, bytes and memory saved by fusion", () => {
    expect(main.fused.launches).toBe(2);
    // x, n in and the norm out; norm, w and x in and y out
    expect(main.fused.bytes).toBe(4 * (2 * 64 * 48 + 48 + 3 * 64 * 48 + 48 * 48));
    expect(main.unfused.launches).toBeGreaterThan(6);
    expect(main.unfused.bytes).toBeGreaterThan(2 * main.fused.bytes);
    expect(explanation.unfusedArenaBytes).toBeGreaterThan(explanation.arenaBytes);
  });
});
