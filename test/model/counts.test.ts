import { describe, expect, it } from "vitest";
import { type Buffer, buffersOf, compileGraph, explain, type Kernel } from "../../src/compiler/index.js";
import {
  activationBytes,
  countParameters,
  defineModel,
  type ModelConfig,
  modelVariables,
  tokenLosses,
  trainingFlopsPerToken,
} from "../../src/model/index.js";
import { add, gradients, input, mean, variable } from "../../src/tensor/index.js";
import { ADAMW_DEFAULTS, adamw } from "../../src/train/optimizer/adamw.js";

const sizes = { layers: 3, width: 48, heads: 6, hidden: 104, vocabSize: 211, sequence: 10 };
const rotary = { headWidth: 10, keyValueHeads: 2 };
const MODELS: Readonly<Record<string, ModelConfig>> = {
  gpt2: defineModel({ family: "gpt2", ...sizes }),
  "gpt2, free head": defineModel({ family: "gpt2", ...sizes, tiedHead: false }),
  llama: defineModel({ ...sizes, ...rotary }),
  "llama, biases": defineModel({ ...sizes, ...rotary, attentionBias: true, feedForwardBias: true }),
  qwen3: defineModel({ family: "qwen3", ...sizes, ...rotary, tiedHead: false }),
};
const [B, T] = [2, 10];

/** The two programs of a training step. */
function entriesOf(config: ModelConfig) {
  const weights = modelVariables(config);
  const loss = mean(tokenLosses(config, weights, input("ids", [B, T], "i32"), input("targets", [B, T], "i32")));
  const found = gradients(loss, [...weights.values()]);
  const steps = [...weights].map(([name, weight]) => {
    return { name, variable: weight, gradient: variable(`gradient.${name}`, weight.shape) };
  });
  const { assign } = adamw(steps, ADAMW_DEFAULTS);
  return {
    accumulate: { outputs: { loss }, assign: steps.map((s, i) => [s.gradient, add(s.gradient, found[i])] as const) },
    update: { outputs: {}, assign },
  };
}

/** Bytes of temporaries that are written before the kernel at `time` and read after it. */
function bytesAcross(kernels: readonly Kernel[], time: number): number {
  const lives = new Map<Buffer, { first: number; last: number }>();
  kernels.forEach((kernel, now) => {
    const { reads, writes } = buffersOf(kernel);
    for (const buffer of [...writes, ...reads]) {
      const life = lives.get(buffer) ?? { first: now, last: now };
      lives.set(buffer, { ...life, last: now });
    }
  });
  return [...lives].reduce((total, [buffer, { first, last }]) => {
    return buffer.kind === "temporary" && first < time && time < last ? total + 4 * buffer.size : total;
  }, 0);
}

describe.each(Object.entries(MODELS))("%s", (_, config) => {
  const entries = entriesOf(config);

  it("needs 16 bytes per parameter, and the activation bytes of the formula", () => {
    const { entries: compiled, memory } = compileGraph(entries);
    expect(memory.stateBytes).toBe(16 * countParameters(config));
    const kernels = compiled.get("accumulate") as readonly Kernel[];
    const turningPoint = kernels.findIndex((k) => k.kind === "template" && k.node.op === "linearCrossEntropyGradient");
    expect(bytesAcross(kernels, turningPoint)).toBe(activationBytes(config, B, T));
  });

  it("computes the FLOPs of the formula", () => {
    const { kernels } = explain({ accumulate: entries.accumulate }).entries[0];
    // The formula does not count operations fused into a kernel.
    const flopsOf = (op: RegExp) => kernels.reduce((total, k) => total + (op.test(k.what) ? k.flops : 0), 0);
    const { layers: L, heads: H, headWidth: D } = config;
    const attention = 6 * L * T * H * D;
    const products = flopsOf(/^(matmul|linearCrossEntropyGradient) [^+]*$/);
    const fused = kernels.filter(({ what }) => /^matmul .*\+/.test(what));
    const own = fused.reduce((total, { what, launches }) => {
      const [M, N, K] = (/(\d+)×(\d+)×(\d+)/.exec(what) as RegExpExecArray).slice(1).map(Number);
      return total + launches * 2 * M * N * K;
    }, 0);
    expect(products + own).toBe(B * T * (trainingFlopsPerToken(config, T) - attention));
    // Forward is a third. The formula ignores that a token attends to itself and that the backward pass recomputes.
    expect(flopsOf(/^attention /) / (T + 1)).toBe((B * T * (attention / 3)) / T);
  });
});
