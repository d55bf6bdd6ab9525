/**
 * @file The instruction sets that the C templates support, one row each, widest first.
 *
 * A new one needs only a row: floats per vector, register tile of the matrix product, compiler flags, and the macros
 * that show support. The tile (rows × vectors) must fit the registers together with operands and broadcasts.
 */
export interface InstructionSet {
  readonly name: "amx" | "amx-twin" | "avx512bf16" | "avx512" | "avx2" | "neonbf16" | "neon" | "portable" | "wasm";
  /** Floats per vector. */
  readonly vectorLength: number;
  /** Rows and vectors of the matrix product's register tile. */
  readonly tileRows: number;
  readonly tileVectors: number;
  /** Whether it has a dot product of bf16 pairs (templates/bf16.h); else operands rounded to bf16 are multiplied as floats. */
  readonly bf16Products: boolean;
  /** Whether it multiplies bf16 in tile registers (templates/tiles.h). */
  readonly tiles: boolean;
  readonly flags: readonly string[];
  /** Macros that the compiler defines with -march=native on machines that support it. */
  readonly requires: readonly string[];
  /** Flags for products of int8 and f16, added if the machine defines the macro. `QUERN_EXTENSIONS=none` leaves them out. */
  readonly extensions?: readonly { readonly flag: string; readonly macro: string }[];
  /** Runs everywhere, slowly: used only if requested by name. */
  readonly onRequest?: true;
}

const AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma", "-mprefer-vector-width=512"];
const AVX512_MACROS = ["__AVX512F__", "__AVX512BW__", "__AVX512DQ__", "__AVX512VL__", "__FMA__"];

const VNNI = { flag: "-mavx512vnni", macro: "__AVX512VNNI__" };

export const INSTRUCTION_SETS: readonly InstructionSet[] = [
  // Linux grants the tile registers only on request (tile-permission.ts).
  {
    name: "amx",
    vectorLength: 16,
    tileRows: 6,
    tileVectors: 4,
    bf16Products: true,
    tiles: true,
    flags: [...AVX512, "-mavx512bf16", "-mamx-tile", "-mamx-bf16"],
    requires: [...AVX512_MACROS, "__AVX512BF16__", "__AMX_TILE__", "__AMX_BF16__"],
    extensions: [VNNI, { flag: "-mamx-int8", macro: "__AMX_INT8__" }],
  },
  {
    name: "avx512bf16",
    vectorLength: 16,
    tileRows: 6,
    tileVectors: 4,
    bf16Products: true,
    tiles: false,
    flags: [...AVX512, "-mavx512bf16"],
    requires: [...AVX512_MACROS, "__AVX512BF16__"],
    extensions: [VNNI],
  },
  {
    name: "avx512",
    vectorLength: 16,
    tileRows: 6,
    tileVectors: 4,
    bf16Products: false,
    tiles: false,
    flags: AVX512,
    requires: AVX512_MACROS,
    extensions: [VNNI],
  },
  {
    name: "avx2",
    vectorLength: 8,
    tileRows: 6,
    tileVectors: 2,
    bf16Products: false,
    tiles: false,
    flags: ["-mavx2", "-mfma"],
    requires: ["__AVX2__", "__FMA__"],
    extensions: [
      { flag: "-mf16c", macro: "__F16C__" },
      { flag: "-mavxvnni", macro: "__AVXVNNI__" },
    ],
  },
  // 32 registers: 24 accumulators, 4 vectors of B and the rest for A.
  {
    name: "neonbf16",
    vectorLength: 4,
    tileRows: 6,
    tileVectors: 4,
    bf16Products: true,
    tiles: false,
    flags: ["-march=armv8.2-a+bf16"],
    requires: ["__aarch64__", "__ARM_NEON", "__ARM_FEATURE_BF16_VECTOR_ARITHMETIC"],
    extensions: [{ flag: "-march=armv8.2-a+bf16+dotprod", macro: "__ARM_FEATURE_DOTPROD" }],
  },
  {
    name: "neon",
    vectorLength: 4,
    tileRows: 6,
    tileVectors: 4,
    bf16Products: false,
    tiles: false,
    flags: [],
    requires: ["__aarch64__", "__ARM_NEON"],
    extensions: [{ flag: "-march=armv8.2-a+dotprod", macro: "__ARM_FEATURE_DOTPROD" }],
  },
  // The same products with the same bits in portable C, for tests on any machine.
  {
    name: "amx-twin",
    vectorLength: 4,
    tileRows: 2,
    tileVectors: 16,
    bf16Products: true,
    tiles: true,
    flags: [],
    requires: [],
    onRequest: true,
  },
  // 128-bit vectors are part of baseline x86-64 and aarch64; elsewhere the compiler splits them.
  {
    name: "portable",
    vectorLength: 4,
    tileRows: 2,
    tileVectors: 4,
    bf16Products: false,
    tiles: false,
    flags: [],
    requires: [],
  },
  {
    name: "wasm",
    vectorLength: 4,
    tileRows: 2,
    tileVectors: 4,
    bf16Products: false,
    tiles: false,
    flags: ["-msimd128"],
    requires: [],
    onRequest: true,
  },
];

export function instructionSet(name: string): InstructionSet {
  const set = INSTRUCTION_SETS.find((row) => row.name === name);
  if (set) return set;
  throw new RangeError(
    `unknown instruction set "${name}"; known: ${INSTRUCTION_SETS.map((row) => row.name).join(", ")}`,
  );
}
