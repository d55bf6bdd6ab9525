/**
 * @file Detects what a file contains, by content if its name is ambiguous: `c4.json.gz` contains JSON lines, `RC_2019.zst`
 * has no inner extension, and a server may have decompressed a `.gz` during the download.
 */
import { isUtf8 } from "node:buffer";
import { open } from "node:fs/promises";
import { extname } from "node:path";
import { type Compression, compressionByName, readBytes } from "./compression.js";

/** `json`: JSON values that span several lines, or one array of them. */
export type Format = "text" | "lines" | "json" | "parquet";

export interface FileKind {
  /** Undefined if neither name nor content indicates a format that Quern reads. */
  readonly format: Format | undefined;
  readonly compression: Compression | undefined;
  /** Set for a file without a known extension that contains no documents. */
  readonly other?: "html" | "archive";
}

const BY_EXTENSION: Readonly<Record<string, Format | "sniffed">> = {
  ".txt": "text",
  ".text": "text",
  ".md": "text",
  ".markdown": "text",
  ".jsonl": "lines",
  ".ndjson": "lines",
  ".parquet": "parquet",
  ".json": "sniffed",
};

/** True if a file of this name may contain documents. Files without an extension may; their content decides. */
export function mayHoldDocuments(name: string): boolean {
  const { extension } = compressionByName(name);
  return hasNoEnding(extension) || BY_EXTENSION[extension] !== undefined;
}

const hasNoEnding = (extension: string) => /^\.?\d*$/.test(extension);

const lastOf = (key: string) => key.slice(key.lastIndexOf(".") + 1);

/** Bytes inspected, after decompression. */
const HEAD = 1 << 16;

/**
 * Inspects a file.
 * @param key a key that JSON must have, for files found in a folder: other JSON files are settings, not documents
 * @throws the system's error if it cannot be opened; the signal's reason when that aborts
 */
export async function kindOfFile(
  path: string,
  { key, signal }: { readonly key?: string; readonly signal?: AbortSignal } = {},
): Promise<FileKind> {
  const start = await startOf(path, 64);
  const { compression: named, extension } = compressionByName(path);
  const found = sniffCompression(start);
  const compression = found ?? named;
  const own = found !== undefined && named === undefined ? extname(path).toLowerCase() : extension;
  const byName = BY_EXTENSION[own];
  if (byName === "text") return { format: "text", compression };
  const head =
    compression === undefined ? await startOf(path, HEAD) : await decompressedStart(path, compression, signal);
  if (head.toString("latin1", 0, 4) === "PAR1" || byName === "parquet") return { format: "parquet", compression };
  const other = byName === undefined ? otherKind(head) : undefined;
  if (other !== undefined) return { format: undefined, compression, other };
  const format = formatOf(head, byName);
  const isOther =
    key !== undefined &&
    byName !== "lines" &&
    format !== undefined &&
    ![key, lastOf(key)].some((each) => head.includes(JSON.stringify(each)));
  if (isOther) return { format: undefined, compression };
  return { format: format ?? (hasNoEnding(own) && looksLikeText(head) ? "text" : undefined), compression };
}

function otherKind(head: Buffer): FileKind["other"] {
  const start = head.toString("latin1", 0, 1000);
  if (/^(\xef\xbb\xbf)?\s*<(!doctype\s+html|html)\b/i.test(start)) return "html";
  return /^WARC\/\d/.test(start) ? "archive" : undefined;
}

function sniffCompression(start: Buffer): Compression | undefined {
  if (start.length >= 3 && start[0] === 0x1f && start[1] === 0x8b && start[2] === 8) return "gzip";
  if (start.length < 4) return undefined;
  const magic = start.readUInt32LE(0);
  return magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50 ? "zstd" : undefined;
}

/** Returns the format of decompressed bytes; undefined if it is not clear. */
function formatOf(head: Buffer, byName: Format | "sniffed" | undefined): Format | undefined {
  const text = head.toString("utf8").replace(/^\ufeff/, "");
  if (/^\s*\[\s*[{\]]/.test(text)) return "json";
  if (byName === "lines") return "lines";
  if (!/^\s*\{/.test(text)) return byName === "sniffed" ? "lines" : undefined;
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  // A single line that fills the inspected bytes may be complete further on.
  const isOne = lines.length === 1;
  return isOne || lines.slice(0, -1).some(isObject) || isObject(lines[lines.length - 1]) ? "lines" : "json";
}

function isObject(line: string): boolean {
  try {
    return line.trimStart().startsWith("{") && typeof JSON.parse(line) === "object";
  } catch {
    return false;
  }
}

/** True for UTF-8 without NUL; the last character may be cut. */
function looksLikeText(head: Buffer): boolean {
  if (head.includes(0)) return false;
  for (let cut = 0; cut < 4 && cut <= head.length; cut++) if (isUtf8(head.subarray(0, head.length - cut))) return true;
  return false;
}

async function startOf(path: string, length: number): Promise<Buffer> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function decompressedStart(
  path: string,
  compression: Compression,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of readBytes(path, compression, signal)) {
      chunks.push(chunk.subarray(0, HEAD - length));
      length += chunk.length;
      if (length >= HEAD) break;
    }
  } catch (error) {
    signal?.throwIfAborted();
    // The reader of the file reports the error; the bytes before it show the kind.
    void error;
  }
  return Buffer.concat(chunks);
}
