/** Compares quantised bytes with ggml's (test/oracle/gguf_quantised.mjs), and tests wrong calls. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { TENSOR_TYPES } from "../../src/model/gguf/blocks.js";
import { quantiseRows, WRITABLE_TYPES } from "../../src/model/gguf/quantise.js";

const fixture = new URL("../oracle/fixtures/gguf/quantised.json.gz", import.meta.url);
const { columns, kinds } = JSON.parse(gunzipSync(readFileSync(fixture)).toString()) as {
  columns: number;
  kinds: Record<string, { values: string; hashes: Record<string, string> }>;
};
const valuesOf = (kind: string) => new Float32Array(new Uint8Array(Buffer.from(kinds[kind].values, "base64")).buffer);
const ORACLE_TYPES = WRITABLE_TYPES.filter((type) => type !== "F32");

describe.each(ORACLE_TYPES)("rows quantised to %s", (type) => {
  it.each(Object.keys(kinds))("have ggml's bytes: %s", (kind) => {
    const stored = quantiseRows(valuesOf(kind), columns, type);
    expect(createHash("sha256").update(stored).digest("hex")).toBe(kinds[kind].hashes[type]);
  });

  it("decode to close values", () => {
    const values = valuesOf("normal");
    const decoded = new Float32Array(values.length);
    const stored = quantiseRows(values, columns, type);
    [...TENSOR_TYPES.values()].find(({ name }) => name === type)?.decode?.(stored, decoded);
    const error = Math.sqrt(values.reduce((sum, value, i) => sum + (value - decoded[i]) ** 2, 0) / values.length);
    expect(error).toBeLessThan(type.includes("4") ? 0.12 : 0.06);
    expect(error).toBeGreaterThan(0);
  });
});

describe("quantiseRows", () => {
  it("stores F32 unchanged", () => {
    const values = new Float32Array([1, -0, 1e-42, 3e38]);
    expect(quantiseRows(values, 2, "F32")).toEqual(new Uint8Array(values.buffer));
  });

  it.each<[string, Float32Array, number, (typeof WRITABLE_TYPES)[number], RegExp]>([
    ["rows that are not whole blocks", new Float32Array(96), 48, "Q4_0", /blocks of 32 values.*rows of 48/],
    ["rows that are not whole super-blocks", new Float32Array(64), 64, "Q4_K", /blocks of 256 values.*rows of 64/],
    ["values that are not whole rows", new Float32Array(96), 64, "Q8_0", /96 values are not whole rows of 64/],
    ["rows of 0 values", new Float32Array(0), 0, "F16", /not whole rows of 0/],
    ["NaN", new Float32Array(32).fill(Number.NaN, 3, 4), 32, "Q8_0", /value 3 is NaN/],
    ["infinity", new Float32Array(32).fill(Number.NEGATIVE_INFINITY, 31), 32, "BF16", /value 31 is -Infinity/],
    ["values too large for F16", new Float32Array([1, 65520]), 2, "F16", /65520 is too large for F16/],
    ["values too large for BF16", new Float32Array([3.4e38, 1]), 2, "BF16", /too large for BF16/],
    ["values too large for a block's scale", new Float32Array(256).fill(1e9), 256, "Q6_K", /needs the scale/],
  ])("refuses %s", (_, values, rowLength, type, message) => {
    expect(() => quantiseRows(values, rowLength, type)).toThrow(
      expect.objectContaining({ name: "QuernError", message: expect.stringMatching(message) }),
    );
  });
});
