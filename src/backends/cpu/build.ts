/**
 * @file Compiles C source to a loadable library. The templates are compiled once to an object that many programs link to, because
 * they would take most of each program's build time. The cache keys the object by everything it depends on.
 */
import { execFile } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { promisify } from "node:util";
import { QuernError } from "../../errors.js";
import { cachedOnce, keyOf } from "../program-cache.js";
import { runClang } from "./clang.js";
import { emulator } from "./emulated.js";
import type { InstructionSet } from "./instruction-sets.js";
import type { Compiler } from "./toolchain.js";

const execute = promisify(execFile);

/** The compiler and its target. */
export interface Tools {
  readonly set: InstructionSet;
  /** Null for WebAssembly. */
  readonly compiler: Compiler | null;
  /** Index of the module's static data in a WebAssembly heap. */
  readonly slot: number;
}

/** C source of a program. */
export interface Source {
  readonly source: string;
  /** C that is compiled separately, in parallel, and linked to it. */
  readonly templates?: string;
}

// -ffp-contract=fast allows fused a·b + c; all other arithmetic stays IEEE.
const NATIVE_FLAGS = [
  ...["-std=gnu11", "-shared", "-fPIC", "-pthread", "-fvisibility=hidden", "-ffp-contract=fast"],
  // A tile's loop takes up to a sixth longer if it does not start on a cache line (Skylake).
  "-falign-functions=64",
];
/** 4 GiB of address space; memory grows only as far as programs need. */
export const WASM_PAGES = 65536;
/** Stack of a WebAssembly thread in bytes; the templates put tiles of tens of KiB there. */
export const WASM_STACK = 1 << 20;
const WASM_FLAGS = [
  ...["--target=wasm32", "-std=gnu11", "-nostdlib", "-ffreestanding", "-ffp-contract=fast"],
  ...["-pthread", "-matomics", "-mbulk-memory", "-mmutable-globals"],
];
/** Bytes of a slot, which contains a module's static data and the first thread's stack. */
export const SLOT_BYTES = 2 << 20;
const wasmLink = (slot: number) => [
  ...["-Wl,--no-entry", "-Wl,--import-memory", "-Wl,--shared-memory", `-Wl,--max-memory=${WASM_PAGES * 65536}`],
  // Each thread sets its own stack pointer.
  ...["-Wl,--export=__stack_pointer", `-Wl,-z,stack-size=${WASM_STACK}`],
  // Keep address 0 unused, since it is the null pointer.
  ...["-Wl,--no-stack-first", `-Wl,--global-base=${slot * SLOT_BYTES + 1024}`],
];

/** For an emulator, a program is a whole executable whose main exchanges the arena through a file (templates/runner.c). */
const EMULATED_FLAGS = NATIVE_FLAGS.filter((flag) => flag !== "-shared" && flag !== "-fPIC").concat("-static");
const runner = () => readFile(new URL("./templates/runner.c", import.meta.url), "utf8");

/**
 * Optimization flags. Programs use -O2: their loops are already vectorized, and -O3 compiles 50 % longer for no gain.
 * Templates, which are built only once, use the next level. `QUERN_OPTIMIZE` (0 to 2) overrides the level, for tests
 * that build much and compute little.
 */
function optimisation(): { readonly program: string; readonly templates: string } {
  const level = process.env.QUERN_OPTIMIZE || "2";
  if (/^[0-2]$/.test(level)) return { program: `-O${level}`, templates: `-O${Number(level) + 1}` };
  throw new QuernError(`QUERN_OPTIMIZE must be 0, 1 or 2, not "${level}"`, { exitCode: 2 });
}

const LIBRARY_SUFFIX: { readonly [platform: string]: string } = { win32: ".dll", darwin: ".dylib" };

/** The built program's library, and its readable source. */
export const libraryOf = ({ compiler }: Tools) => `program${suffixOf(compiler)}`;
export const SOURCE_FILE = "program.c";

