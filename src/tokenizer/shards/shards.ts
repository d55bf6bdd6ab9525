/**
 * @file Token shards, the format that models train on. A folder contains `shards.json` (counts, dtype, tokenizer hash, checksums)
 * and files of token ids for the training and held-out splits. A `.tokens` file is a flat array of little-endian u16 or u32 ids. Its
 * `.ends` file contains the end of each document as a little-endian u32 token index in the file. Every document ends with the
 * end-of-text token, which counts as part of it. No document spans two files.
 *
 *     shards.json
 *     train-00000.tokens   train-00000.ends   train-00001.tokens …
 *     heldout-00000.tokens heldout-00000.ends
 */
import { closeSync, createReadStream, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { z } from "zod";
import { fileError, QuernError } from "../../errors.js";

export const SHARDS_FILE = "shards.json";

const count = z.int().min(0);
/** The header's entry for one file of tokens and its index. */
export const fileSchema = z.strictObject({
  // The pattern excludes path separators: a name cannot point outside the folder.
  name: z.string().regex(/^(train|heldout)-\d{5,15}$/),
  tokens: count,
  documents: count,
  /** CRC-32 of the token file and of the index, eight hexadecimal digits. It detects damage, not tampering. */
  crc32: z.string(),
  endsCrc32: z.string(),
});
const splitSchema = z.strictObject({
  tokens: count,
  documents: count,
  /** UTF-8 bytes of the texts, without end-of-text tokens: the divisor for bits per byte. */
  bytes: count,
  files: z.array(fileSchema),
});
const headerSchema = z.strictObject({
  format: z.literal("quern token shards"),
  version: z.literal(2),
  dtype: z.enum(["u16", "u32"]),
  vocabSize: z.int().min(1),
  endOfText: count,
  /** `tokenizerHash` of the tokenizer. */
  tokenizer: z.string(),
  train: splitSchema,
  heldout: splitSchema,
});

/** The contents of `shards.json`. */
export type ShardsHeader = Readonly<z.output<typeof headerSchema>>;
export type ShardsSplitHeader = ShardsHeader["train"];

/** One split as a single sequence of tokens across its files. */
export interface TokenSplit {
  readonly tokens: number;
  readonly documents: number;
  /** UTF-8 bytes of the texts. */
  readonly bytes: number;
  /** (documents): token index after each document's end-of-text token, ascending; the last is `tokens`. Read on first use. */
  readonly documentEnds: Float64Array;
  /** The document ends in (from, to], without reading all of them. */
  endsBetween(from: number, to: number): Float64Array;
  /** Reads ids [offset, offset + length), into `into` if given. @throws RangeError beyond the end */
  read(offset: number, length: number, into?: Uint32Array): Uint32Array;
}

export interface TokenShards {
  readonly header: ShardsHeader;
  readonly train: TokenSplit;
  readonly heldout: TokenSplit;
  /** Reads all files and compares their checksums. @throws QuernError if one differs */
  verify(): Promise<void>;
  /** Closes the files. */
  close(): void;
}

/**
 * Opens the token shards in a folder.
 * @throws QuernError if the folder contains no shards, or a file is missing or truncated
 */
export function openShards(folder: string): TokenShards {
  const path = join(folder, SHARDS_FILE);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw fileError(error, "read", path);
  }
  const header = parseHeader(text, path);
  const opened: number[] = [];
  const close = (): void => {
    for (const file of opened.splice(0)) closeSync(file);
  };
  try {
    return {
      header,
      train: openSplit(folder, header, "train", opened),
      heldout: openSplit(folder, header, "heldout", opened),
      verify: () => verify(folder, header),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** The stored header also counts what was read and skipped. These counts do not describe the tokens, so readers drop them. */
const storedHeader = headerSchema.extend({
  read: z.record(z.string(), z.number()).optional(),
  skipped: z.record(z.string(), z.number()).optional(),
});

function parseHeader(text: string, path: string): ShardsHeader {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new QuernError(`${path} is not JSON; write the shards again`, { cause: error });
  }
  const parsed = storedHeader.safeParse(json);
  if (parsed.success) {
    const { read: _, skipped: __, ...header } = parsed.data;
    return header;
  }
  const [issue] = parsed.error.issues;
  throw new QuernError(`${path} is not a valid header of token shards: ${issue.path.join(".")}: ${issue.message}`);
}

function openSplit(folder: string, header: ShardsHeader, name: "train" | "heldout", opened: number[]): TokenSplit {
  const width = header.dtype === "u16" ? 2 : 4;
  const { tokens, documents, bytes, files } = header[name];
  const starts = new Float64Array(files.length + 1);
  const handles = files.map((file, index) => {
    starts[index + 1] = starts[index] + file.tokens;
    return openWhole(join(folder, `${file.name}.tokens`), file.tokens * width, opened);
  });
  if (starts[files.length] !== tokens) {
    throw new QuernError(
      `${join(folder, SHARDS_FILE)} lists ${tokens} tokens, but its files have ${starts[files.length]}; write the shards again`,
    );
  }
  let ends: Float64Array | undefined;
  /** The document ends of the file that was read last. */
  let last: { readonly file: number; readonly ends: Float64Array } | undefined;
  const endsOf = (file: number): Float64Array => {
    if (last?.file !== file) last = { file, ends: readEnds(folder, [files[file]], starts.subarray(file)) };
    return last.ends;
  };
  let buffer = new Uint8Array(0);
  return {
    tokens,
    documents,
    bytes,
    get documentEnds() {
      ends ??= readEnds(folder, files, starts);
      return ends;
    },
    endsBetween(from, to) {
      const found: Float64Array[] = [];
      for (let file = fileOf(starts, from); file < files.length && starts[file] < to; file++) {
        const own = endsOf(file);
        found.push(own.slice(firstBeyond(own, from), firstBeyond(own, to)));
      }
      const all = new Float64Array(found.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const part of found) {
        all.set(part, at);
        at += part.length;
      }
      return all;
    },
    read(offset, length, into = new Uint32Array(length)) {
      if (!(offset >= 0 && length >= 0 && offset + length <= tokens && length <= into.length)) {
        throw new RangeError(
          `tokens ${offset} to ${offset + length} are outside the split, which has ${tokens} tokens`,
        );
      }
      let file = fileOf(starts, offset);
      for (let done = 0; done < length; file++) {
        const first = offset + done - starts[file];
        const taken = Math.min(length - done, starts[file + 1] - starts[file] - first);
        if (buffer.length < taken * width) buffer = new Uint8Array(taken * width);
        for (let got = 0; got < taken * width; ) {
          const more = readSync(handles[file], buffer, got, taken * width - got, first * width + got);
          if (more === 0)
            throw new QuernError(`${join(folder, files[file].name)}.tokens was truncated while it was read`);
          got += more;
        }
        if (width === 2) for (let i = 0; i < taken; i++) into[done + i] = buffer[i * 2] | (buffer[i * 2 + 1] << 8);
        else {
          for (let i = 0, at = 0; i < taken; i++, at += 4) {
            into[done + i] = buffer[at] | (buffer[at + 1] << 8) | (buffer[at + 2] << 16) | (buffer[at + 3] << 24);
          }
        }
        done += taken;
      }
      return into.length === length ? into : into.subarray(0, length);
    },
  };
}

/** The index of the file that contains a token: the last non-empty file that starts at or before it. */
function fileOf(starts: Float64Array, offset: number): number {
  let low = 0;
  let high = starts.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle] <= offset) low = middle;
    else high = middle - 1;
  }
  return Math.max(low, 0);
}

