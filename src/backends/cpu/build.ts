/**
 * @file C source → something that can be loaded, kept in the cache by the hash of all that it depends on. The templates
 * are an object that many programs are linked to: they would be most of each program's build.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { basename, join, resolve } from "node:path";
import { promisify } from "node:util";
import { QuernError } from "../../errors.js";
import { runClang } from "./clang.js";
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
  /** What was told of it when it was built. */
  readonly note: string;
  readonly cached: boolean;
  readonly seconds: number;
}

/** What is compiled. */
export interface Source {
  readonly source: string;
  /** C that is compiled apart, at the same time, and linked to it. */
  readonly templates?: string;
  /** Kept beside the library for those who find it in the cache. */
  readonly note?: string;
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

const NOTE = "program.json";

/**
 * @param of what the source depends on: where the cache has its library, `emit` is not called
 * @param compiler null for WebAssembly
 */
export async function build(
  of: string,
  emit: () => Source,
  set: InstructionSet,
  compiler: Compiler | null,
): Promise<Built> {
  const start = performance.now();
  const { flags, link, suffix, end } = await recipe(set, compiler);
  const by = compiler ? [compiler.command, compiler.version, compiler.identity] : [await clangVersion()];
  const levels = optimisation();
  const compile = (folder: string, stem: "program" | "templates", text: string) => {
    const [file, words] = [`${stem}.c`, [levels[stem], ...flags, "-c"]];
    return writeFile(join(folder, file), text).then(() => run(compiler, folder, words, [file], `${stem}.o`));
  };
  const object = async (templates: string | undefined) => {
    if (templates === undefined) return [];
    const make = (folder: string) => compile(folder, "templates", templates);
    const { folder } = await cachedOnce(keyOf([templates, levels, flags, by]), ["templates.o"], make);
    return [join(folder, "templates.o")];
  };
  const library = `program${suffix}`;
  const key = keyOf([of, end, levels, flags, link, by]);
  const { folder, cached } = await cachedOnce(key, [library, NOTE], async (temporary) => {
    const { source, templates, note = "" } = emit();
    const [objects] = await Promise.all([object(templates), compile(temporary, "program", source + end)]);
    await run(compiler, temporary, [...flags, ...link], ["program.o", ...objects], library);
    await rm(join(temporary, "program.o"));
    await writeFile(join(temporary, NOTE), note);
  });
  return {
    library: join(folder, library),
    source: join(folder, "program.c"),
    note: await readFile(join(folder, NOTE), "utf8"),
    cached,
    seconds: (performance.now() - start) / 1000,
  };
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
    return { flags: [...WASM_FLAGS, ...set.flags], link: WASM_LINK, suffix: ".wasm", end: "" };
  }
  if (emulator()) {
    return { flags: [...EMULATED_FLAGS, ...set.flags], link: [], suffix: "", end: await runner() };
  }
  const suffix = LIBRARY_SUFFIX[process.platform] ?? ".so";
  return { flags: nativeFlags(set, compiler.native), link: [], suffix, end: "" };
}

/** What is made is tuned for a processor by a compiler: another one of either makes its own. */
function keyOf(parts: readonly unknown[]): string {
  const machine = [process.platform, process.arch, cpus()[0]?.model ?? ""];
  return createHash("sha256")
    .update(JSON.stringify([...parts, machine]))
    .digest("hex")
    .slice(0, 32);
}

/** Builds under way in this process: who wants the same waits for it. */
const building = new Map<string, ReturnType<typeof cachedProgram>>();

function cachedOnce(...[key, files, make]: Parameters<typeof cachedProgram>): ReturnType<typeof cachedProgram> {
  const path = join(programsFolder(), key);
  let result = building.get(path);
  if (!result) {
    result = cachedProgram(key, files, make);
    building.set(path, result);
    const forget = () => building.delete(path);
    result.then(forget, forget);
  }
  return result;
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
