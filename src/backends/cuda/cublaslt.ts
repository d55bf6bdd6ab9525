/**
 * @file NVIDIA's cuBLASLt, if it is installed: products of matrices in bf16. The numbers below are those of cublasLt.h and
 * library_types.h, which have not changed since CUDA 11.
 *
 * cuBLASLt's matrices are in columns, ours in rows. A matrix in rows is its transpose in columns, so it computes Cᵀ = Bᵀ · Aᵀ.
 */
import { QuernError } from "../../errors.js";
import { findCublasLt, type Library } from "./libraries.js";

/** A product C (M,N) = A (M,K) · B (K,N). A and B are in bf16; sums are in fp32. */
export interface ProductShape {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** Whether A is stored as (K,M), and B as (N,K). */
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly output: "f32" | "bf16";
  /** Whether it is added to C. */
  readonly adds: boolean;
  /** Whether a vector (N) of C's type is added to each row. */
  readonly bias: boolean;
}

/** How the library computes a shape: chosen once, valid for this version of the library and this GPU. */
export interface Algorithm {
  /** The 64 bytes of a `cublasLtMatmulAlgo_t` in hexadecimal. */
  readonly data: string;
  /** Bytes of workspace. */
  readonly workspace: number;
}

/** Device addresses. */
export interface ProductAddresses {
  readonly a: bigint;
  readonly b: bigint;
  readonly c: bigint;
  readonly workspace: bigint;
  /** 0 if there is none. */
  readonly bias: bigint;
}

export interface CublasLt {
  readonly path: string;
  readonly version: string;
  /** Returns null if the library does not support the shape. The GPU's context must be current. */
  choose(shape: ProductShape): Algorithm | null;
  /** Starts a product on a stream, which may be recording. */
  start(shape: ProductShape, algorithm: Algorithm, at: ProductAddresses, stream: bigint): void;
}

const [F32, BF16, COMPUTE_F32] = [0, 14, 68];
/** Attributes of cublasLtMatmulDesc_t. */
const [TRANSPOSE_X, TRANSPOSE_Y, EPILOGUE, BIAS_POINTER, BIAS_TYPE] = [3, 4, 7, 8, 26];
const EPILOGUE_BIAS = 4;
const MAX_WORKSPACE_BYTES = 1;
/** Alignments of A, B, C and D. */
const MIN_ALIGNMENTS = [5, 6, 7, 8];
/** Bytes that addresses and rows of operands are multiples of. */
export const PRODUCT_ALIGNMENT = 16;
/** What NVIDIA recommends for Hopper. */
const WORKSPACE = 32 << 20;
/** cublasLtMatmulHeuristicResult_t: algorithm (64), workspace (8), status (4), waves (4), reserved (16). */
const RESULT_BYTES = 96;
const NOT_SUPPORTED = 15;

/** The library's functions. */
export type Functions = ReturnType<typeof bind>;
let bound: Functions | null | undefined;

/** Opens the library for the GPU whose context is current; null if it is not installed. */
export function openCublasLt(): CublasLt | null {
  const api = loadCublasLt();
  return api && createCublasLt(api);
}

/** Loads the library, which needs no GPU yet; null if it is not installed. */
export function loadCublasLt(): Functions | null {
  if (bound === undefined) {
    const found = findCublasLt();
    bound = "problem" in found ? null : bind(found.library, found.path);
  }
  return bound;
}

function bind(library: Library, path: string) {
  const int = (prototype: string) => library.func(`int ${prototype}`) as (...given: unknown[]) => number;
  const version = Number((library.func("size_t cublasLtGetVersion()") as () => number | bigint)());
  return {
    path,
    version: `${Math.floor(version / 10000)}.${Math.floor((version % 10000) / 100)}.${version % 100}`,
    explain: library.func("const char *cublasLtGetStatusString(int status)") as (status: number) => string,
    create: int("cublasLtCreate(_Out_ void **handle)"),
    operation: int("cublasLtMatmulDescCreate(_Out_ void **description, int compute, int scale)"),
    setOperation: int("cublasLtMatmulDescSetAttribute(void *description, int attribute, void *value, size_t bytes)"),
    closeOperation: int("cublasLtMatmulDescDestroy(void *description)"),
    layout: int(
      "cublasLtMatrixLayoutCreate(_Out_ void **layout, int type, uint64_t rows, uint64_t columns, int64_t ld)",
    ),
    closeLayout: int("cublasLtMatrixLayoutDestroy(void *layout)"),
    preference: int("cublasLtMatmulPreferenceCreate(_Out_ void **preference)"),
    setPreference: int(
      "cublasLtMatmulPreferenceSetAttribute(void *preference, int attribute, void *value, size_t bytes)",
    ),
    closePreference: int("cublasLtMatmulPreferenceDestroy(void *preference)"),
    choose: int(
      "cublasLtMatmulAlgoGetHeuristic(void *handle, void *operation, void *x, void *y, void *c, void *d, void *preference, " +
        "int wanted, void *results, _Out_ int *count)",
    ),
    start: int(
      "cublasLtMatmul(void *handle, void *operation, void *alpha, uint64_t x, void *xLayout, uint64_t y, void *yLayout, " +
        "void *beta, uint64_t c, void *cLayout, uint64_t d, void *dLayout, void *algorithm, uint64_t workspace, size_t bytes, void *stream)",
    ),
  };
}