/** The index of the first value greater than `limit`; `values` are ascending. */
function firstBeyond(values: Float64Array, limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

function openWhole(path: string, size: number, opened: number[]): number {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    throw fileError(error, "read", path);
  }
  opened.push(file);
  const actual = fstatSync(file).size;
  if (actual !== size) throw new QuernError(`${path} has ${actual} bytes instead of ${size}; write the shards again`);
  return file;
}

function readEnds(folder: string, files: ShardsSplitHeader["files"], starts: Float64Array): Float64Array {
  // Check the sizes before allocating memory for the number of documents that the header claims.
  const parts = files.map((file) => {
    const path = join(folder, `${file.name}.ends`);
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      throw fileError(error, "read", path);
    }
    if (bytes.length !== file.documents * 4) {
      throw new QuernError(
        `${path} has ${bytes.length} bytes instead of ${file.documents * 4}; write the shards again`,
      );
    }
    return bytes;
  });
  const ends = new Float64Array(parts.reduce((sum, { length }) => sum + length / 4, 0));
  let written = 0;
  parts.forEach((bytes, index) => {
    for (let i = 0; i < bytes.length; i += 4) ends[written++] = starts[index] + bytes.readUInt32LE(i);
  });
  return ends;
}

/** Formats a CRC-32 for the header. */
export function checksumText(checksum: number): string {
  return checksum.toString(16).padStart(8, "0");
}

async function verify(folder: string, header: ShardsHeader): Promise<void> {
  for (const file of [...header.train.files, ...header.heldout.files]) {
    for (const [suffix, expected] of [
      ["tokens", file.crc32],
      ["ends", file.endsCrc32],
    ]) {
      const path = join(folder, `${file.name}.${suffix}`);
      let checksum = 0;
      try {
        for await (const chunk of createReadStream(path)) checksum = crc32(chunk as Buffer, checksum);
      } catch (error) {
        throw fileError(error, "read", path);
      }
      if (checksumText(checksum) !== expected) {
        throw new QuernError(`${path} does not match its checksum; write the shards again`);
      }
    }
  }
}
