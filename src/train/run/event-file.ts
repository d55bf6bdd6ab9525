/**
 * @file Event files, which TensorBoard shows: `events.out.tfevents.<seconds>.<host>` in the folder of a run. A file is a list of
 * TFRecords (length, its checksum, data, its checksum), and the data of each is an `Event` in Protocol Buffers' encoding.
 */
import { appendFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileError } from "../../errors.js";

export interface EventFile {
  readonly path: string;
  /** Appends the values of a step. A value that is not finite is written as it is. */
  append(step: number, scalars: Readonly<Record<string, number>>): Promise<void>;
}

export interface EventFileOptions {
  /** The first step that this file will have; TensorBoard then drops later steps of earlier files. */
  readonly firstStep: number;
  /** Seconds since 1970. */
  readonly now?: () => number;
}

/**
 * Creates a new event file in a folder; earlier ones stay.
 * @throws QuernError if it cannot be written
 */
export async function createEventFile(
  folder: string,
  { firstStep, now = () => Date.now() / 1000 }: EventFileOptions,
): Promise<EventFile> {
  const started = now();
  const first = Buffer.concat([
    record(event(started, 0, field(3, Buffer.from("brain.Event:2")))),
    record(event(started, firstStep, field(7, varintField(1, SESSION_START)))),
  ]);
  const path = await createFile(folder, Math.floor(started), first);
  return {
    path,
    async append(step, scalars) {
      const values = Object.entries(scalars).map(([tag, value]) =>
        field(1, Buffer.concat([field(1, Buffer.from(tag)), floatField(2, value)])),
      );
      if (values.length === 0) return;
      await appendFile(path, record(event(now(), step, field(5, Buffer.concat(values))))).catch((error: unknown) => {
        throw fileError(error, "write", path);
      });
    },
  };
}

/** `SessionLog.START`: the writer begins here. */
const SESSION_START = 1;

/** Two calls in the same second get different names. */
async function createFile(folder: string, seconds: number, content: Buffer): Promise<string> {
  for (let second = seconds; ; second++) {
    const path = join(folder, `events.out.tfevents.${second}.${hostname()}`);
    try {
      await writeFile(path, content, { flag: "wx" });
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw fileError(error, "write", path);
    }
  }
}

/** An `Event`: wall time (1), step (2), and what happened. */
function event(seconds: number, step: number, what: Buffer): Buffer {
  const time = Buffer.alloc(9);
  time[0] = (1 << 3) | 1;
  time.writeDoubleLE(seconds, 1);
  return Buffer.concat([time, step === 0 ? Buffer.alloc(0) : varintField(2, step), what]);
}

// Fields of Protocol Buffers: number << 3 | wire type, then the value. Wire types: 0 varint, 1 f64, 2 bytes, 5 f32.
const field = (number: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.length), bytes]);
const varintField = (number: number, value: number): Buffer =>
  Buffer.concat([Buffer.from([number << 3]), varint(value)]);
function floatField(number: number, value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = (number << 3) | 5;
  bytes.writeFloatLE(Math.fround(value), 1);
  return bytes;
}

/** Seven bits a byte, lowest first. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}

/** A TFRecord. */
function record(data: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, checksum(length), data, checksum(data)]);
}

/** CRC-32C, masked as TFRecords have it: rotated by 15 bits, plus a constant. */
function checksum(bytes: Uint8Array): Buffer {
  const crc = crc32c(bytes);
  const masked = Buffer.alloc(4);
  masked.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  return masked;
}

/** Remainders of each byte by the polynomial of Castagnoli, bits reversed. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 255];
  return (crc ^ 0xffffffff) >>> 0;
}
