/** @file Rows of a Parquet file, a row group at a time; a column's pages are unpacked by hyparquet-compressors. */
import { type FileHandle, open } from "node:fs/promises";
import type { AsyncBuffer, FileMetaData } from "hyparquet";
import { fileError, QuernError } from "../errors.js";

/** Rows that are in memory at once, at most: a text of some kilobytes each makes that some tens of megabytes. */
const ROWS_AT_ONCE = 4096;

export interface ParquetOptions {
  /** Those that are read, where the file has them. Default: all. */
  readonly columns?: readonly string[];
  /** The column without which the file is refused. */
  readonly required: string;
  /** Is given what counts the file's own bytes. */
  readonly onOpen?: (counter: { readonly bytesRead: number }) => void;
  /** Is told of rows that are damaged, after which the next ones are read. Default: the first such rows are an error. */
  readonly onDamage?: (rows: number, reason: string) => void;
}

/**
 * The rows of a Parquet file in order.
 *
 * @throws QuernError where the file cannot be read, is no whole Parquet file or has no column `required`
 */
export async function* readParquetRows(
  path: string,
  { columns, required, onOpen, onDamage }: ParquetOptions,
): AsyncGenerator<Readonly<Record<string, unknown>>> {
  // Loaded when there is such a file: every worker that reads text would pay for it.
  const { parquetReadObjects, parquetSchema } = await import("hyparquet");
  const { compressors } = await import("hyparquet-compressors");
  let handle: FileHandle | undefined;
  try {
    handle = await open(path);
    const file = await asBuffer(handle);
    const metadata = await metadataOf(path, file);
    const names = parquetSchema(metadata).children.map((child) => child.element.name);
    if (!names.includes(required)) {
      throw new QuernError(`${path} has no column "${required}"; its columns are ${names.join(", ")}`, { exitCode: 2 });
    }
    const wanted = columns?.filter((column) => names.includes(column)) ?? names;
    const rows = Math.max(1, Number(metadata.num_rows));
    let start = 0;
    // Columns that are not wanted are not read; the share of the rows stands for the share of the file.
    onOpen?.({
      get bytesRead() {
        return Math.round((file.byteLength * Math.min(start, rows)) / rows);
      },
    });
    for (const group of metadata.row_groups) {
      const end = start + Number(group.num_rows);
      for (; start < end; start += ROWS_AT_ONCE) {
        const rowEnd = Math.min(end, start + ROWS_AT_ONCE);
        const read = parquetReadObjects({ file, metadata, columns: wanted, rowStart: start, rowEnd, compressors });
        yield* await read.catch((error: unknown) => {
          // A number of the system's is about the disk, not about these rows.
          if (onDamage === undefined || !(error instanceof Error) || "code" in error) throw error;
          onDamage(rowEnd - start, error.message);
          return [];
        });
      }
      start = end;
    }
  } catch (error) {
    const told = fileError(error, "read", path);
    if (told instanceof QuernError || !(told instanceof Error)) throw told;
    throw new QuernError(`${path} is not a whole Parquet file: ${told.message}; fetch or make it again`, {
      cause: error,
    });
  } finally {
    await handle?.close();
  }
}

async function asBuffer(handle: FileHandle): Promise<AsyncBuffer> {
  const byteLength = (await handle.stat()).size;
  return {
    byteLength,
    async slice(start, end = byteLength) {
      const bytes = new Uint8Array(Math.max(0, end - start));
      for (let at = 0; at < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, at, bytes.length - at, start + at);
        if (bytesRead === 0) throw new Error(`it ends before byte ${end}`);
        at += bytesRead;
      }
      return bytes.buffer;
    },
  };
}

async function metadataOf(path: string, file: AsyncBuffer): Promise<FileMetaData> {
  // hyparquet reads the last bytes first; a file shorter than its marks would ask for bytes before the start.
  if (file.byteLength < 12) throw new QuernError(`${path} is no Parquet file: it has ${file.byteLength} bytes`);
  const { parquetMetadataAsync } = await import("hyparquet");
  return parquetMetadataAsync(file);
}
