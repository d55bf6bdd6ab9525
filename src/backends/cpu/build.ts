/** @file C source → something that can be loaded, kept in the cache by the hash of all that it depends on. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { QuernError } from "../../errors.js";
import { compileWasm } from "./clang.js";
import { emulator } from "./emulated.js";
import type { InstructionSet } from "./instruction-sets.js";
import { cachedProgram } from "./program-cache.js";
import type { Compiler } from "./toolchain.js";

const execute = promisify(execFile);

export interface Built {
  /** The shared library or WebAssembly module. */
  readonly library: string;
  /** The C file it was made from, to be read. */
  readonly source: string;
  readonly cached: boolean;
  readonly seconds: number;
}

// -ffp-contract=fast lets a·b + c be one instruction; everything else keeps IEEE meaning.
const NATIVE_FLAGS = ["-std=gnu11", "-shared", "-fPIC", "-pthread", "-fvisibility=hidden", "-ffp-contract=fast"];
/** A 4 GiB address space, of which only what a program plans is taken. */
export const WASM_PAGES = 65536;
/** Bytes of a thread's stack in WebAssembly: the templates keep tiles of some tens of KiB there. */
export const WASM_STACK = 1 << 20;
const WASM_FLAGS = [
  ...["--target=wasm32", "-std=gnu11", "-nostdlib", "-ffreestanding", "-ffp-contract=fast"],
  ...["-pthread", "-matomics", "-mbulk-memory", "-mmutable-globals"],
  ...["-Wl,--no-entry", "-Wl,--import-memory", "-Wl,--shared-memory", `-Wl,--max-memory=${WASM_PAGES * 65536}`],
  // Each thread sets its own stack.
  ...["-Wl,--export=__stack_pointer", `-Wl,-z,stack-size=${WASM_STACK}`],
];

/** A program for an emulator is a whole executable, with a main that an arena comes and goes by. */
const EMULATED_FLAGS = NATIVE_FLAGS.filter((flag) => flag !== "-shared" && flag !== "-fPIC").concat("-static");
const runner = () => readFile(new URL("./templates/runner.c", import.meta.url), "utf8");

/** -O3, or what `QUERN_OPTIMIZE` says, 0 to 3: many tests build much and compute little. */
function optimisation(): string {
  const level = process.env.QUERN_OPTIMIZE || "3";
  if (/^[0-3]$/.test(level)) return `-O${level}`;
  throw new QuernError(`QUERN_OPTIMIZE must be 0, 1, 2 or 3, not "${level}"`, { exitCode: 2 });
}

const LIBRARY_SUFFIX: { readonly [platform: string]: string } = { win32: ".dll", darwin: ".dylib" };

/** @param compiler null for WebAssembly */
export async function build(source: string, set: InstructionSet, compiler: Compiler | null): Promise<Built> {
  const start = performance.now();
  const [text, flags, suffix] = await recipe(source, set, compiler);
  // The library is tuned for a processor by a compiler: another one of either builds its own.
  const by = compiler ? [compiler.command, compiler.version, compiler.identity] : [await clangVersion()];
  const machine = [process.platform, process.arch, cpus()[0]?.model ?? ""];
  const key = createHash("sha256")
    .update(JSON.stringify([text, flags, by, machine]))
    .digest("hex")
    .slice(0, 32);
  const library = `program${suffix}`;
  const { folder, cached } = await cachedProgram(key, library, async (temporary) => {
    await writeFile(join(temporary, "program.c"), text);
    if (compiler) await compileNative(compiler, flags, temporary, library);
    else await writeFile(join(temporary, library), await compileWasm(text, flags));
  });
  const seconds = (performance.now() - start) / 1000;
  return { library: join(folder, library), source: join(folder, "program.c"), cached, seconds };
}

/** What is compiled, with which flags, to a file of which suffix. */
async function recipe(
  source: string,
  set: InstructionSet,
  compiler: Compiler | null,
): Promise<[text: string, flags: readonly string[], suffix: string]> {
  if (!compiler) return [source, [optimisation(), ...WASM_FLAGS, ...set.flags], ".wasm"];
  if (emulator()) return [source + (await runner()), [optimisation(), ...EMULATED_FLAGS, ...set.flags], ""];
  return [source, nativeFlags(set, compiler.native), LIBRARY_SUFFIX[process.platform] ?? ".so"];
}

/** @param native the compiler's flags for this very machine: here they choose the scheduling, but no instruction */
export function nativeFlags(set: InstructionSet, native: readonly string[]): string[] {
  const tuning = native.includes("-march=native") ? ["-mtune=native"] : [];
  return [optimisation(), ...NATIVE_FLAGS, ...tuning, ...set.flags];
}

async function compileNative(compiler: Compiler, flags: readonly string[], folder: string, name: string) {
  try {
    await execute(compiler.command, [...flags, "program.c", "-o", name], { cwd: folder, maxBuffer: 1 << 24 });
  } catch (error) {
    const output = String((error as { stderr?: string }).stderr ?? error);
    const firstError = output.split("\n").find((line) => line.includes("error")) ?? output.slice(0, 500);
    throw new QuernError(
      `the C compiler ${compiler.command} (${compiler.version}) failed: ${firstError.trim()}; ` +
        'QUERN_CC names another one, or "none" for WebAssembly',
      { cause: error },
    );
  }
}

export async function clangVersion(): Promise<string> {
  try {
    const manifest = new URL("../package.json", import.meta.resolve("@yowasp/clang"));
    const { version } = JSON.parse(await readFile(manifest, "utf8")) as { version: string };
    return `@yowasp/clang ${version}`;
  } catch {
    throw new QuernError(
      "there is no C compiler (cc, gcc or clang); install one, or clang as WebAssembly: npm install @yowasp/clang",
    );
  }
}
