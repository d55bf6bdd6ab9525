/** @file A reader with every fault that the fuzzer looks for, by the seed: its own test. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { QuernError } from "../../../src/errors.js";
import type { Target } from "../target.js";

/** What happens with each seed, from 0 on. */
const FAULTS: readonly (() => unknown)[] = [
  () => undefined,
  () => {
    throw new QuernError("a file that is damaged");
  },
  () => {
    throw new TypeError("a planted error");
  },
  () => {
    for (;;);
  },
  () => process.kill(process.pid, "SIGSEGV"),
  () => void Promise.reject(new Error("a planted rejection")),
  () => console.error(new Error("a planted trace").stack),
  () => {
    throw new QuernError("internal error: planted");
  },
  () => {
    const kept: Buffer[] = [];
    for (;;) kept.push(Buffer.alloc(1 << 24, 1));
  },
  () => process.exit(0),
];

export function open(): Target {
  return {
    make: (_, seed) => ({ seed: String(seed) }),
    async read(folder, reached) {
      reached();
      FAULTS[Number(readFileSync(join(folder, "seed"), "utf8"))]?.();
      await new Promise((resolve) => setTimeout(resolve, 20));
    },
  };
}
