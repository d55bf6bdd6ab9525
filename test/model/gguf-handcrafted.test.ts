/**
 * The 28 kinds of files that llama.cpp's test-gguf makes, 22 of them malformed. Each of those gives one sentence that names
 * the cause. The files are made here, with all value types and many tensor types.
 */
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TENSOR_TYPES } from "../../src/model/gguf/blocks.js";
import { openGguf, openModel } from "../../src/model/index.js";
import { type Entry, type GgufOptions, ggufBytes, type TensorToStore, u32, u64 } from "./gguf-writer.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-gguf-"));
});
afterAll(() => rm(folder, { recursive: true }));

const ENTRIES: readonly Entry[] = [
  ["my_key_0", "u8", 200],
  ["my_key_1", "i16", -5],
  ["my_key_2", "f32", [0.5, -1]],
  ["my_key_3", "string", "text"],
  ["my_key_4", "string", ["a", "", "bc"]],
  ["my_key_5", "bool", 1],
  ["my_key_6", "u64", 2n ** 63n],
  ["my_key_7", "f64", []],
];
const MOST = 2n ** 64n - 1n;
const alignmentOf = (bytes: number): Entry => ["general.alignment", "u32", bytes];

/** One tensor per type, of two rows; without data unless it is `stored`. */
function tensorsOf(alignment: number, { stored }: { stored: boolean }): (TensorToStore & { offset: number })[] {
  let offset = 0;
  return [...TENSOR_TYPES].map(([type, { block, bytes }], i) => {
    const size = 2 * 3 * bytes;
    const tensor = { name: `my_tensor_${i}`, dimensions: [3 * block, 2], type, offset };
    offset += Math.ceil(size / alignment) * alignment;
    return stored ? { ...tensor, data: new Uint8Array(size).fill(i) } : tensor;
  });
}
const header = (change?: (tensor: TensorToStore & { offset: number }, i: number) => TensorToStore): GgufOptions => {
  const tensors = tensorsOf(32, { stored: false });
  return { metadata: ENTRIES, tensors: change === undefined ? tensors : tensors.map(change) };
};

