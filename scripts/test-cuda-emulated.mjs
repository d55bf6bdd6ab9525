/**
 * @file `npm run test:cuda-emulated`: runs the generated CUDA C++ on the CPU. The emulator in test/backends/cuda/emulator takes
 * the place of NVIDIA's driver and compiler, so the launch code is the same as on a GPU. Shared memory is checked for races, and
 * threads run in random order between barriers; QUERN_EMULATOR_SEED gives another order.
 *
 * Runs all operations, the models against transformers, AdamW and Muon against PyTorch. It needs a C++ compiler on Linux.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, install, requireNode, root, runTool } from "./steps.mjs";

/** Tests that run on the `cuda` backend if QUERN_TEST_CUDA is set. */
const TESTS = ["test/backends/cuda", "test/model/transformer", "test/model/bf16", "test/train/optimizer"];

requireNode();
const compiler = ["c++", "g++", "clang++"].find((name) => spawnSync(name, ["--version"]).status === 0);
if (process.platform !== "linux" || compiler === undefined) {
  console.log("quern: skipped: the emulator needs Linux and a C++ compiler (c++, g++ or clang++)");
  process.exit(0);
}
const folder = join(root, "test", "backends", "cuda", "emulator");
const [runtime, products] = ["runtime.cpp", "cublaslt.cpp"].map((name) => join(folder, name));
const made = mkdtempSync(join(tmpdir(), "quern-emulator-"));
const library = join(made, "emulator.so");
const defines = [`-DQN_FOLDER="${folder}"`, `-DQN_COMPILER="${compiler}"`];
const flags = ["-std=c++17", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-U_FORTIFY_SOURCE", "-Wall", "-Wextra"];
const compiled = spawnSync(compiler, [...flags, ...defines, runtime, products, "-o", library, "-ldl", "-lpthread"], {
  stdio: "inherit",
});
if (compiled.status !== 0) process.exit(1);
// Programs of another emulator are other programs: its files are part of the cache's name.
const files = ["emulator.h", "capture.h", "runtime.cpp", "cublaslt.cpp"].map((file) =>
  readFileSync(join(folder, file)),
);
const name = files
  .reduce((hash, file) => hash.update(file), createHash("sha256"))
  .digest("hex")
  .slice(0, 16);
const cache = join(tmpdir(), `quern-emulated-${process.getuid()}-${name}`);
mkdirSync(cache, { recursive: true, mode: 0o700 });
install();
let code = build();
if (code === 0) {
  const wanted = process.argv.slice(2);
  code = runTool("vitest", ["run", "--testTimeout=1200000", ...(wanted.length > 0 ? wanted : TESTS)], {
    ...{ QUERN_TEST_CUDA: "emulated", QUERN_CUDA_DRIVER: library, QUERN_NVRTC: library },
    ...{ QUERN_CUBLASLT: library, QUERN_CACHE: cache },
  });
}
rmSync(made, { recursive: true, force: true });
process.exit(code);
