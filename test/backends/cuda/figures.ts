/** @file What ptxas reports of compiled kernels. */

/** The limits of the `cuda` backend's memory (src/backends/cuda/index.ts). */
export const CUDA_LIMITS = { alignment: 256, maxBindingBytes: Number.POSITIVE_INFINITY, storesBf16: true };

export interface Figures {
  readonly kernel: string;
  readonly registers: number;
  /** Bytes of shared memory per block. */
  readonly shared: number;
  /** Bytes of registers written to memory because there were too few. */
  readonly spills: number;
}

/** Reads the log of `--ptxas-options=-v`. */
export function figuresOf(log: string): Figures[] {
  return log
    .split(/Compiling entry function '/)
    .slice(1)
    .map((part) => {
      const number = (pattern: RegExp) => Number(pattern.exec(part)?.[1] ?? 0);
      return {
        kernel: part.slice(0, part.indexOf("'")),
        registers: number(/Used (\d+) registers/),
        shared: number(/(\d+) bytes smem/),
        spills: number(/(\d+) bytes spill stores/),
      };
    });
}
