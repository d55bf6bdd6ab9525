/**
 * @file Reads the rows of a Parquet file page by page (parquet/*.ts), so memory use depends neither on the file's size
 * nor on its row groups. Damage to the text column loses the rows of that page; damage to other columns only their
 * values.
 */
import { type FileHandle, open } from "node:fs/promises";
import { fileError, QuernError } from "../errors.js";
import { type Compression, readBytes } from "./compression.js";
import { LARGEST_COMPRESSED_PARQUET } from "./limits.js";
import { type ParquetMetadata, type ReadAt, type RowGroup, readMetadata, type SchemaNode } from "./parquet/metadata.js";
import { pagesOf } from "./parquet/pages.js";
import { leavesOf, nestedValues } from "./parquet/records.js";
import { NOT_UTF8 } from "./parquet/values.js";

/** Maximum rows assembled at once. */
const ROWS_AT_ONCE = 1024;

/** What is lost: rows, or values of a column other than the text. */
export type ParquetDamage =
  | { readonly reason: "damaged_row" | "not_utf8"; readonly rows: number; readonly why: string }
  | { readonly reason: "damaged_column"; readonly column: string; readonly why: string };

export interface ParquetOptions {
  /** Columns to read, if the file has them. Default: all. */
  readonly columns?: readonly string[];
  /** The text column, which the file must have; `a.b` is the column b in the group a. Null: no column is required. */
  readonly required: string | null;
  /** Compression of the whole file, in addition to that of its pages. */
  readonly compression?: Compression;
  readonly signal?: AbortSignal;
  /** Called with a counter of the bytes read from disk. */
  readonly onOpen?: (counter: { readonly bytesRead: number }) => void;
  /** Called with the columns before the first row: values as in JSON do not tell 2 from 2.0. */
  readonly onSchema?: (schema: readonly SchemaNode[]) => void;
  /** Called at damage; reading then resumes at the next rows. Default: damage is an error. */
  readonly onDamage?: (damage: ParquetDamage) => void;
}

/**
 * Yields the rows of a Parquet file in order, with values as in JSON.
 *
 * @throws QuernError if the file cannot be read, is not a complete Parquet file, or has no text column `required`
 */
