/** @file Finds the C compiler, and the instruction sets that this machine supports. */
import { execFile } from "node:child_process";
import { realpath, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { QuernError } from "../../errors.js";
import { emulator } from "./emulated.js";
import { INSTRUCTION_SETS, type InstructionSet, instructionSet } from "./instruction-sets.js";
import { tilesPermitted } from "./tile-permission.js";

const execute = promisify(execFile);

export interface Compiler {
  readonly command: string;
  /** The first line of --version; part of the cache's key. */
  readonly version: string;
  /** Path, size and modification time of the compiler's file, since two builds may report the same version. */
  readonly identity: string;
  /** The flags that select this machine; empty if the compiler has no such flag. */
  readonly native: readonly string[];
  /** Macros defined with these flags; they tell which instruction sets the machine supports. */
  readonly macros: ReadonlySet<string>;
}

/** Architecture assumed for an emulator; qemu supports more. */
const EMULATED = ["-march=armv8.6-a"];

const found = new Map<string, Promise<Compiler | null>>();

/**
 * Finds the system's C compiler: `QUERN_CC` if set (`none` disables it), else the first of cc, gcc and clang. Returns null if
 * programs are compiled to WebAssembly.
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
    `cannot run the C compiler "${wanted}" (from QUERN_CC); unset QUERN_CC, or set it to "none" to use WebAssembly`,
    { exitCode: 2 },
  );
}

async function probe(command: string): Promise<Compiler | null> {
  try {
    // Older clang for Arm accepts only -mcpu=native. Without either, only the architecture's baseline is certain.
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

/** Names of the macros that the compiler defines; empty if it rejects the flags. */
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

/** The instruction sets that this machine supports, widest first. */
export function runnableSets(compiler: Compiler | null): InstructionSet[] {
  if (!compiler) return [instructionSet("wasm")];
  return INSTRUCTION_SETS.filter(
    (set) => !set.onRequest && hasMacros(compiler, set) && (!set.tiles || tilesPermitted()),
  );
}

const hasMacros = ({ macros }: Compiler, { requires }: InstructionSet) => requires.every((macro) => macros.has(macro));

/**
 * Chooses the instruction set to compile for.
 *
 * @param wanted its name. Default: `QUERN_CPU`, else the widest that this machine supports
 * @throws QuernError if the instruction set is unknown or not supported by this machine
 */
export function chooseSet(compiler: Compiler | null, wanted: string | undefined): InstructionSet {
  const name = wanted ?? process.env.QUERN_CPU;
  const runnable = runnableSets(compiler);
  if (!name) return runnable[0];
  const set = INSTRUCTION_SETS.find((row) => row.name === name);
  const names = runnable.map((row) => row.name).join(", ");
  if (!set) {
    throw new QuernError(`unknown instruction set "${name}"; this machine supports ${names}`, { exitCode: 2 });
  }
  if (set.name === "wasm" || runnable.includes(set) || (compiler && set.onRequest)) return set;
  const refused = compiler && set.tiles && hasMacros(compiler, set);
  const why = !compiler
    ? "needs a C compiler"
    : refused
      ? "the system refuses this process the tile registers (arch_prctl)"
      : "not supported by this machine";
  throw new QuernError(`instruction set "${name}": ${why}; available: ${names}`, { exitCode: 2 });
}

/**
 * Returns `QUERN_THREADS`, else one thread per core. Threads wait for one another by spinning, so fewer are faster if other
 * programs use the cores.
 *
 * @throws QuernError if `QUERN_THREADS` is not a whole number from 1 to 256
 */
export function defaultThreads(environment: NodeJS.ProcessEnv = process.env): number {
  const setting = environment.QUERN_THREADS;
  if (!setting) return availableParallelism();
  const threads = Number(setting);
  if (Number.isInteger(threads) && threads >= 1 && threads <= 256) return threads;
  throw new QuernError(`QUERN_THREADS must be a whole number from 1 to 256, not "${setting}"`, { exitCode: 2 });
}
