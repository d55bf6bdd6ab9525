/** @file Benchmarks single kernels: the matrix products of a layer (including operand packing), and attention. */
import { compile } from "../../backends/index.js";
import { type ModelConfig, parametersOf, randomStream } from "../../model/index.js";
import {
  attention,
  type Entry,
  gradients,
  isOp,
  matmul,
  mul,
  nodesOf,
  type Shape,
  sum,
  variable,
} from "../../tensor/index.js";
import { median } from "../throughput.js";
import { type BenchFigures, figuresOf, peakMemory } from "./figures.js";
import { PRESETS } from "./presets.js";
import type { TrainingBenchOptions } from "./training.js";

export interface KernelBench extends BenchFigures {
  readonly preset: string;
  readonly batch: number;
  readonly sequence: number;
  /** One result per operation and size. */
  readonly kernels: readonly KernelSpeed[];
}

export interface KernelSpeed {
  readonly what: string;
  /** Runs per layer. */
  readonly times: number;
  /** Median time of one run. */
  readonly seconds: number;
  readonly gflops: number;
  /** Share of the measured peak. */
  readonly share: number;
}

/** A single operation as a program entry. */
interface Case {
  readonly what: string;
  readonly times: number;
  readonly flops: number;
  readonly entry: Entry;
}

const WARMUP = 3;

/** Benchmarks the matrix products of one layer, forward and backward, with batch · sequence rows. */
export function benchmarkProducts(options: TrainingBenchOptions): Promise<KernelBench> {
  return benchmark("gemm", options, (config, rows) => {
    const counts = new Map<string, number>();
    for (const { kind, shape } of parametersOf({ ...config, layers: 1 })) {
      if (kind === "projection") counts.set(shape.join("x"), (counts.get(shape.join("x")) ?? 0) + 1);
    }
    return [...counts].flatMap(([key, times]) => {
      const [N, K] = key.split("x").map(Number);
      return [
        product("y = x·wᵀ", rows, N, K, false, true, times),
        product("dx = dy·w", rows, K, N, false, false, times),
        product("dw = dyᵀ·x", N, K, rows, true, false, times),
      ];
    });
  });
}

/** Benchmarks causal attention of one layer: forward alone, and forward with backward. */
export function benchmarkAttention(options: TrainingBenchOptions): Promise<KernelBench> {
  return benchmark("attention", options, (config, rows, sequence): Case[] => {
    const { heads: H, keyValueHeads: G, headWidth: D } = config;
    const [B, T] = [rows / sequence, sequence];
    const [q, k, v] = [variable("q", [B, T, H, D]), variable("k", [B, T, G, D]), variable("v", [B, T, G, D])];
    const dOut = variable("d_out", q.shape); // (B, T, H, D)
    const out = attention(q, k, v);
    const [dq, dk, dv] = gradients(sum(mul(out, dOut)), [q, k, v]);
    // Half of all pairs of tokens: 4 FLOPs per pair and lane forward, 10 backward.
    const pairs = (B * H * T * T) / 2;
    const size = `${B}×${T}, ${H} heads of ${D}${G === H ? "" : `, ${G} for keys`}`;
    return [
      { what: `forward ${size}`, times: 0, flops: 4 * pairs * D, entry: { outputs: { out } } },
      {
        what: `forward and backward ${size}`,
        times: 1,
        flops: 14 * pairs * D,
        entry: { outputs: { out, dq, dk, dv } },
      },
    ];
  });
}

function product(
  what: string,
  M: number,
  N: number,
  K: number,
  transposeA: boolean,
  transposeB: boolean,
  times: number,
): Case {
  const name = (of: string) => `${of} of ${what} ${M} ${N} ${K}`;
  // op(a) (M,K) · op(b) (K,N) → (M,N)
  const a = variable(name("a"), transposeA ? [K, M] : [M, K]);
  const b = variable(name("b"), transposeB ? [N, K] : [K, N]);
  const entry: Entry = {
    outputs: {},
    assign: [[variable(name("c"), [M, N]), matmul(a, b, { transposeA, transposeB })]],
  };
  return { what: `${what}, ${M} × ${N} × ${K}`, times, flops: 2 * M * N * K, entry };
}

async function benchmark(
  bench: string,
  {
    preset,
    batch = PRESETS[preset].batch,
    sequence,
    dtype,
    threads,
    steps = 10,
    signal,
    onProgress,
  }: TrainingBenchOptions,
  casesOf: (config: ModelConfig, rows: number, sequence: number) => readonly Case[],
): Promise<KernelBench> {
  const cases = casesOf(PRESETS[preset].model(sequence), batch * sequence, sequence);
  const timed: { readonly one: Case; readonly seconds: number }[] = [];
  const program = await compile(Object.fromEntries(cases.map(({ entry }, i) => [`case ${i}`, entry])), {
    dtype,
    cpu: { threads },
  });
  const { plan } = program;
  try {
    for (const [name, shape] of variablesOf(cases)) {
      const values = new Float32Array(shape.reduce((a, b) => a * b));
      randomStream(1, name).fillNormal(values, 1);
      program.write(name, values);
    }
    for (const [i, one] of cases.entries()) {
      const seconds: number[] = [];
      for (let round = -WARMUP; round < steps; round++) {
        signal?.throwIfAborted();
        const start = performance.now();
        await program.run(`case ${i}`);
        if (round >= 0) seconds.push((performance.now() - start) / 1000);
      }
      timed.push({ one, seconds: median(seconds) });
      onProgress?.({ task: bench, done: timed.length, total: cases.length, unit: "kernel" });
    }
  } finally {
    program.dispose();
  }
  const given = { dtype, threads: plan.threads, target: plan.target, memory: peakMemory() };
  const layer = (f: (each: (typeof timed)[number]) => number) =>
    timed.reduce((total, each) => total + each.one.times * f(each), 0);
  const seconds = layer((each) => each.seconds);
  const rate = {
    tokensPerSecond: (batch * sequence) / seconds,
    gflops: layer(({ one }) => one.flops) / seconds / 1e9,
  };
  const figures = await figuresOf(bench, given, rate, signal);
  return {
    ...figures,
    preset,
    batch,
    sequence,
    kernels: timed.map(({ one: { what, times, flops }, seconds }) => {
      const gflops = flops / seconds / 1e9;
      return { what, times, seconds, gflops, share: gflops / figures.peak_gflops };
    }),
  };
}

/** Returns the names and shapes of the entries' variables. */
function variablesOf(cases: readonly Case[]): Map<string, Shape> {
  const found = new Map<string, Shape>();
  for (const { entry } of cases) {
    for (const node of nodesOf(entry)) {
      if (isOp(node, "variable")) found.set(node.attributes.name, node.attributes.type.shape);
    }
  }
  return found;
}