/** A file by llama.cpp's name, and the cause that the sentence names; null for a file that is well formed. */
const KINDS: [string, GgufOptions | Uint8Array, RegExp | null][] = [
  ["HEADER_BAD_MAGIC", { magic: "FUGG" }, /it starts with "FUGG" instead of "GGUF"/],
  ["HEADER_BAD_VERSION_0", { version: 0 }, /is GGUF version 0; Quern reads versions 2 and 3/],
  ["HEADER_BAD_VERSION_1", { version: 1 }, /is GGUF version 1; Quern reads versions 2 and 3/],
  ["HEADER_BAD_VERSION_FUTURE", { version: 4 }, /is GGUF version 4; Quern reads versions 2 and 3/],
  ["HEADER_BAD_N_TENSORS", { tensorCount: MOST }, /claims \d+ tensors, more than its \d+ bytes can contain/],
  ["HEADER_BAD_N_KV", { entryCount: MOST }, /claims \d+ metadata entries, more than its \d+ bytes can contain/],
  ["HEADER_EMPTY", {}, null],
  [
    "KV_BAD_KEY_SIZE",
    Buffer.concat([ggufBytes({ entryCount: 8n }), u64(MOST), Buffer.from("my_key_0"), u32(0), Buffer.alloc(200)]),
    /the key of metadata entry 0 claims \d+ bytes; at most 65535/,
  ],
  ["KV_BAD_TYPE", { metadata: [["my_key_0", 13, u64(1)]] }, /the value of my_key_0 has the unknown type 13/],
  ["KV_DUPLICATE_KEY", { metadata: [...ENTRIES, ENTRIES[2]] }, /its metadata has the key my_key_2 twice/],
  ["KV_BAD_ALIGN", { metadata: [...ENTRIES, alignmentOf(13)] }, /its general\.alignment is 13, not a power of two/],
  ["KV_SUCCESS", { metadata: ENTRIES }, null],
  [
    "TENSORS_BAD_NAME_SIZE",
    header((tensor) => ({ ...tensor, name: `${tensor.name}_${"long".repeat(20)}` })),
    /the name of tensor 0 claims 92 bytes; at most 64/,
  ],
  [
    "TENSORS_BAD_N_DIMS",
    header((tensor) => ({ ...tensor, dimensions: [...tensor.dimensions, 1, 1, 1] })),
    /tensor my_tensor_0 has 5 dimensions; at most 4/,
  ],
  [
    "TENSORS_BAD_SHAPE",
    header((tensor) => ({ ...tensor, dimensions: [MOST, MOST] })),
    /tensor my_tensor_0 has the impossible shape/,
  ],
  [
    "TENSORS_NE_TOO_BIG",
    header((tensor) => ({ ...tensor, dimensions: [4n * (2n ** 31n - 1n), 4n * (2n ** 31n - 1n)] })),
    /tensor my_tensor_0 has the impossible shape \(8589934588,8589934588\)/,
  ],
  ["TENSORS_BAD_TYPE", header((tensor) => ({ ...tensor, type: 1000 })), /tensor my_tensor_0 has the unknown type 1000/],
  [
    "TENSORS_BAD_OFFSET",
    header((tensor) => ({ ...tensor, offset: MOST })),
    /tensor my_tensor_0 ends at byte \d+, but the file has \d+ bytes/,
  ],
  ["TENSORS_DUPLICATE_NAME", header((tensor) => ({ ...tensor, name: "my_tensor" })), /it has tensor my_tensor twice/],
  [
    "TENSORS_BAD_ALIGN",
    { ...header(), metadata: [...ENTRIES, alignmentOf(13)] },
    /its general\.alignment is 13, not a power of two/,
  ],
  [
    "TENSORS_INCONSISTENT_ALIGN",
    { metadata: ENTRIES, tensors: tensorsOf(1, { stored: false }) },
    /tensor my_tensor_\d+ is not aligned to 32 bytes/,
  ],
  // llama.cpp accepts a file without its data if only the header is of interest; a model without its weights is cut short.
  ["TENSORS_SUCCESS", header(), /tensor my_tensor_0 ends at byte \d+, but the file has \d+ bytes; it may be cut short/],
  [
    "TENSORS_CUSTOM_ALIGN",
    { metadata: [...ENTRIES, alignmentOf(1)], tensors: tensorsOf(1, { stored: false }), alignment: 1 },
    /tensor my_tensor_0 ends at byte \d+, but the file has \d+ bytes; it may be cut short/,
  ],
  [
    "DATA_NOT_ENOUGH_DATA",
    ggufBytes({
      metadata: [...ENTRIES, alignmentOf(1)],
      tensors: tensorsOf(1, { stored: true }),
      alignment: 1,
    }).subarray(0, -1),
    /tensor my_tensor_\d+ ends at byte \d+, but the file has \d+ bytes; it may be cut short/,
  ],
  [
    "DATA_BAD_ALIGN",
    { metadata: [...ENTRIES, alignmentOf(13)], tensors: tensorsOf(13, { stored: true }), alignment: 13 },
    /its general\.alignment is 13, not a power of two/,
  ],
  [
    "DATA_INCONSISTENT_ALIGN",
    { metadata: ENTRIES, tensors: tensorsOf(1, { stored: true }) },
    /tensor my_tensor_\d+ is not aligned to 32 bytes/,
  ],
  ["DATA_SUCCESS", { metadata: ENTRIES, tensors: tensorsOf(32, { stored: true }) }, null],
  [
    "DATA_CUSTOM_ALIGN",
    { metadata: [...ENTRIES, alignmentOf(1)], tensors: tensorsOf(1, { stored: true }), alignment: 1 },
    null,
  ],
];

describe("llama.cpp's handcrafted files", () => {
  it("are 28", () => expect(new Set(KINDS.map(([kind]) => kind)).size).toBe(28));

  it.each(KINDS)("%s", async (kind, options, message) => {
    const path = join(folder, `${kind}.gguf`);
    writeFileSync(path, options instanceof Uint8Array ? options : ggufBytes(options));
    const refused = openModel(path).catch((error: Error) => error);
    expect(await refused).toMatchObject({ name: "QuernError", message: /^[^\n]{30,400}$/ });
    if (message !== null) {
      await expect(openGguf(path)).rejects.toThrow(message);
      return;
    }
    // A well-formed file without a model.
    expect(await refused).toMatchObject({ message: /has no general\.architecture/ });
    const file = await openGguf(path);
    const made = (options as GgufOptions).tensors ?? [];
    expect([...file.tensors.keys()]).toEqual(made.map(({ name }) => name));
    for (const { name, data } of made) {
      const { begin, end } = file.tensors.get(name)!;
      expect(await file.readBytes(begin, end)).toEqual(data);
    }
    expect(file.metadata.size).toBe((options as GgufOptions).metadata?.length ?? 0);
    await file.close();
  });
});
