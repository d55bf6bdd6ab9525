/** @file Text that a verb reads from standard input. */
import { isUtf8 } from "node:buffer";
import { QuernError } from "../errors.js";

/** All of standard input; throws a QuernError if it is not UTF-8. */
export async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  if (!isUtf8(bytes))
    throw new QuernError("standard input is not UTF-8 text; convert it first, for example with iconv");
  if (bytes.length > 2 ** 29 - 64)
    throw new QuernError("standard input is longer than 512 MB; encode files into shards");
  return bytes.toString("utf8");
}
