// Runs a C file of this folder as WebAssembly SIMD, one thread, through @yowasp/clang and WASI.
//   node bench/kernels/wasm.mjs check.c [arguments of the program]
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";
import { runClang } from "@yowasp/clang";

const [program, ...options] = process.argv.slice(2);
const flags = options.filter((o) => o.startsWith("-"));
const here = new URL(".", import.meta.url);
const read = (path) => readFileSync(new URL(path, here), "utf8");
const names = ["platform", "vector", "bf16", "pool", "gemm", "gemv", "attention", "cross_entropy", "embedding", "rope"];
const templates = names.map((name) => read(`../../src/backends/cpu/templates/${name}.h`)).join("\n");
const row = read("templates.h").replace(/#include .*\n/g, "");
const source = read(program).replace(/#include "templates.h"/, () => row + templates);
const out = await runClang(
  [
    "clang",
    "-O3",
    "-msimd128",
    "-mbulk-memory",
    "-DQN_VL=4",
    "-DQN_THREADS=0",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
    "-D_WASI_EMULATED_MMAN",
    ...flags,
    "-Wl,-z,stack-size=1048576",
    "main.c",
    "-lm",
    "-lwasi-emulated-mman",
    "-lwasi-emulated-process-clocks",
    "-o",
    "main.wasm",
  ],
  { "main.c": source },
);
const wasi = new WASI({ version: "preview1", args: [program, ...options.filter((o) => !o.startsWith("-"))] });
const module = await WebAssembly.compile(out["main.wasm"]);
const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport });
process.exitCode = wasi.start(instance);
