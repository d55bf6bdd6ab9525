/**
 * @file C source → something that can be loaded, kept in the cache by the hash of all that it depends on. The templates
 * are compiled first, to an object that many programs are linked to: they would be most of each program's build.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { basename, dirname, extname, join } from "node:path";
import { promisify } from "node:util";
import { QuernError } from "../../errors.js";
import { compileWasm } from "./clang.js";
import { emulator } from "./emulated.js";
import type { InstructionSet } from "./instruction-sets.js";
import { cachedProgram, programsFolder } from "./program-cache.js";
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
const WASM_LINK = [
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

/** What is compiled to which file of a folder. */
interface Job {
  readonly text: string;
  readonly flags: readonly string[];
  readonly file: string;
  /** An object file to link to. */
  readonly object?: string;
}

/**
 * @param templates C that is compiled apart and linked to it
 * @param compiler null for WebAssembly
 */
export async function build(
  { source, templates }: { readonly source: string; readonly templates?: string },
  set: InstructionSet,
  compiler: Compiler | null,
): Promise<Built> {
  const start = performance.now();
  const { flags, link, suffix, end } = await recipe(set, compiler);
  let object: string | undefined;
  if (templates !== undefined) {
    const file = "templates.o";
    object = join((await cached({ text: templates, flags: [...flags, "-c"], file }, compiler)).folder, file);
  }
  const file = `program${suffix}`;
  const program = await cached({ text: source + end, flags: [...flags, ...link], file, object }, compiler);
  const seconds = (performance.now() - start) / 1000;
  const at = (name: string) => join(program.folder, name);
  return { library: at(file), source: at("program.c"), cached: program.cached, seconds };
}

interface Recipe {
  readonly flags: readonly string[];
  /** Flags beside these where a program is linked. */
  readonly link: readonly string[];
  readonly suffix: string;
  /** C behind a program's own. */
  readonly end: string;
}

async function recipe(set: InstructionSet, compiler: Compiler | null): Promise<Recipe> {
  if (!compiler) {
    return { flags: [optimisation(), ...WASM_FLAGS, ...set.flags], link: WASM_LINK, suffix: ".wasm", end: "" };
  }
  if (emulator()) {
    return { flags: [optimisation(), ...EMULATED_FLAGS, ...set.flags], link: [], suffix: "", end: await runner() };
  }
  const suffix = LIBRARY_SUFFIX[process.platform] ?? ".so";
  return { flags: nativeFlags(set, compiler.native), link: [], suffix, end: "" };
}

/** Builds under way in this process: who wants the same waits for it. */
const building = new Map<string, ReturnType<typeof cachedProgram>>();

/** The folder of what a job makes, made if it is not in the cache. */
async function cached(job: Job, compiler: Compiler | null): ReturnType<typeof cachedProgram> {
  // It is tuned for a processor by a compiler: another one of either builds its own.
  const by = compiler ? [compiler.command, compiler.version, compiler.identity] : [await clangVersion()];
  // The folder of the object says what it was made of, wherever the cache lies.
  const object = job.object === undefined ? [] : [basename(dirname(job.object))];
  const machine = [process.platform, process.arch, cpus()[0]?.model ?? ""];
  const key = createHash("sha256")
    .update(JSON.stringify([job.text, job.flags, job.file, object, by, machine]))
    .digest("hex")
    .slice(0, 32);
  const path = join(programsFolder(), key);
  let result = building.get(path);
  if (!result) {
    result = cachedProgram(key, job.file, (folder) => make(job, compiler, folder));
    building.set(path, result);
    const forget = () => building.delete(path);
    result.then(forget, forget);
  }
  return result;
}

async function make({ text, flags, file, object }: Job, compiler: Compiler | null, folder: string): Promise<void> {
  const source = `${basename(file, extname(file))}.c`;
  await writeFile(join(folder, source), text);
  if (compiler) {
    const files = object === undefined ? [source] : [source, object];
    await compileNative(compiler, [...flags, ...files, "-o", file], folder);
  } else {
    const objects = object === undefined ? undefined : await readFile(object);
    await writeFile(join(folder, file), await compileWasm(text, flags, objects));
  }
}

/** @param native the compiler's flags for this very machine: here they choose the scheduling, but no instruction */
export function nativeFlags(set: InstructionSet, native: readonly string[]): string[] {
  const tuning = native.includes("-march=native") ? ["-mtune=native"] : [];
  return [optimisation(), ...NATIVE_FLAGS, ...tuning, ...set.flags];
}

async function compileNative(compiler: Compiler, words: readonly string[], folder: string) {
  try {
    await execute(compiler.command, words, { cwd: folder, maxBuffer: 1 << 24 });
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
