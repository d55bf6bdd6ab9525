import { describe, expect, it } from "vitest";
import { defineModel, initialValues, parametersOf, randomStream } from "../../src/model/index.js";
import { philox } from "../../src/tensor/index.js";

const hex = (words: Uint32Array) => Array.from(words, (word) => word.toString(16).padStart(8, "0")).join(" ");

describe("Philox 4×32-10", () => {
  // Known-answer vectors of the authors' library, Random123 (kat_vectors).
  it.each([
    [[0, 0, 0, 0, 0, 0], "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], "408f276d 41c83b0e a20bc7c6 6d5451fd"],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0], "d16cfe09 94fdcceb 5001e420 24126ea1"],
  ])("matches the known answer for %j", (words, answer) => {
    const out = new Uint32Array(4);
    const [c0, c1, c2, c3, k0, k1] = words;
    philox(c0, c1, c2, c3, k0, k1, out);
    expect(hex(out)).toBe(answer);
  });
});

describe("randomStream", () => {
  it("depends on the seed and the name", () => {
    const draw = (seed: number, name: string) => hex(randomStream(seed, name).block(3));
    expect(draw(1, "a")).toBe(draw(1, "a"));
    expect(new Set([draw(1, "a"), draw(2, "a"), draw(1, "b"), draw(2 ** 32 + 1, "a")]).size).toBe(4);
  });

  it("draws normal numbers with the given deviation", () => {
    const values = new Float32Array(100_001);
    randomStream(5, "normal").fillNormal(values, 0.02);
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const moment = (power: number) => values.reduce((a, b) => a + ((b - mean) / 0.02) ** power, 0) / values.length;
    expect(Math.abs(mean / 0.02)).toBeLessThan(0.015);
    expect(moment(2)).toBeCloseTo(1, 1);
    expect(moment(3)).toBeCloseTo(0, 1);
    expect(moment(4) / 3).toBeCloseTo(1, 1);
  });
});

describe("initialValues", () => {
  it("are ones for norms, and smaller for projections into the residual stream", () => {
    const config = defineModel({ layers: 8, width: 64, heads: 2, vocabSize: 300, sequence: 32 });
    const deviation = (name: string) => {
      const parameter = parametersOf(config).find((each) => each.name === `${name}.weight`);
      const values = initialValues(parameter as NonNullable<typeof parameter>, 1);
      return Math.sqrt(values.reduce((a, b) => a + b * b, 0) / values.length);
    };
    expect(deviation("model.norm")).toBe(1);
    expect(deviation("model.layers.3.self_attn.q_proj")).toBeCloseTo(0.02, 3);
    expect(deviation("model.layers.3.self_attn.o_proj")).toBeCloseTo(0.005, 3);
    expect(deviation("model.layers.3.mlp.down_proj")).toBeCloseTo(0.005, 3);
  });
});