/** Cache key of everything that a program's files depend on besides its source. */
export async function keyOfTools(tools: Tools): Promise<string> {
  return JSON.stringify([optimisation(), await recipe(tools), await identityOf(tools)]);
}

const identityOf = async ({ compiler }: Tools) =>
  compiler ? [compiler.command, compiler.version, compiler.identity] : [await clangVersion()];

/** Compiles a program in a folder and links it with its templates. */
export async function build({ source, templates }: Source, tools: Tools, folder: string): Promise<void> {
  const { compiler } = tools;
  const { flags, link, end } = await recipe(tools);
  const levels = optimisation();
  const compile = (into: string, stem: "program" | "templates", text: string) => {
    const [file, compileFlags] = [`${stem}.c`, [levels[stem], ...flags, "-c"]];
    return writeFile(join(into, file), text).then(() => run(compiler, into, compileFlags, [file], `${stem}.o`));
  };
  const object = async () => {
    if (templates === undefined) return [];
    const key = keyOf([templates, levels, flags, await identityOf(tools)]);
    const made = await cachedOnce(key, ["templates.o"], (into) => compile(into, "templates", templates));
    return [join(made.folder, "templates.o")];
  };
  const [objects] = await Promise.all([object(), compile(folder, "program", source + end)]);
  await run(compiler, folder, [...flags, ...link], ["program.o", ...objects], libraryOf(tools));
  await rm(join(folder, "program.o"));
}

interface Recipe {
  readonly flags: readonly string[];
  /** Additional flags for linking. */
  readonly link: readonly string[];
  /** C appended to the program's source. */
  readonly end: string;
}

async function recipe({ set, compiler, slot }: Tools): Promise<Recipe> {
  if (!compiler) return { flags: [...WASM_FLAGS, ...set.flags], link: wasmLink(slot), end: "" };
  const extensions = extensionFlags(set, compiler);
  if (emulator()) return { flags: [...EMULATED_FLAGS, ...set.flags, ...extensions], link: [], end: await runner() };
  return { flags: [...nativeFlags(set, compiler.native), ...extensions], link: [], end: "" };
}

/** Flags of the extensions that this machine has; none with `QUERN_EXTENSIONS=none`. */
function extensionFlags({ extensions = [] }: InstructionSet, { macros }: Compiler): string[] {
  if (process.env.QUERN_EXTENSIONS === "none") return [];
  return extensions.flatMap(({ flag, macro }) => (macros.has(macro) ? [flag] : []));
}

function suffixOf(compiler: Compiler | null): string {
  if (!compiler) return ".wasm";
  return emulator() ? "" : (LIBRARY_SUFFIX[process.platform] ?? ".so");
}

/** @param native the compiler's flags for this machine; they only choose the scheduling here, not the instructions */
export function nativeFlags(set: InstructionSet, native: readonly string[]): string[] {
  const tuning = native.includes("-march=native") ? ["-mtune=native"] : [];
  return [...NATIVE_FLAGS, ...tuning, ...set.flags];
}

/** Runs the compiler or linker in a folder. */
async function run(
  compiler: Compiler | null,
  folder: string,
  flags: readonly string[],
  inputs: readonly string[],
  output: string,
): Promise<void> {
  if (!compiler) {
    const files = await Promise.all(
      inputs.map(async (input) => [basename(input), await readFile(resolve(folder, input))] as const),
    );
    await writeFile(join(folder, output), await runClang(flags, files));
    return;
  }
  try {
    await execute(compiler.command, [...flags, ...inputs, "-o", output], { cwd: folder, maxBuffer: 1 << 24 });
  } catch (error) {
    const output = String((error as { stderr?: string }).stderr ?? error);
    const firstError = output.split("\n").find((line) => line.includes("error")) ?? output.slice(0, 500);
    throw new QuernError(
      `the C compiler ${compiler.command} (${compiler.version}) failed: ${firstError.trim()}; ` +
        'set QUERN_CC to another compiler, or to "none" to use WebAssembly',
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
      "no C compiler found (cc, gcc or clang); install one, or clang for WebAssembly: npm install @yowasp/clang",
    );
  }
}
