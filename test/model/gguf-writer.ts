/** @file Writes GGUF files for tests, valid or with one error. Format: ggml's docs/gguf.md. */

const TYPES = [
  ...["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "list", "u64", "i64", "f64"],
] as const;
export type ValueType = "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "bool" | "string" | "u64" | "i64" | "f64";

/** A key, the type of its value or of the values in its list, and the value. */
export type Entry = readonly [key: string, type: ValueType | number, value: unknown];

export interface TensorToStore {
  readonly name: string;
  /** Innermost dimension first, as in the file. */
  readonly dimensions: readonly (number | bigint)[];
  /** Type number; default F32. */
  readonly type?: number;
  readonly data?: Uint8Array;
  /** Offset from the start of the data; by default after the previous tensor. */
  readonly offset?: number | bigint;
}

export interface GgufOptions {
  readonly magic?: string;
  readonly version?: number;
  readonly metadata?: readonly Entry[];
  readonly tensors?: readonly TensorToStore[];
  readonly alignment?: number;
  readonly entryCount?: bigint;
  readonly tensorCount?: bigint;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return bytes;
}

export const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

function valueBytes(type: ValueType, value: unknown): Buffer {
  const bytes = Buffer.alloc(8);
  const number = Number(value);
  switch (type) {
    case "u8":
    case "bool":
      return Buffer.from([number]);
    case "i8":
      return Buffer.from(Int8Array.of(number).buffer);
    case "u16":
    case "i16":
      return Buffer.from(Uint16Array.of(number).buffer);
    case "u32":
    case "i32":
      return u32(number);
    case "f32":
      return Buffer.from(Float32Array.of(number).buffer);
    case "f64":
      bytes.writeDoubleLE(number);
      return bytes;
    case "u64":
    case "i64":
      return u64(value as bigint | number);
    case "string":
      return text(value as string);
    default:
      throw new Error(type satisfies never);
  }
}

function entryBytes([key, type, value]: Entry): Buffer {
  // A numeric type is written unchanged, with the value as raw bytes.
  if (typeof type === "number") return Buffer.concat([text(key), u32(type), value as Buffer]);
  const number = u32(TYPES.indexOf(type));
  if (!Array.isArray(value)) return Buffer.concat([text(key), number, valueBytes(type, value)]);
  const items = value.map((each) => valueBytes(type, each));
  return Buffer.concat([text(key), u32(TYPES.indexOf("list")), number, u64(value.length), ...items]);
}

/** Returns the bytes of a file. */
export function ggufBytes(options: GgufOptions): Buffer {
  const { magic = "GGUF", version = 3, metadata = [], tensors = [], alignment = 32 } = options;
  let offset = 0;
  const infos: Buffer[] = [];
  const data: Buffer[] = [];
  for (const { name, dimensions, type = 0, data: bytes = new Uint8Array(0), offset: own } of tensors) {
    infos.push(text(name), u32(dimensions.length), ...dimensions.map(u64), u32(type), u64(own ?? offset));
    const padded = Math.ceil(bytes.length / alignment) * alignment;
    data.push(Buffer.concat([bytes, Buffer.alloc(padded - bytes.length)]));
    offset += padded;
  }
  const head = Buffer.concat([
    ...[Buffer.from(magic, "latin1"), u32(version)],
    ...[u64(options.tensorCount ?? tensors.length), u64(options.entryCount ?? metadata.length)],
    ...metadata.map(entryBytes),
    ...infos,
  ]);
  if (data.length === 0) return head;
  return Buffer.concat([head, Buffer.alloc(Math.ceil(head.length / alignment) * alignment - head.length), ...data]);
}

const floats = (count: number) => new Uint8Array(new Float32Array(count).fill(0.1).buffer);

/** A llama with one layer, width 4, two heads of width 2, hidden width 4 and four tokens. */
export function tinyLlama(): { metadata: Entry[]; tensors: TensorToStore[] } {
  return smallLlama(4, 0, (values) => floats(values));
}

/** As tinyLlama with another width and hidden width; matrices have type number `type` and the bytes that `store` returns. */
export function smallLlama(
  width: number,
  type: number,
  store: (values: number) => Uint8Array,
): { metadata: Entry[]; tensors: TensorToStore[] } {
  const metadata: Entry[] = [
    ["general.architecture", "string", "llama"],
    ["llama.context_length", "u32", 16],
    ["llama.embedding_length", "u32", width],
    ["llama.block_count", "u32", 1],
    ["llama.feed_forward_length", "u32", width],
    ["llama.attention.head_count", "u32", 2],
    ["llama.attention.layer_norm_rms_epsilon", "f32", 1e-5],
    ["tokenizer.ggml.model", "string", "gpt2"],
    ["tokenizer.ggml.pre", "string", "gpt-2"],
    ["tokenizer.ggml.tokens", "string", ["a", "b", "ab", "<end>"]],
    ["tokenizer.ggml.token_type", "i32", [1, 1, 1, 3]],
    ["tokenizer.ggml.merges", "string", ["a b"]],
    ["tokenizer.ggml.eos_token_id", "u32", 3],
  ];
  const matrix = (name: string, rows = width) => ({
    name: `${name}.weight`,
    dimensions: [width, rows],
    type,
    data: store(width * rows),
  });
  const vector = (name: string) => ({ name: `${name}.weight`, dimensions: [width], data: floats(width) });
  const tensors = [
    matrix("token_embd", 4),
    vector("output_norm"),
    ...["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"].map((part) =>
      matrix(`blk.0.${part}`),
    ),
    ...["attn_norm", "ffn_norm"].map((part) => vector(`blk.0.${part}`)),
  ];
  return { metadata, tensors };
}
