/** @file Reads text from standard input. */
import { isUtf8 } from "node:buffer";
import { QuernError } from "../errors.js";

/** In bytes; V8 limits strings to slightly more. */
const LONGEST = 2 ** 29 - 64;

/** Reads all of standard input. Throws a QuernError if it is not UTF-8, or too long for a string. */
export async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Buffer);
    length += (chunk as Buffer).length;
    if (length > LONGEST) throw new QuernError("standard input is longer than 512 MB; encode files with --out instead");
  }
  const bytes = Buffer.concat(chunks);
  if (!isUtf8(bytes))
    throw new QuernError("standard input is not UTF-8 text; convert it first, for example with iconv");
  return bytes.toString("utf8");
}
