/**
 * @file C source → something that can be loaded. The templates are an object that many programs are linked to, in the cache by
 * the hash of all that it depends on: they would be most of each program's build.
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

/** What compiles, and for what. */
export interface Tools {
  readonly set: InstructionSet;
  /** Null for WebAssembly. */
  readonly compiler: Compiler | null;
  /** Where in a WebAssembly heap the module's static data will be. */
  readonly slot: number;
}

/** What is compiled. */
export interface Source {
  readonly source: string;
  /** C that is compiled apart, at the same time, and linked to it. */
  readonly templates?: string;
}

// -ffp-contract=fast lets a·b + c be one instruction; everything else keeps IEEE meaning.
const NATIVE_FLAGS = [
  ...["-std=gnu11", "-shared", "-fPIC", "-pthread", "-fvisibility=hidden", "-ffp-contract=fast"],
  // A tile's loop that does not begin on a cache line takes up to a sixth longer (Skylake).
  "-falign-functions=64",
];
/** A 4 GiB address space, of which only what a program plans is taken. */
export const WASM_PAGES = 65536;
/** Bytes of a thread's stack in WebAssembly: the templates keep tiles of some tens of KiB there. */
export const WASM_STACK = 1 << 20;
const WASM_FLAGS = [
  ...["--target=wasm32", "-std=gnu11", "-nostdlib", "-ffreestanding", "-ffp-contract=fast"],
  ...["-pthread", "-matomics", "-mbulk-memory", "-mmutable-globals"],
];
/** Bytes of a slot: a module's static data, and the first thread's stack. */
export const SLOT_BYTES = 2 << 20;
const wasmLink = (slot: number) => [
  ...["-Wl,--no-entry", "-Wl,--import-memory", "-Wl,--shared-memory", `-Wl,--max-memory=${WASM_PAGES * 65536}`],
  // Each thread sets its own stack.
  ...["-Wl,--export=__stack_pointer", `-Wl,-z,stack-size=${WASM_STACK}`],
  // Address 0 stays free: it is no place for data.
  ...["-Wl,--no-stack-first", `-Wl,--global-base=${slot * SLOT_BYTES + 1024}`],
];

/** A program for an emulator is a whole executable, with a main that an arena comes and goes by. */
const EMULATED_FLAGS = NATIVE_FLAGS.filter((flag) => flag !== "-shared" && flag !== "-fPIC").concat("-static");
const runner = () => readFile(new URL("./templates/runner.c", import.meta.url), "utf8");

/**
 * -O2 for a program, whose loops are vectors already: -O3 takes half as long again and makes nothing faster. Or what
 * `QUERN_OPTIMIZE` says, 0 to 2: many tests build much and compute little. The templates, built once, have a level more.
 */
function optimisation(): { readonly program: string; readonly templates: string } {
  const level = process.env.QUERN_OPTIMIZE || "2";
  if (/^[0-2]$/.test(level)) return { program: `-O${level}`, templates: `-O${Number(level) + 1}` };
  throw new QuernError(`QUERN_OPTIMIZE must be 0, 1 or 2, not "${level}"`, { exitCode: 2 });
}

const LIBRARY_SUFFIX: { readonly [platform: string]: string } = { win32: ".dll", darwin: ".dylib" };

/** The file of a built program that is loaded, and that which a person can read. */
export const libraryOf = ({ compiler }: Tools) => `program${suffixOf(compiler)}`;
export const SOURCE_FILE = "program.c";

/** All that a program's files depend on beside its source. */
export async function keyOfTools(tools: Tools): Promise<string> {
  return JSON.stringify([optimisation(), await recipe(tools), await identityOf(tools)]);
}

const identityOf = async ({ compiler }: Tools) =>
  compiler ? [compiler.command, compiler.version, compiler.identity] : [await clangVersion()];

/** Compiles a program and links it to its templates, in a folder. */
export async function build({ source, templates }: Source, tools: Tools, folder: string): Promise<void> {
  const { compiler } = tools;
  const { flags, link, end } = await recipe(tools);
  const levels = optimisation();
  const compile = (into: string, stem: "program" | "templates", text: string) => {
    const [file, words] = [`${stem}.c`, [levels[stem], ...flags, "-c"]];
    return writeFile(join(into, file), text).then(() => run(compiler, into, words, [file], `${stem}.o`));
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
  /** Flags beside these where a program is linked. */
  readonly link: readonly string[];
  /** C behind a program's own. */
  readonly end: string;
}

async function recipe({ set, compiler, slot }: Tools): Promise<Recipe> {
  if (!compiler) return { flags: [...WASM_FLAGS, ...set.flags], link: wasmLink(slot), end: "" };
  if (emulator()) return { flags: [...EMULATED_FLAGS, ...set.flags], link: [], end: await runner() };
  return { flags: nativeFlags(set, compiler.native), link: [], end: "" };
}

function suffixOf(compiler: Compiler | null): string {
  if (!compiler) return ".wasm";
  return emulator() ? "" : (LIBRARY_SUFFIX[process.platform] ?? ".so");
}

/** @param native the compiler's flags for this very machine: here they choose the scheduling, but no instruction */
export function nativeFlags(set: InstructionSet, native: readonly string[]): string[] {
  const tuning = native.includes("-march=native") ? ["-mtune=native"] : [];
  return [...NATIVE_FLAGS, ...tuning, ...set.flags];
}

/** Compiles or links, in a folder. */
async function run(
  compiler: Compiler | null,
  folder: string,
  words: readonly string[],
  inputs: readonly string[],
  output: string,
): Promise<void> {
  if (!compiler) {
    const files = await Promise.all(
      inputs.map(async (input) => [basename(input), await readFile(resolve(folder, input))] as const),
    );
    await writeFile(join(folder, output), await runClang(words, files));
    return;
  }
  try {
    await execute(compiler.command, [...words, ...inputs, "-o", output], { cwd: folder, maxBuffer: 1 << 24 });
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
