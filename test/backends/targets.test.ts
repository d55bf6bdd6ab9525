/** @file The emitted C compiles for other operating systems and processors (`npm run test:targets`). */
import { execFile } from "node:child_process";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nativeFlags } from "../../src/backends/cpu/build.js";
import { emitProgram } from "../../src/backends/cpu/emit.js";
import { instructionSet } from "../../src/backends/cpu/instruction-sets.js";
import { type ComputeDType, compileGraph } from "../../src/compiler/index.js";
import { defineModel } from "../../src/model/index.js";
import { ADAMW_DEFAULTS, languageModelTrainer, traceTrainer } from "../../src/train/index.js";

const python = process.env.QUERN_ZIG_PYTHON;

const TARGETS: readonly (readonly [system: string, set: string, dtype: ComputeDType])[] = [
  ["aarch64-macos", "neon", "fp32"],
  ["aarch64-macos", "neonbf16", "bf16"],
  ["x86_64-macos", "avx2", "fp32"],
  ["x86_64-windows-gnu", "avx2", "fp32"],
  ["x86_64-windows-gnu", "avx512bf16", "bf16"],
  ["aarch64-windows-gnu", "neon", "fp32"],
  ["riscv64-linux-musl", "portable", "fp32"],
];

const ZIG_FLAGS: Readonly<Record<string, string>> = {
  "-O3": "-O1",
  "-shared": "-c",
  "-march=armv8.2-a+bf16": "-mcpu=generic+bf16",
};

describe.skipIf(python === undefined)("emitted C (npm run test:targets)", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "quern-targets-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(TARGETS)("compiles for %s, %s, %s", { timeout: 600_000 }, async (system, name, dtype) => {
    const set = instructionSet(name);
    const config = defineModel({ layers: 2, width: 64, heads: 4, vocabSize: 300, sequence: 64 });
    const trainer = languageModelTrainer(config, { batch: 2, sequence: 64 });
    const { entries } = traceTrainer(trainer, { optimizer: ADAMW_DEFAULTS, accumulate: 2 });
    const { source, templates } = emitProgram(compileGraph(entries, { dtype }), set, 4);
    // Nothing is linked or run, so little optimization is enough; zig has its own processor names.
    const flags = nativeFlags(set, []).map((flag) => ZIG_FLAGS[flag] ?? flag);
    const more = ["-O1", "-Wno-pass-failed", "-Werror=implicit-function-declaration"];
    for (const [part, text] of Object.entries({ source, templates })) {
      const file = join(folder, `${system}-${name}-${part}.c`);
      const object = join(folder, `${system}-${name}-${part}.o`);
      await writeFile(file, text);
      const ziglang = ["-m", "ziglang", "cc", "-target", system];
      await promisify(execFile)(python as string, [...ziglang, ...flags, ...more, file, "-o", object]);
      expect((await stat(object)).size).toBeGreaterThan(10_000);
    }
  });
});
