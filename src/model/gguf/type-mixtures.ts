/**
 * @file Chooses the type of each tensor in a GGUF file. A file type such as q4_k_m is a mixture: tensors whose errors matter
 * most get more bits. The rules are those of llama.cpp's `llama-quantize` without an importance matrix.
 */
import type { Family } from "../config.js";
import { blockOf, type WritableType } from "./quantise.js";

/** File types by their `--type` name: the type of most matrices, and llama.cpp's number (`general.file_type`). */
export const FILE_TYPES = {
  f32: { main: "F32", number: 0 },
  f16: { main: "F16", number: 1 },
  bf16: { main: "BF16", number: 32 },
  q8_0: { main: "Q8_0", number: 7 },
  q4_0: { main: "Q4_0", number: 2 },
  q4_1: { main: "Q4_1", number: 3 },
  q5_0: { main: "Q5_0", number: 8 },
  q5_1: { main: "Q5_1", number: 9 },
  q4_k_s: { main: "Q4_K", number: 14 },
  q4_k_m: { main: "Q4_K", number: 15 },
  q5_k_s: { main: "Q5_K", number: 16 },
  q5_k_m: { main: "Q5_K", number: 17 },
  q6_k: { main: "Q6_K", number: 18 },
} as const satisfies Record<string, { readonly main: WritableType; readonly number: number }>;

export type FileType = keyof typeof FILE_TYPES;
export const FILE_TYPE_NAMES = Object.keys(FILE_TYPES) as readonly FileType[];

/** Types that replace a K-quant where rows are not whole super-blocks of 256 values. */
const FALL_BACKS: { readonly [T in WritableType]?: WritableType } = { Q4_K: "Q5_0", Q5_K: "Q5_1", Q6_K: "Q8_0" };

export interface NamedTensor {
  /** Name in the file, such as blk.3.ffn_down.weight. */
  readonly name: string;
  /** Outermost dimension first; matrices are (out, in). */
  readonly shape: readonly number[];
}

/**
 * Returns the types of a model's tensors in a file of `fileType`. Norms, biases and GPT-2's positions stay F32; a matrix
 * whose rows fill the blocks of no quantised type gets F16.
 */
export function tensorTypes(
  fileType: FileType,
  { family, layers }: { readonly family: Family; readonly layers: number },
  tensors: readonly NamedTensor[],
): Map<string, WritableType> {
  const tiedHead = !tensors.some(({ name }) => name === "output.weight");
  const types = new Map<string, WritableType>();
  for (const { name, shape } of tensors) {
    if (shape.length < 2 || !name.endsWith(".weight") || name === "position_embd.weight") {
      types.set(name, "F32");
      continue;
    }
    const row = shape[shape.length - 1];
    const isHead = name === "output.weight" || (tiedHead && name === "token_embd.weight");
    const wanted = isHead ? headType(fileType, row) : layerType(fileType, name, family, layers);
    types.set(name, fitting(wanted, row));
  }
  return types;
}

/** The head's errors reach the logits unfiltered, so quantised files store it in at least six bits. */
function headType(fileType: FileType, row: number): WritableType {
  const { main } = FILE_TYPES[fileType];
  const { block } = blockOf(main);
  if (block === 1 || main === "Q8_0") return main;
  return row % block === 0 ? "Q6_K" : "Q8_0";
}

/** Mixtures give more bits to attention's values, which GPT-2 stores together with queries and keys, and to ffn_down. */
function layerType(fileType: FileType, name: string, family: Family, layers: number): WritableType {
  const { main } = FILE_TYPES[fileType];
  const [, index, part] = /^blk\.(\d+)\.(attn_v|attn_qkv|ffn_down)\.weight$/.exec(name) ?? [];
  if (part === undefined) return main;
  const layer = Number(index);
  switch (fileType) {
    case "q4_k_m":
    case "q5_k_m":
      if (isSensitive(layer, layers)) return "Q6_K";
      break;
    case "q4_k_s":
      if (part === "ffn_down" ? layer < Math.floor(layers / 8) : layer < 4) return "Q5_K";
      break;
    default:
      return main;
  }
  // A llama of 80 layers has 70B parameters. Eight of its heads share their values, so these are a small part of the file.
  return family === "llama" && layers === 80 && part === "attn_v" && main === "Q4_K" ? "Q5_K" : main;
}

/** The first and last eighth of the layers, and every third of the others. */
function isSensitive(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
}

/** Returns a type whose blocks fit rows of `row` values. */
function fitting(type: WritableType, row: number): WritableType {
  if (row % blockOf(type).block === 0) return type;
  const fallBack = FALL_BACKS[type] ?? type;
  return row % blockOf(fallBack).block === 0 ? fallBack : "F16";
}
