/** @file Reads tar archives (POSIX ustar with pax and GNU long names), as far as npm packages need it. */
import { QuernError } from "../errors.js";

export interface TarFile {
  /** Relative, with forward slashes, without `.` or `..`. */
  readonly path: string;
  readonly data: Uint8Array;
}

const BLOCK = 512;

/** Yields the regular files of an archive. @throws QuernError if it is cut short or a path would leave the folder */
export function* readTar(archive: Uint8Array): Generator<TarFile> {
  let longName: string | undefined;
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const header = archive.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) return;
    const size = octal(header, 124, 12);
    const type = String.fromCharCode(header[156]);
    const data = archive.subarray(at + BLOCK, at + BLOCK + size);
    if (Number.isNaN(size) || data.length < size) throw new QuernError(`the archive is cut short at byte ${at}`);
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    if (type === "x") {
      longName = paxPath(data) ?? longName;
    } else if (type === "L") {
      longName = cString(data, 0, data.length);
    } else if (type === "0" || type === "\0") {
      const prefix = cString(header, 345, 155);
      const name = cString(header, 0, 100);
      yield { path: safePath(longName ?? (prefix === "" ? name : `${prefix}/${name}`)), data };
      longName = undefined;
    } else {
      longName = undefined; // folders, links and global headers contain no file
    }
  }
}

function safePath(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (path.startsWith("/") || path.includes("\\") || parts.includes("..")) {
    throw new QuernError(`the archive contains the path ${path}, which is outside its folder`);
  }
  return parts.join("/");
}

function octal(bytes: Uint8Array, start: number, length: number): number {
  return Number.parseInt(cString(bytes, start, length).trim() || "0", 8);
}

function cString(bytes: Uint8Array, start: number, length: number): string {
  const field = bytes.subarray(start, start + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

/** Reads the path in pax records, `LENGTH key=value\n`; LENGTH includes its own digits. */
function paxPath(data: Uint8Array): string | undefined {
  let path: string | undefined;
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const length = Number(new TextDecoder().decode(data.subarray(at, space)));
    if (space < 0 || !(length > 0)) break;
    const record = new TextDecoder().decode(data.subarray(space + 1, at + length - 1));
    if (record.startsWith("path=")) path = record.slice(5);
    at += length;
  }
  return path;
}