export async function* readParquetRows(
  path: string,
  options: ParquetOptions,
): AsyncGenerator<Readonly<Record<string, unknown>>> {
  const { columns, required, compression, signal, onOpen } = options;
  const onDamage = options.onDamage ?? refuseDamage(path);
  let handle: FileHandle | undefined;
  try {
    let readAt: ReadAt;
    let size: number;
    if (compression === undefined) {
      handle = await open(path);
      size = (await handle.stat()).size;
      readAt = readerOf(handle);
    } else {
      const bytes = await decompressed(path, compression, signal);
      size = bytes.length;
      readAt = async (offset, length) => bytes.subarray(offset, offset + length);
    }
    const metadata = await footerOf(path, readAt, size);
    options.onSchema?.(metadata.schema);
    const [first] = metadata.schema;
    const text = required === null ? { node: first, leaf: first, path: [] } : textColumn(path, metadata, required);
    const wanted = metadata.schema.filter(
      ({ name }) => name === text.node.name || ((columns?.includes(name) ?? true) && name !== "__proto__"),
    );
    const total = Math.max(
      1,
      metadata.groups.reduce((sum, group) => sum + group.rows, 0),
    );
    let done = 0;
    // Some columns are not read at all, so progress is the share of rows read.
    onOpen?.({
      get bytesRead() {
        return Math.round((size * Math.min(done, total)) / total);
      },
    });
    for (const group of metadata.groups) {
      for await (const rows of rowsOfGroup(readAt, group, wanted, text, onDamage)) {
        signal?.throwIfAborted();
        yield* rows;
        done += rows.length;
      }
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw fileError(error, "read", path);
  } finally {
    await handle?.close();
  }
}

function refuseDamage(path: string) {
  return (damage: ParquetDamage) => {
    throw new QuernError(`${path} is damaged: ${damage.why}; download or create it again`);
  };
}

function readerOf(handle: FileHandle): ReadAt {
  return async (offset, length) => {
    const bytes = Buffer.allocUnsafeSlow(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await handle.read(bytes, at, length - at, offset + at);
      if (bytesRead === 0) throw new Error(`it ends before byte ${offset + length}`);
      at += bytesRead;
    }
    return bytes;
  };
}

/** Decompresses the whole file, because Parquet is read from its end. */
async function decompressed(path: string, compression: Compression, signal: AbortSignal | undefined): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of readBytes(path, compression, signal)) {
    length += chunk.length;
    if (length > LARGEST_COMPRESSED_PARQUET) {
      throw new QuernError(
        `${path} decompresses to a Parquet file of more than ${LARGEST_COMPRESSED_PARQUET >> 20} MiB, ` +
          "which is too large to read in memory; decompress it first",
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function footerOf(path: string, readAt: ReadAt, size: number): Promise<ParquetMetadata> {
  try {
    return await readMetadata(readAt, size);
  } catch (error) {
    if (error instanceof QuernError || !(error instanceof Error) || "syscall" in error) throw error;
    throw new QuernError(`${path} is not a complete Parquet file: ${error.message}; download or create it again`, {
      cause: error,
    });
  }
}

interface TextColumn {
  /** The column, or the group that it is in. */
  readonly node: SchemaNode;
  readonly leaf: SchemaNode;
  /** Names on the path from the group to the column; empty if it is in no group. */
  readonly path: readonly string[];
}

function textColumn(file: string, { schema }: ParquetMetadata, name: string): TextColumn {
  const find = (nodes: readonly SchemaNode[], rest: string): readonly SchemaNode[] | undefined => {
    for (const node of nodes) {
      if (node.name === rest) return [node];
      if (!rest.startsWith(`${node.name}.`) || node.repetition === "repeated") continue;
      const below = find(node.children, rest.slice(node.name.length + 1));
      if (below !== undefined) return [node, ...below];
    }
    return undefined;
  };
  const found = find(schema, name);
  const names = schema.map((node) => node.name).join(", ");
  if (found === undefined) {
    throw new QuernError(`${file} has no column "${name}"; its columns are ${names}; name one with --text-field`, {
      exitCode: 2,
    });
  }
  const leaf = found[found.length - 1];
  if (leaf.children.length > 0 || leaf.repetition === "repeated" || leaf.meaning?.kind !== "text") {
    const what =
      leaf.children.length > 0
        ? "a group"
        : leaf.type === "BYTE_ARRAY"
          ? "bytes that are not marked as text"
          : leaf.type;
    throw new QuernError(
      `${file}: its column "${name}" contains ${what}, not text; its columns are ${names}; name one with --text-field`,
      { exitCode: 2 },
    );
  }
  return { node: found[0], leaf, path: found.slice(1).map((node) => node.name) };
}

type OnDamage = (damage: ParquetDamage) => void;

/** Yields the rows of a group in batches. */
async function* rowsOfGroup(
  readAt: ReadAt,
  group: RowGroup,
  wanted: readonly SchemaNode[],
  text: TextColumn,
  onDamage: OnDamage,
): AsyncGenerator<readonly Readonly<Record<string, unknown>>[]> {
  const isStrict = (leaf: SchemaNode) => leaf === text.leaf;
  const beside = wanted
    .filter((node) => node !== text.node)
    .map((node) => new SideColumn(node.name, segmentsOf(readAt, group, node, isStrict), onDamage));
  for await (const segment of segmentsOf(readAt, group, text.node, isStrict)) {
    if ("damage" in segment) {
      if (segment.count > 0) onDamage({ reason: "damaged_row", rows: segment.count, why: segment.damage });
      for (const column of beside) column.skip(segment.count);
      continue;
    }
    for (let start = 0; start < segment.values.length; start += ROWS_AT_ONCE) {
      const values = segment.values.slice(start, start + ROWS_AT_ONCE);
      const rows: Record<string, unknown>[] = values.map((value) => ({ [text.node.name]: value }));
      for (const column of beside) {
        const others = await column.take(values.length);
        others?.forEach((value, i) => {
          if (value !== undefined) rows[i][column.name] = value;
        });
      }
      const readable = rows.filter((row) => valueAt(row[text.node.name], text.path) !== NOT_UTF8);
      if (readable.length < rows.length) {
        onDamage({ reason: "not_utf8", rows: rows.length - readable.length, why: "a text that is not UTF-8" });
      }
      yield readable;
    }
  }
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  for (const name of path) value = (value as Record<string, unknown> | null)?.[name];
  return value;
}

/** Values of consecutive rows, or a number of rows whose values are lost. */
type Segment = { readonly values: readonly unknown[] } | { readonly count: number; readonly damage: string };

/** Yields the values of a column in a row group. Never throws for damage. */
async function* segmentsOf(
  readAt: ReadAt,
  group: RowGroup,
  node: SchemaNode,
  isStrict: (leaf: SchemaNode) => boolean,
): AsyncGenerator<Segment> {
  const isFlat = node.children.length === 0 && node.repetition !== "repeated";
  const chunk = isFlat ? group.columns[node.column] : undefined;
  const all = Math.max(0, chunk?.values ?? group.rows);
  let seen = 0;
  let why = "pages are missing";
  try {
    if (!isFlat) {
      if (leavesOf(node).some(({ type }) => type === undefined)) throw new Error("it has a column without a type");
      const values = await nestedValues(readAt, group, node, isStrict);
      seen += values.length;
      yield { values };
    } else if (chunk === undefined) why = "its place in the file is wrong";
    else {
      for await (const page of pagesOf(readAt, chunk, node, isStrict(node))) {
        seen += page.count;
        if ("damage" in page) yield page;
        else yield { values: withNulls(page.values, page.definitions, node.definition) };
      }
    }
  } catch (error) {
    // A system error is about the disk, not about these rows.
    if (!(error instanceof Error) || error instanceof QuernError || "syscall" in error) throw error;
    why = error.message;
  }
  if (seen < all) yield { count: all - seen, damage: why };
}

function withNulls(values: readonly unknown[], definitions: Uint32Array | undefined, most: number): readonly unknown[] {
  if (definitions === undefined) return values;
  let at = 0;
  return Array.from(definitions, (level) => (level === most ? values[at++] : null));
}

/** A column other than the text. Its pages may end elsewhere, so values are taken for as many rows as the text has. */
class SideColumn {
  readonly name: string;
  readonly #segments: AsyncGenerator<Segment>;
  readonly #onDamage: OnDamage;
  #segment: Segment = { values: [] };
  #at = 0;
  #skipped = 0;
  #reported = false;

  constructor(name: string, segments: AsyncGenerator<Segment>, onDamage: OnDamage) {
    this.name = name;
    this.#segments = segments;
    this.#onDamage = onDamage;
  }

  /** Skips the values of rows whose text is lost. */
  skip(rows: number): void {
    this.#skipped += rows;
  }

  /** Returns the values of the next rows; undefined if they are lost. */
  async take(rows: number): Promise<readonly unknown[] | undefined> {
    const values: unknown[] = [];
    let isComplete = true;
    for (let wanted = this.#skipped + rows; wanted > 0; ) {
      const size = "damage" in this.#segment ? this.#segment.count : this.#segment.values.length;
      const here = Math.min(wanted, size - this.#at);
      if (here === 0) {
        const next = await this.#segments.next();
        if (next.done) break;
        this.#segment = next.value;
        this.#at = 0;
        continue;
      }
      const own = Math.max(0, Math.min(here, here - (wanted - rows)));
      if ("damage" in this.#segment) {
        this.#report(this.#segment.damage);
        for (let i = 0; i < own; i++) values.push(undefined);
      } else values.push(...this.#segment.values.slice(this.#at + here - own, this.#at + here));
      this.#at += here;
      wanted -= here;
    }
    this.#skipped = 0;
    if (values.length < rows) {
      isComplete = false;
      this.#report("it has fewer values than there are texts");
    }
    return isComplete || values.length > 0 ? values : undefined;
  }

  #report(why: string): void {
    if (this.#reported) return;
    this.#reported = true;
    this.#onDamage({ reason: "damaged_column", column: this.name, why });
  }
}
