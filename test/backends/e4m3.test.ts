/** @file Conversions to and from e4m3 against ml_dtypes, and backends that have no products in it. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compile } from "../../src/backends/index.js";
import * as q from "../../src/tensor/index.js";

const table = JSON.parse(readFileSync(new URL("../oracle/fixtures/e4m3.json", import.meta.url), "utf8"));
const floats = new Float32Array(Uint32Array.from(table.floats).buffer);

describe("e4m3", () => {
  it("has ml_dtypes' value for each of the 256 bytes", () => {
    const values = Array.from({ length: 256 }, (_, bits) => q.e4m3ToFloat(bits));
    expect(values.map((x) => (Number.isNaN(x) ? null : x))).toEqual(table.values);
  });

  it("rounds as ml_dtypes does, between and on all neighbours, and saturates", () => {
    const isTooLarge = (x: number) => Math.abs(x) > 464;
    floats.forEach((x, i) => {
      if (!isTooLarge(x)) expect(q.floatToE4m3(x), String(x)).toBe(table.bytes[i]);
    });
    expect([1e9, Number.POSITIVE_INFINITY, -500, Number.NaN].map(q.floatToE4m3)).toEqual([0x7e, 0x7e, 0xfe, 0x7f]);
  });

  it("scales the largest element to between 224 and 448", () => {
    for (const largest of [1e-30, 0.7, 1.75, 1.7500001, 448, 449, 3e38]) {
      expect(largest * q.e4m3Scale(largest)).toBeLessThanOrEqual(448);
      expect(largest * q.e4m3Scale(largest)).toBeGreaterThan(224);
    }
    expect([q.e4m3Scale(0), q.e4m3Scale(Number.POSITIVE_INFINITY)]).toEqual([1, Number.NaN]);
  });

  it.each(["cpu", "webgpu"] as const)("is refused on %s in one sentence", async (backend) => {
    const entries = { main: { outputs: { y: q.linear(q.input("x", [16, 16]), q.variable("w", [16, 16])) } } };
    await expect(compile(entries, { backend, dtype: "fp8" })).rejects.toThrow(
      `the ${backend} backend has no products in fp8; use --backend cuda or --dtype bf16`,
    );
  });
});
