/** @file Which C compiler there is, and which instruction sets the machine has under it. */
import { execFile } from "node:child_process";
import { realpath, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { QuernError } from "../../errors.js";
import { emulator } from "./emulated.js";
import { INSTRUCTION_SETS, type InstructionSet, instructionSet } from "./instruction-sets.js";

const execute = promisify(execFile);

export interface Compiler {
  readonly command: string;
  /** The first line of --version; part of the cache's key. */
  readonly version: string;
  /** Of the file that runs: its path, bytes and time, for two builds of a compiler may call themselves the same. */
  readonly identity: string;
  /** The flags that mean this very machine; none where the compiler knows no such flag. */
  readonly native: readonly string[];
  /** Macros under these flags: what the machine can run, as the compiler sees it. */
  readonly macros: ReadonlySet<string>;
}

/** What an emulator is taken to have: qemu has more. */
const EMULATED = ["-march=armv8.6-a"];

const found = new Map<string, Promise<Compiler | null>>();

/**
 * The system's C compiler: `QUERN_CC` if set (`none` means that there is none), else cc, gcc or clang, whichever is
 * found first. Null where programs go to WebAssembly.
 *
 * @throws QuernError if the compiler that `QUERN_CC` names does not run
 */
export function findCompiler(environment: NodeJS.ProcessEnv = process.env): Promise<Compiler | null> {
  const wanted = environment.QUERN_CC ?? "";
  let result = found.get(wanted);
  if (!result) {
    result = search(wanted);
    found.set(wanted, result);
  }
  return result;
}

async function search(wanted: string): Promise<Compiler | null> {
  if (wanted === "none") return null;
  for (const command of wanted ? [wanted] : ["cc", "gcc", "clang"]) {
    const compiler = await probe(command);
    if (compiler) return compiler;
  }
  if (!wanted) return null;
  throw new QuernError(
    `QUERN_CC names the C compiler "${wanted}", which does not run; unset it, or set it to "none" to use WebAssembly`,
    { exitCode: 2 },
  );
}

async function probe(command: string): Promise<Compiler | null> {
  try {
    // clang for Arm long knew only -mcpu=native. Without either the base of the architecture is all that is sure.
    const candidates = emulator() ? [EMULATED] : [["-march=native"], ["-mcpu=native"], []];
    const first = macrosOf(command, candidates[0]);
    const [{ stdout }, identity] = await Promise.all([execute(command, ["--version"]), identityOf(command)]);
    const version = stdout.split("\n")[0].trim();
    for (const native of candidates) {
      const macros = await (native === candidates[0] ? first : macrosOf(command, native));
      if (macros.size > 0) return { command, version, identity, native, macros };
    }
    return { command, version, identity, native: [], macros: new Set() };
  } catch {
    return null;
  }
}

async function identityOf(command: string): Promise<string> {
  const folders = command.includes("/") ? [""] : (process.env.PATH ?? "").split(delimiter);
  for (const folder of folders) {
    try {
      const path = await realpath(join(folder, command));
      const { size, mtimeMs } = await stat(path);
      return `${path} ${size} ${mtimeMs}`;
    } catch {
      // Not in this folder.
    }
  }
  return "";
}

/** The names of the macros that the compiler defines; none where it does not know the flags. */
async function macrosOf(command: string, flags: readonly string[]): Promise<ReadonlySet<string>> {
  const child = execute(command, [...flags, "-dM", "-E", "-x", "c", "-"]);
  child.child.stdin?.end();
  try {
    const { stdout } = await child;
    return new Set(Array.from(stdout.matchAll(/^#define (\w+)/gm), (match) => match[1]));
  } catch {
    return new Set();
  }
}

/** The rows of the table that run here, widest first. */
export function runnableSets(compiler: Compiler | null): InstructionSet[] {
  if (!compiler) return [instructionSet("wasm")];
  return INSTRUCTION_SETS.filter(
    (set) => set.name !== "wasm" && set.requires.every((macro) => compiler.macros.has(macro)),
  );
}

/**
 * The row to compile for.
 *
 * @param wanted a row's name; else `QUERN_CPU`, else the widest that runs here
 * @throws QuernError if there is no such row or the machine cannot run it
 */
export function chooseSet(compiler: Compiler | null, wanted: string | undefined): InstructionSet {
  const name = wanted ?? process.env.QUERN_CPU;
  const runnable = runnableSets(compiler);
  if (!name) return runnable[0];
  const set = INSTRUCTION_SETS.find((row) => row.name === name);
  const names = runnable.map((row) => row.name).join(", ");
  if (!set) {
    throw new QuernError(`there is no instruction set "${name}"; this machine runs ${names}`, { exitCode: 2 });
  }
  if (set.name === "wasm" || runnable.includes(set)) return set;
  const why = compiler ? "this machine cannot run it" : "without a C compiler there is only WebAssembly";
  throw new QuernError(`instruction set "${name}": ${why}; it runs ${names}`, { exitCode: 2 });
}

/**
 * What `QUERN_THREADS` says, else one thread a core. Threads wait for one another by spinning, so where other work has the
 * cores fewer are faster.
 *
 * @throws QuernError if it says no number of threads
 */
export function defaultThreads(environment: NodeJS.ProcessEnv = process.env): number {
  const said = environment.QUERN_THREADS;
  if (!said) return availableParallelism();
  const threads = Number(said);
  if (Number.isInteger(threads) && threads >= 1 && threads <= 256) return threads;
  throw new QuernError(`QUERN_THREADS must be a number of threads from 1 to 256, not "${said}"`, { exitCode: 2 });
}
