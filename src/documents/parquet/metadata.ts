/** @file Reads a Parquet file's footer: the schema as a tree, and the position of each column in each row group. */
import { LARGEST_FOOTER } from "../limits.js";
import { readStruct, type ThriftStruct, type ThriftValue } from "./thrift.js";

export type PhysicalType =
  | "BOOLEAN"
  | "INT32"
  | "INT64"
  | "INT96"
  | "FLOAT"
  | "DOUBLE"
  | "BYTE_ARRAY"
  | "FIXED_LEN_BYTE_ARRAY";

const PHYSICAL: readonly PhysicalType[] = [
  "BOOLEAN",
  "INT32",
  "INT64",
  "INT96",
  "FLOAT",
  "DOUBLE",
  "BYTE_ARRAY",
  "FIXED_LEN_BYTE_ARRAY",
];

/** The logical type of a column, if it has one beyond its physical type. */
export type Meaning =
  | { readonly kind: "text" | "json" | "uuid" | "date" | "float16" | "list" | "map" }
  | { readonly kind: "decimal"; readonly scale: number }
  | { readonly kind: "time" | "timestamp"; readonly unit: TimeUnit }
  | { readonly kind: "unsigned"; readonly bits: number };
export type TimeUnit = "ms" | "us" | "ns";

/** A column, or a group of columns. */
export interface SchemaNode {
  readonly name: string;
  readonly repetition: "required" | "optional" | "repeated";
  readonly type?: PhysicalType;
  /** Bytes per value of FIXED_LEN_BYTE_ARRAY. */
  readonly length: number;
  readonly meaning?: Meaning;
  readonly children: readonly SchemaNode[];
  /** Dremel's definition and repetition level of a value that is present at this node. */
  readonly definition: number;
  readonly repeats: number;
  /** Index of a leaf among all leaves, and in every row group; -1 for a group. */
  readonly column: number;
}

export interface ColumnChunk {
  readonly codec: number;
  readonly values: number;
  /** Offset of the first byte, and number of bytes. */
  readonly start: number;
  readonly bytes: number;
}

export interface RowGroup {
  readonly rows: number;
  /** Indexed by leaf; undefined for a column that cannot be read. */
  readonly columns: readonly (ColumnChunk | undefined)[];
}

export interface ParquetMetadata {
  /** Top-level columns and groups of columns. */
  readonly schema: readonly SchemaNode[];
  readonly groups: readonly RowGroup[];
}

/** Reads `length` bytes at an offset. @throws Error if the file ends before */
export type ReadAt = (offset: number, length: number) => Promise<Buffer>;

/** Reads the footer of a file of `size` bytes. @throws Error that says what is wrong with it */
export async function readMetadata(readAt: ReadAt, size: number): Promise<ParquetMetadata> {
  if (size < 12) throw new Error(`it has only ${size} bytes`);
  const tail = await readAt(size - 8, 8);
  const magic = tail.toString("latin1", 4);
  if (magic === "PARE") throw new Error("its footer is encrypted");
  if (magic !== "PAR1") throw new Error("it does not end with PAR1");
  const length = tail.readUInt32LE(0);
  if (length > size - 12) throw new Error("its footer is longer than the file");
  if (length > LARGEST_FOOTER) throw new Error(`its footer has ${length} bytes; up to ${LARGEST_FOOTER} are read`);
  const { fields } = readStruct(await readAt(size - 8 - length, length), 0);
  const schema = schemaOf(listOf(fields[2]));
  return { schema, groups: listOf(fields[4]).map((group) => groupOf(structOf(group), size)) };
}

function groupOf(fields: ThriftStruct, size: number): RowGroup {
  return { rows: numberOf(fields[3]) ?? 0, columns: listOf(fields[1]).map((each) => chunkOf(structOf(each), size)) };
}

function chunkOf(fields: ThriftStruct, size: number): ColumnChunk | undefined {
  // The column is in another file, or its position is encrypted.
  if (fields[1] !== undefined || fields[3] === undefined) return undefined;
  const data = structOf(fields[3]);
  const codec = numberOf(data[4]);
  const values = numberOf(data[5]);
  const bytes = numberOf(data[7]);
  const page = numberOf(data[9]);
  const dictionary = numberOf(data[11]);
  if (codec === undefined || values === undefined || bytes === undefined || page === undefined) return undefined;
  // Without a dictionary, some writers omit its offset, others write 0.
  const start = dictionary !== undefined && dictionary > 0 && dictionary < page ? dictionary : page;
  if (values < 0 || bytes < 0 || start < 4 || start + bytes > size) return undefined;
  return { codec, values, start, bytes };
}

