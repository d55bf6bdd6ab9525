import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSafetensors, writeSafetensors } from "../../src/model/index.js";
import { fixturePath } from "./model-fixtures.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-safetensors-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Writes a file from a header, as an object or raw text, and `dataBytes` bytes of data. */
async function craft(header: unknown, dataBytes: number, claimedLength?: bigint): Promise<string> {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(claimedLength ?? BigInt(json.length));
  const path = join(folder, "crafted.safetensors");
  await writeFile(path, Buffer.concat([prefix, json, Buffer.alloc(dataBytes)]));
  return path;
}

const f32 = (shape: readonly number[], begin: number, end: number) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});

describe("reading", () => {
  it("reads a file of the Python library", async () => {
    const file = await openSafetensors(fixturePath("llama-grouped-tied"));
    expect(file.metadata.made_by).toContain("llama_fixture.py");
    expect(file.tensors.get("parameter.model.embed_tokens.weight")?.shape).toEqual([83, 32]);
    expect((await file.readFloats("learning_rates"))[4]).toBe(Math.fround(0.01));
    expect(Math.max(...(await file.readIntegers("batches")))).toBeLessThan(83);
    await file.close();
  });

  it.each([
    ["a header that is not JSON", "{nonsense", 0, /not JSON/],
    ["a header that is not an object", "[1, 2]  ", 0, /not a JSON object/],
    [
      "a duplicate key",
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
      1,
      /key a twice/,
    ],
    ["a duplicate field", '{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}', 1, /key shape twice/],
    ["a numeric type", { a: { dtype: 31, shape: [1], data_offsets: [0, 4] } }, 4, /invalid element type 31/],
    ["a type from the prototype", { a: { dtype: "toString", shape: [1], data_offsets: [0, 4] } }, 4, /element type/],
    ["an unknown field", { a: { ...f32([1], 0, 4), more: 1 } }, 4, /unknown field more/],
    ["a negative dimension", { a: f32([-1], 0, 4) }, 4, /no valid shape/],
    ["a dimension and its negative", { a: f32([-1, -1], 0, 4) }, 4, /no valid shape/],
    ["half a byte", { a: { dtype: "F4", shape: [3], data_offsets: [0, 1] } }, 1, /needs 1.5/],
    ["deep nesting", `{"a":${"[".repeat(50_000)}${"]".repeat(50_000)}}`, 0, /nests more than/],
    ["a name with control characters", { "\u001b[31m\u202ea": f32([-1], 0, 4) }, 4, /tensor \\x1b\[31m\\u202ea has/],
    ["a huge shape", { a: f32([2 ** 40, 2 ** 40], 0, 4) }, 4, /needs/],
    ["a fractional dimension", { a: f32([0.5], 0, 4) }, 4, /no valid shape/],
    ["a length that does not match the shape", { a: f32([2], 0, 4) }, 4, /4 bytes, but its shape/],
    ["reversed offsets", { a: f32([1], 4, 0) }, 4, /data_offsets/],
    ["offsets past the end", { a: f32([2], 0, 8) }, 4, /cut short/],
    ["bytes after the last tensor", { a: f32([1], 0, 4) }, 8, /belongs to no tensor/],
    ["an overlap", { a: f32([2], 0, 8), b: f32([2], 4, 12) }, 12, /overlaps/],
    ["a gap", { a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12, /gap/],
    ["metadata that is not text", { __metadata__: { a: 1 } }, 0, /not a string/],
  ])("refuses %s", async (_, header, dataBytes, message) => {
    const path = await craft(header, dataBytes);
    await expect(openSafetensors(path)).rejects.toThrow(message);
    await expect(openSafetensors(path)).rejects.toMatchObject({ name: "QuernError", exitCode: 1 });
  });

  it("refuses header lengths beyond the file", async () => {
    await expect(openSafetensors(await craft({}, 0, 1n << 62n))).rejects.toThrow(/claims a header/);
    await expect(openSafetensors(await craft({}, 0, 99n))).rejects.toThrow(/cut short/);
    const path = join(folder, "short.safetensors");
    await writeFile(path, "abc");
    await expect(openSafetensors(path)).rejects.toThrow(/3 bytes/);
    await expect(openSafetensors(join(folder, "none.safetensors"))).rejects.toMatchObject({ name: "QuernError" });
  });

  it("refuses every truncation of a valid file", async () => {
    const path = join(folder, "whole.safetensors");
    const data = () => Float32Array.of(1, 2, 3);
    await writeSafetensors(path, [{ name: "a", dtype: "F32", shape: [3], data }]);
    const bytes = await readFile(path);
    for (let length = 0; length < bytes.length; length++) {
      await writeFile(path, bytes.subarray(0, length));
      await expect(openSafetensors(path)).rejects.toMatchObject({ name: "QuernError" });
    }
  });
});

describe("writing", () => {
  it("survives a round trip, with empty tensors and scalars", async () => {
    const path = join(folder, "round.safetensors");
    await writeSafetensors(
      path,
      [
        { name: "matrix", dtype: "F32", shape: [2, 2], data: () => Float32Array.of(1, -0, Number.NaN, 1e-40) },
        { name: "ids", dtype: "I32", shape: [3], data: () => Int32Array.of(-1, 0, 2 ** 31 - 1) },
        { name: "none", dtype: "F32", shape: [0, 7], data: () => new Float32Array(0) },
        { name: "one", dtype: "F32", shape: [], data: async () => Float32Array.of(5) },
      ],
      { metadata: { step: "7" } },
    );
    const file = await openSafetensors(path);
    expect(file.metadata).toEqual({ format: "pt", step: "7" });
    expect(Array.from(await file.readFloats("matrix"))).toEqual([1, -0, Number.NaN, Math.fround(1e-40)]);
    expect(Array.from(await file.readIntegers("ids"))).toEqual([-1, 0, 2 ** 31 - 1]);
    expect((await file.readFloats("none")).length).toBe(0);
    expect((await file.readFloats("one"))[0]).toBe(5);
    await expect(file.readFloats("ids")).rejects.toThrow(/is I32/);
    await expect(file.readFloats("other")).rejects.toThrow(/no tensor other/);
    await file.close();
  });

  it("rounds to half precision and bfloat16 (nearest, ties to even), and reads them back", async () => {
    const path = join(folder, "narrow.safetensors");
    const values = Float32Array.of(
      1,
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      65504,
      65520,
      2 ** -24,
      2 ** -25,
      -(2 ** -14),
      1e-8,
      Number.NaN,
    );
    const wide = Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 3.4e38, -1e-40, Number.NEGATIVE_INFINITY, Number.NaN);
    await writeSafetensors(path, [
      { name: "half", dtype: "F16", shape: [values.length], data: () => values },
      { name: "brain", dtype: "BF16", shape: [wide.length], data: () => wide },
    ]);
    const file = await openSafetensors(path);
    const infinity = Number.POSITIVE_INFINITY;
    expect(Array.from(await file.readFloats("half"))).toEqual([
      1,
      1,
      1 + 2 ** -9,
      65504,
      infinity,
      2 ** -24,
      0,
      -(2 ** -14),
      0,
      Number.NaN,
    ]);
    expect(Array.from(await file.readFloats("brain"))).toEqual([
      1,
      1,
      1 + 2 ** -6,
      infinity,
      -(2 ** -133),
      -infinity,
      Number.NaN,
    ]);
    await file.close();
  });

  it("leaves no file behind if the data fails", async () => {
    const before = await readdir(folder);
    const data = () => Promise.reject(new Error("gone"));
    const path = join(folder, "failed.safetensors");
    await expect(writeSafetensors(path, [{ name: "a", dtype: "F32", shape: [1], data }])).rejects.toThrow("gone");
    expect(await readdir(folder)).toEqual(before);
  });
});
