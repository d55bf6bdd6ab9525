/** @file Where the tests of the `cuda` backend run: on the emulator or a GPU, if the environment names one. */
import { describe } from "vitest";

/** `QUERN_TEST_CUDA=emulated` (set by `npm run test:cuda-emulated`) or `gpu` (set by `scripts/gpu-check.sh`). */
export const cudaDevice = process.env.QUERN_TEST_CUDA;

/** A group of tests that needs the emulator or a GPU. */
export function describeCuda(name: string, body: () => void): void {
  if (cudaDevice) describe(name, body);
  else describe.skip(`${name}: run npm run test:cuda-emulated, or scripts/gpu-check.sh with a GPU`, body);
}
