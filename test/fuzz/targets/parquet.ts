/** @file Parquet files of pyarrow and polars: footers and page headers, changed and written again, and the pages' bytes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readDocuments } from "../../../src/documents/index.js";
import { readMetadata } from "../../../src/documents/parquet/metadata.js";
import { readParquetRows } from "../../../src/documents/parquet.js";
import { mutateBytes, set, several, splice } from "../mutations.js";
import type { Random } from "../random.js";
import { fixture } from "../seeds.js";
import type { Target } from "../target.js";
import { fieldOf, mutateStruct, readStruct, type Struct, type Value, writeStruct } from "../thrift.js";

const NAMES = ["plain", "snappy", "gzip-v2", "zstd", "lz4", "brotli", "deltas", "int96", "polars"];
const seeds = NAMES.map((name) => fixture(`oracle/fixtures/parquet/${name}.parquet`));

interface Parts {
  /** All before the footer. */
  body: Buffer;
  readonly footer: Struct;
}

function divide(file: Buffer): Parts {
  const length = file.readUInt32LE(file.length - 8);
  return { body: file.subarray(0, file.length - 8 - length), footer: readStruct(file, file.length - 8 - length).value };
}

function join8({ body, footer }: Parts): Buffer {
  const bytes = writeStruct(footer);
  const tail = Buffer.alloc(8, "....PAR1");
  tail.writeUInt32LE(bytes.length);
  return Buffer.concat([body, bytes, tail]);
}

const items = (value: Value | undefined) => (value?.type === "list" ? value.items : []);

/** What the footer says of each column chunk. */
const chunksOf = (footer: Struct) =>
  items(fieldOf(footer, 4)).flatMap((group) => items(fieldOf(group, 1)).flatMap((chunk) => fieldOf(chunk, 3) ?? []));

const placeOf = (chunk: Value): number => {
  const place = (id: number) => {
    const value = fieldOf(chunk, id);
    return value?.type === "int" ? Number(value.value) : undefined;
  };
  return place(11) || (place(9) ?? 4);
};

/** Changes a page: its header, or its bytes behind a header without a checksum. The footer's places move along. */
function mutatePage(parts: Parts, random: Random): void {
  const chunk = random.pick(chunksOf(parts.footer));
  const start = placeOf(chunk);
  if (start < 4 || start >= parts.body.length) return;
  const { value: header, end } = readStruct(parts.body, start);
  header.fields = header.fields.filter(({ id }) => id !== 4);
  const size = fieldOf(header, 3);
  const length = size?.type === "int" ? Number(size.value) : 0;
  if (random.chance(0.5)) mutateStruct(header, random);
  else if (length > 0) {
    const page = several(parts.body.subarray(end, end + length), random, (bytes) => mutateBytes(bytes, random));
    // The page keeps its length, so that what follows it stays where it is.
    parts.body = set(parts.body, end, page.subarray(0, length));
  }
  const written = writeStruct(header);
  parts.body = splice(parts.body, start, end - start, written);
  const moved = BigInt(written.length - (end - start));
  for (const each of chunksOf(parts.footer)) {
    for (const id of [9, 10, 11]) {
      const place = fieldOf(each, id);
      if (place?.type === "int" && place.value > start) place.value += moved;
    }
    const total = fieldOf(each, 7);
    if (each === chunk && total?.type === "int") total.value += moved;
  }
}

export function open(): Target {
  return {
    make(random) {
      const parts = divide(random.pick(seeds));
      for (let i = random.few(); i > 0; i--) {
        if (random.chance(0.45)) {
          try {
            mutatePage(parts, random);
          } catch {
            // An earlier change has made it no page.
          }
        } else if (random.chance(0.8)) mutateStruct(parts.footer, random);
        else parts.body = mutateBytes(parts.body, random, 4);
      }
      return { "a.parquet": join8(parts) };
    },
    async read(folder, reached) {
      const path = join(folder, "a.parquet");
      const bytes = readFileSync(path);
      await readMetadata(async (at, length) => bytes.subarray(at, at + length), bytes.length).then(reached, () => {});
      try {
        for await (const row of readParquetRows(path, { required: "text", onDamage: () => {} })) void row;
      } finally {
        for await (const document of readDocuments([path])) void document;
      }
    },
    command: () => ["data", "clean", "a.parquet", "--recipe", "as-is", "--workers", "1", "--out", "out"],
  };
}