function schemaOf(elements: readonly ThriftValue[]): readonly SchemaNode[] {
  let next = 1;
  let column = 0;
  const nodesBelow = (count: number, definition: number, repeats: number, depth: number): SchemaNode[] => {
    if (depth > 64) throw new Error("its schema nests too deeply");
    if (count < 0 || count > elements.length - next) throw new Error("its schema is cut short");
    const nodes: SchemaNode[] = [];
    for (let i = 0; i < count; i++) {
      if (next >= elements.length) throw new Error("its schema is cut short");
      const fields = structOf(elements[next++]);
      const repetition = (["required", "optional", "repeated"] as const)[numberOf(fields[3]) ?? 0] ?? "required";
      const own = {
        definition: definition + (repetition === "required" ? 0 : 1),
        repeats: repeats + (repetition === "repeated" ? 1 : 0),
      };
      const childCount = numberOf(fields[5]) ?? 0;
      const meaning = meaningOf(fields);
      const type = PHYSICAL[numberOf(fields[1]) ?? -1];
      const node = {
        ...own,
        repetition,
        name: nameOf(fields[4]),
        length: numberOf(fields[2]) ?? 0,
        ...(meaning === undefined ? {} : { meaning }),
      };
      if (childCount === 0)
        nodes.push({ ...node, ...(type === undefined ? {} : { type }), children: [], column: column++ });
      else
        nodes.push({ ...node, children: nodesBelow(childCount, own.definition, own.repeats, depth + 1), column: -1 });
    }
    return nodes;
  };
  if (elements.length === 0) throw new Error("it has no schema");
  return nodesBelow(numberOf(structOf(elements[0])[5]) ?? 0, 0, 0, 0);
}

/** Returns the logical type, else the equivalent of the older converted type. */
function meaningOf(fields: ThriftStruct): Meaning | undefined {
  const scale = numberOf(fields[7]) ?? 0;
  const logical = fields[10] === undefined ? undefined : structOf(fields[10]);
  const which = logical?.findIndex((each) => each !== undefined) ?? -1;
  const inner = logical !== undefined && which >= 0 ? (logical[which] as ThriftStruct) : [];
  switch (which) {
    case 1:
    case 4:
      return { kind: "text" };
    case 2:
      return { kind: "map" };
    case 3:
      return { kind: "list" };
    case 5:
      return { kind: "decimal", scale: numberOf(inner[1]) ?? scale };
    case 6:
      return { kind: "date" };
    case 7:
      return { kind: "time", unit: unitOf(inner[2]) };
    case 8:
      return { kind: "timestamp", unit: unitOf(inner[2]) };
    case 10:
      return inner[2] === false ? { kind: "unsigned", bits: numberOf(inner[1]) ?? 64 } : undefined;
    case 12:
      return { kind: "json" };
    case 14:
      return { kind: "uuid" };
    case 15:
      return { kind: "float16" };
    default:
      return convertedMeaning(numberOf(fields[6]), scale);
  }
}

function convertedMeaning(converted: number | undefined, scale: number): Meaning | undefined {
  switch (converted) {
    case 0:
    case 4:
      return { kind: "text" };
    case 1:
    case 2:
      return { kind: "map" };
    case 3:
      return { kind: "list" };
    case 5:
      return { kind: "decimal", scale };
    case 6:
      return { kind: "date" };
    case 7:
      return { kind: "time", unit: "ms" };
    case 8:
      return { kind: "time", unit: "us" };
    case 9:
      return { kind: "timestamp", unit: "ms" };
    case 10:
      return { kind: "timestamp", unit: "us" };
    case 11:
    case 12:
    case 13:
    case 14:
      return { kind: "unsigned", bits: 2 ** (converted - 8) };
    case 19:
      return { kind: "json" };
    default:
      return undefined;
  }
}

const unitOf = (value: ThriftValue | undefined): TimeUnit =>
  (["ms", "us", "ns"] as const)[(Array.isArray(value) ? value.findIndex((each) => each !== undefined) : 1) - 1] ?? "us";

const nameOf = (value: ThriftValue | undefined) =>
  value instanceof Uint8Array ? Buffer.from(value).toString("utf8") : "";

/** Returns a field as a number; undefined if it is missing or not an integer. */
export function numberOf(value: ThriftValue | undefined): number | undefined {
  return typeof value === "number" ? value : typeof value === "bigint" ? Number(value) : undefined;
}

export function structOf(value: ThriftValue | undefined): ThriftStruct {
  if (!Array.isArray(value)) throw new Error("a header lacks a part");
  return value as ThriftStruct;
}

function listOf(value: ThriftValue | undefined): readonly ThriftValue[] {
  if (typeof value !== "object" || !("list" in value)) throw new Error("its footer lacks a list");
  return value.list;
}
