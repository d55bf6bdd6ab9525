/**
 * @file C source → something that can be loaded, kept in the cache by content hash.
 *
 * The key is the source, the flags and the compiler's version. A program's folder appears by one rename when it is
 * whole, so that a crash or a second process never leaves half of one.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { cacheFolder } from "../../cache-folder.js";
import { fileError, QuernError } from "../../errors.js";
import type { InstructionSet } from "./instruction-sets.js";
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
const NATIVE_FLAGS = ["-std=gnu11", "-O3", "-shared", "-fPIC", "-pthread", "-fvisibility=hidden", "-ffp-contract=fast"];
/** A 4 GiB address space, of which only what a program plans is taken. */
export const WASM_PAGES = 65536;
/** Bytes of a thread's stack in WebAssembly: the templates keep tiles of some tens of KiB there. */
export const WASM_STACK = 1 << 20;
const WASM_FLAGS = [
  ...["--target=wasm32", "-std=gnu11", "-O3", "-nostdlib", "-ffreestanding", "-ffp-contract=fast"],
  ...["-pthread", "-matomics", "-mbulk-memory", "-mmutable-globals"],
  ...["-Wl,--no-entry", "-Wl,--import-memory", "-Wl,--shared-memory", `-Wl,--max-memory=${WASM_PAGES * 65536}`],
  // Each thread sets its own stack.
  ...["-Wl,--export=__stack_pointer", `-Wl,-z,stack-size=${WASM_STACK}`],
];

/** The folder of compiled programs. */
export function programsFolder(): string {
  return join(cacheFolder(), "programs");
}

/** @param compiler null for WebAssembly */
export async function build(source: string, set: InstructionSet, compiler: Compiler | null): Promise<Built> {
  const start = performance.now();
  const flags = compiler ? [...NATIVE_FLAGS, ...tuning(compiler), ...set.flags] : [...WASM_FLAGS, ...set.flags];
  const version = compiler ? compiler.version : await clangVersion();
  const key = createHash("sha256")
    .update(JSON.stringify([source, flags, version]))
    .digest("hex")
    .slice(0, 32);
  const folder = join(await ownFolder(), key);
  const name = compiler ? "program.so" : "program.wasm";
  const built = { library: join(folder, name), source: join(folder, "program.c") };
  const seconds = () => (performance.now() - start) / 1000;
  if (await exists(built.library)) return { ...built, cached: true, seconds: seconds() };
  const temporary = await mkdtemp(`${folder}.`);
  try {
    await writeFile(join(temporary, "program.c"), source);
    if (compiler) await compileNative(compiler, flags, temporary, name);
    else await writeFile(join(temporary, name), await compileWasm(source, flags));
    await rename(temporary, folder).catch(async (error) => {
      // Another process was first with the same program.
      if (!(await exists(built.library))) throw error;
    });
  } catch (error) {
    throw fileError(error, "write", folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return { ...built, cached: false, seconds: seconds() };
}

/** Scheduling for this very CPU, which changes no instruction set. */
function tuning(compiler: Compiler): string[] {
  return compiler.macros.size > 0 ? ["-mtune=native"] : [];
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

/** In a thread of its own: the compiler runs for seconds and would stop the event loop. */
function compileWasm(source: string, flags: readonly string[]): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./clang-worker.js", workerBase()), { workerData: { source, flags } });
    worker.once("message", (message: { wasm?: Uint8Array; error?: string }) => {
      if (message.wasm) resolve(message.wasm);
      else reject(new QuernError(`clang could not make WebAssembly of the program: ${message.error}`));
    });
    worker.once("error", reject);
  });
}

/**
 * Where the workers' JavaScript is: beside this file once built. Tests run the TypeScript as it is, and threads cannot;
 * they use the build that `npm test` has just made.
 */
export function workerBase(): string {
  return import.meta.url.endsWith(".ts")
    ? import.meta.url.replace("/src/", "/dist/src/").replace(/\.ts$/, ".js")
    : import.meta.url;
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

/** The programs' folder, which must be the user's own: what lies in it is executed. */
async function ownFolder(): Promise<string> {
  const folder = programsFolder();
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = await stat(folder);
    const mine = process.getuid === undefined || uid === process.getuid();
    if (!mine) {
      throw new QuernError(`${folder} belongs to another user, and programs in it would be run; set QUERN_CACHE`);
    }
    if (process.getuid !== undefined && (mode & 0o022) !== 0) await chmod(folder, 0o700);
  } catch (error) {
    throw fileError(error, "use the cache folder", folder);
  }
  return folder;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
