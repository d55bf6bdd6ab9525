/**
 * @file `node scripts/kernels.mjs [--check]`: compiles every src/**\/kernel.c with the pinned @yowasp/clang to a kernel.wasm in
 * the same folder, which is checked in. With --check it only compares.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { setFlagsFromString } from "node:v8";
import { requireNode, root } from "./steps.mjs";

/** Freestanding: no C library. JavaScript creates the memory, so that several threads can share it. */
export const FLAGS = [
  ...["--target=wasm32", "-O3", "-msimd128", "-mbulk-memory", "-matomics", "-nostdlib", "-Wall", "-Werror"],
  ...["-Wl,--no-entry", "-Wl,--import-memory", "-Wl,--shared-memory", "-Wl,--max-memory=4294967296"],
  ...["-Wl,--export=__heap_base", "-Wl,--export=__stack_pointer", "-Wl,-z,stack-size=65536", "-Wl,--strip-all"],
];

/** Compiles one C file and returns the bytes. Throws an error with the compiler's output. */
export async function buildKernel(source) {
  const { commands } = await import("@yowasp/clang");
  let output = "";
  const collect = (bytes) => {
    if (bytes) output += Buffer.from(bytes).toString();
  };
  try {
    const tree = { "kernel.c": readFileSync(source, "utf8") };
    const files = await commands.clang([...FLAGS, "kernel.c", "-o", "kernel.wasm"], tree, {
      stdout: collect,
      stderr: collect,
    });
    return Buffer.from(files["kernel.wasm"]);
  } catch (error) {
    throw new Error(`${relative(root, source)}: ${output || error}`);
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  requireNode();
  // Optimising clang's own WebAssembly would take V8 twice as long as compiling these files.
  for (const flag of ["--liftoff-only", "--no-wasm-tier-up", "--no-wasm-dynamic-tiering"]) setFlagsFromString(flag);
  const sources = readdirSync(join(root, "src"), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.name === "kernel.c")
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  let stale = 0;
  for (const source of sources) {
    const target = join(dirname(source), "kernel.wasm");
    const bytes = await buildKernel(source);
    const same = existsSync(target) && readFileSync(target).equals(bytes);
    if (!same && process.argv.includes("--check")) stale += 1;
    else if (!same) writeFileSync(target, bytes);
    console.log(
      `${relative(root, target)}: ${bytes.length} bytes${same ? "" : process.argv.includes("--check") ? ", STALE" : ", written"}`,
    );
  }
  process.exit(stale > 0 ? 1 : 0);
}