function check(api: Functions, status: number, what: string): void {
  if (status !== 0) throw new QuernError(`cuBLASLt ${api.path} cannot ${what}: ${api.explain(status)}`);
}

function one(api: Functions, what: string, f: (...given: unknown[]) => number, ...given: unknown[]): bigint {
  const out: [bigint | null] = [null];
  check(api, f(out, ...given), what);
  return out[0] as bigint;
}

/** The library's descriptions of a product: X is B, Y is A, and C also stands for D. */
export interface Description {
  readonly operation: bigint;
  readonly x: bigint;
  readonly y: bigint;
  readonly c: bigint;
}

/** Calls `work` with the descriptions of a shape, and frees them. */
export function described<T>(
  api: Functions,
  { M, N, K, transposeA, transposeB, output, bias }: ProductShape,
  biasAt: bigint,
  work: (description: Description) => T,
): T {
  const close: (() => void)[] = [];
  try {
    const operation = one(api, "describe a product", api.operation, COMPUTE_F32, F32);
    close.push(() => api.closeOperation(operation));
    const set = (attribute: number, value: NodeJS.TypedArray) =>
      check(api, api.setOperation(operation, attribute, value, value.byteLength), "describe a product");
    set(TRANSPOSE_X, Int32Array.of(Number(transposeB)));
    set(TRANSPOSE_Y, Int32Array.of(Number(transposeA)));
    const type = output === "bf16" ? BF16 : F32;
    if (bias) {
      set(EPILOGUE, Int32Array.of(EPILOGUE_BIAS));
      set(BIAS_TYPE, Int32Array.of(type));
      set(BIAS_POINTER, BigUint64Array.of(biasAt));
    }
    const layout = (dtype: number, rows: number, columns: number) => {
      const made = one(api, "describe a matrix", api.layout, dtype, rows, columns, rows);
      close.push(() => api.closeLayout(made));
      return made;
    };
    const x = transposeB ? layout(BF16, K, N) : layout(BF16, N, K);
    const y = transposeA ? layout(BF16, M, K) : layout(BF16, K, M);
    return work({ operation, x, y, c: layout(type, N, M) });
  } finally {
    for (const each of close.reverse()) each();
  }
}

function createCublasLt(api: Functions): CublasLt {
  const handle = one(api, "start", api.create);
  return {
    path: api.path,
    version: api.version,
    choose(shape) {
      // The vector's address is not known yet; only its alignment counts.
      return described(api, shape, BigInt(PRODUCT_ALIGNMENT), ({ operation, x, y, c }) => {
        const preference = one(api, "describe a product", api.preference);
        try {
          const set = (attribute: number, value: NodeJS.TypedArray) =>
            check(api, api.setPreference(preference, attribute, value, value.byteLength), "describe a product");
          set(MAX_WORKSPACE_BYTES, BigUint64Array.of(BigInt(WORKSPACE)));
          for (const attribute of MIN_ALIGNMENTS) set(attribute, Uint32Array.of(PRODUCT_ALIGNMENT));
          const result = Buffer.alloc(RESULT_BYTES);
          const count: [number] = [0];
          const status = api.choose(handle, operation, x, y, c, c, preference, 1, result, count);
          if (status === NOT_SUPPORTED || count[0] === 0 || result.readInt32LE(72) !== 0) return null;
          check(api, status, "choose an algorithm");
          return { data: result.toString("hex", 0, 64), workspace: Number(result.readBigUInt64LE(64)) };
        } finally {
          api.closePreference(preference);
        }
      });
    },
    start(shape, algorithm, at, stream) {
      described(api, shape, at.bias, ({ operation, x, y, c }) => {
        const [alpha, beta] = [Float32Array.of(1), Float32Array.of(shape.adds ? 1 : 0)];
        const data = Buffer.from(algorithm.data, "hex");
        const operands = [alpha, at.b, x, at.a, y, beta, at.c, c, at.c, c] as const;
        const { workspace } = algorithm;
        const room = workspace > 0 ? at.workspace : 0n;
        check(api, api.start(handle, operation, ...operands, data, room, workspace, stream), "multiply");
      });
    },
  };
}
