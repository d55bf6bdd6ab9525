/** @file Compiles CUDA C++ to machine code for a GPU by NVRTC, which needs neither the GPU nor a toolkit. */
import { QuernError } from "../../errors.js";
import { findNvrtc, type Library } from "./libraries.js";

/** NVRTC with its version. */
export interface Nvrtc {
  readonly path: string;
  readonly version: string;
  /** Architectures that it makes machine code for, as in 80 and 90, ascending. */
  readonly architectures: readonly number[];
  /**
   * Compiles a source.
   * @param architecture `sm_90a` gives machine code, `compute_90` PTX that the driver compiles
   * @throws QuernError with the first error of the source
   */
  compile(source: string, architecture: string, options?: readonly string[]): Promise<Compiled>;
}

export interface Compiled {
  readonly image: Uint8Array;
  /** Warnings, and what ptxas reports if it was told to. */
  readonly log: string;
}

let opened: Nvrtc | null = null;

/** @throws QuernError if NVRTC is not found */
export function openNvrtc(): Nvrtc {
  if (opened) return opened;
  const found = findNvrtc();
  if ("problem" in found) {
    throw new QuernError(
      `NVIDIA's compiler NVRTC was not found (${found.problem}); install it (pip install nvidia-cuda-nvrtc, or the CUDA ` +
        "toolkit) and set QUERN_NVRTC to its library",
    );
  }
  opened = bind(found.library, found.path);
  return opened;
}

function bind(library: Library, path: string): Nvrtc {
  const int = (prototype: string) => library.func(prototype) as (...given: unknown[]) => number;
  const version = int("int nvrtcVersion(_Out_ int *major, _Out_ int *minor)");
  const count = int("int nvrtcGetNumSupportedArchs(_Out_ int *count)");
  const list = int("int nvrtcGetSupportedArchs(void *list)");
  const create = int(
    "int nvrtcCreateProgram(_Out_ void **program, const char *source, const char *name, int headers, const char **texts, const char **names)",
  );
  const run = library.func("int nvrtcCompileProgram(void *program, int count, const char **options)");
  const logSize = int("int nvrtcGetProgramLogSize(void *program, _Out_ size_t *size)");
  const log = int("int nvrtcGetProgramLog(void *program, void *log)");
  const destroy = int("int nvrtcDestroyProgram(_Inout_ void **program)");
  const explain = library.func("const char *nvrtcGetErrorString(int code)") as (code: number) => string;
  const images = {
    sm: [
      int("int nvrtcGetCUBINSize(void *program, _Out_ size_t *size)"),
      int("int nvrtcGetCUBIN(void *program, void *image)"),
    ],
    compute: [
      int("int nvrtcGetPTXSize(void *program, _Out_ size_t *size)"),
      int("int nvrtcGetPTX(void *program, void *image)"),
    ],
  } as const;
  const check = (code: number, what: string) => {
    if (code !== 0) throw new QuernError(`NVRTC cannot ${what}: ${explain(code)}`);
  };
  const one = <T>(what: string, f: (...given: unknown[]) => number, ...given: unknown[]): T => {
    const out: [T | null] = [null];
    check(f(...given, out), what);
    return out[0] as T;
  };
  const bytes = (
    program: unknown,
    [size, read]: readonly [(...x: unknown[]) => number, (...x: unknown[]) => number],
  ) => {
    const image = new Uint8Array(Number(one<number | bigint>("measure its result", size, program)));
    check(read(program, image), "return its result");
    return image;
  };
  const [major, minor] = [[0], [0]];
  check(version(major, minor), "tell its version");
  const architectures = new Int32Array(one<number>("count its architectures", count));
  check(list(architectures), "list its architectures");

  return {
    path,
    version: `${major[0]}.${minor[0]}`,
    architectures: [...architectures].sort((a, b) => a - b),
    async compile(source, architecture, options = []) {
      const out: [bigint | null] = [null];
      check(create(out, source, "program.cu", 0, null, null), "open a program");
      const program = out[0] as bigint;
      try {
        const flags = [`--gpu-architecture=${architecture}`, "--std=c++17", ...options];
        const code = await new Promise<number>((resolve, reject) => {
          run.async(program, flags.length, flags, (error: unknown, result: number) =>
            error ? reject(error) : resolve(result),
          );
        });
        const text = Buffer.from(bytes(program, [logSize, log]))
          .toString("utf8")
          .replace(/\0+$/, "");
        if (code !== 0) {
          const first = text.split("\n").find((line) => /error/.test(line)) ?? explain(code);
          throw new QuernError(`NVRTC ${path} failed for ${architecture}: ${first.trim()}`, { cause: new Error(text) });
        }
        return { image: bytes(program, architecture.startsWith("sm_") ? images.sm : images.compute), log: text };
      } finally {
        destroy([program]);
      }
    },
  };
}

/**
 * The architecture to compile for on a GPU of this compute capability: its own, with the instructions of only this one where there
 * are some (sm_90a), or PTX of the newest one that this NVRTC knows.
 */
export function architectureFor(capability: number, known: readonly number[]): string {
  if (known.includes(capability)) return `sm_${capability}${capability >= 90 ? "a" : ""}`;
  const newest = known.filter((each) => each <= capability).pop();
  if (newest === undefined)
    throw new QuernError(`NVRTC cannot compile for a GPU of compute capability ${capability / 10}`);
  return `compute_${newest}`;
}
