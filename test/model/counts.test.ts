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

/** A step in two programs, as training takes it. */
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

/** Bytes of temporaries that are made before the kernel at `time` and read after it. */
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

  it("takes 16 bytes a parameter, and as many bytes of activations as the formula says", () => {
    const { entries: compiled, memory } = compileGraph(entries);
    expect(memory.stateBytes).toBe(16 * countParameters(config));
    const kernels = compiled.get("accumulate") as readonly Kernel[];
    const turn = kernels.findIndex((k) => k.kind === "template" && k.node.op === "linearCrossEntropyGradient");
    expect(bytesAcross(kernels, turn)).toBe(activationBytes(config, B, T));
  });

  it("does the floating-point operations of the formula", () => {
    const { kernels } = explain({ accumulate: entries.accumulate }).entries[0];
    // What a kernel does to its result on the way is not counted by the formula.
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
    // Forward is a third of it; the formula leaves out that a token sees itself, and that the backward pass computes twice.
    expect(flopsOf(/^attention /) / (T + 1)).toBe((B * T * (attention / 3)) / T);
  });
});
