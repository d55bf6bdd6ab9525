/**
 * @file Runs generated code: a Python or JavaScript program in a child process, in a temporary folder, with an empty
 * environment and no network (`isolation.ts`). Time, memory, output, file size and number of processes are limited.
 * Rewards and evaluation run code here.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chmod, lstat, mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileError, QuernError } from "../errors.js";
import { countsOwnProcesses, type Isolation, probeIsolation } from "./isolation.js";

export const SANDBOX_LANGUAGES = ["python", "javascript"] as const;
export type SandboxLanguage = (typeof SANDBOX_LANGUAGES)[number];

export interface SandboxProgram {
  readonly language: SandboxLanguage;
  readonly code: string;
  /** What the program reads from standard input. Default nothing. */
  readonly input?: string;
  /** Other files in its folder: content by name. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface SandboxOptions {
  /** Wall-clock seconds until the program is killed. Default 10. */
  readonly seconds?: number;
  /** Seconds of CPU time per process. Default `seconds`, rounded up. */
  readonly cpuSeconds?: number;
  /** MiB of data memory per process. Default 512. */
  readonly memory?: number;
  /** Bytes of standard output and standard error together. Default 1 MiB. */
  readonly outputBytes?: number;
  /** Runs the program without isolation if the system offers none. The limits still apply. Default false. */
  readonly allowCode?: boolean;
  /** Kills the program; the promise rejects with its reason. */
  readonly signal?: AbortSignal;
}

export interface SandboxResult {
  /** Null if a limit or a signal ended the program. */
  readonly exitCode: number | null;
  /** The signal that ended it, such as `SIGSEGV`; null if none did. */
  readonly signal: string | null;
  /** The limit that ended it; null if none did. */
  readonly stopped: "time" | "memory" | "output" | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Wall-clock time. */
  readonly seconds: number;
  /** What kept it from the network and from other files; null if nothing did. */
  readonly isolation: Isolation["by"] | null;
}

/** Largest file that a program may write, in MiB. */
const MAX_FILE = 64;
/** Threads and processes; Node alone needs about a dozen. Linux does not limit root's processes. */
const MAX_PROCESSES = 64;
/** MiB that Node maps in addition to its heap: thread stacks, code, buffers. */
const NODE_OVERHEAD = 512;
/** Milliseconds until the pipes of a program that has ended are closed, if an escaped child keeps them open. */
const GRACE = 500;
const FILES: Readonly<Record<SandboxLanguage, string>> = { python: "main.py", javascript: "main.js" };
const OUT_OF_MEMORY =
  /MemoryError|(heap|process) out of memory|Allocation failed|bad_alloc|cannot allocate memory|ERR_MEMORY_ALLOCATION_FAILED/i;

/**
 * Runs a program and returns its outcome. A program that fails or exceeds a limit is a result, not an error. When the
 * promise settles, all its processes (without isolation: its process group) have ended and its folder is removed.
 * @throws QuernError if the system cannot isolate code and `allowCode` is not set, or if the interpreter is not installed
 */
export async function runInSandbox(program: SandboxProgram, options: SandboxOptions = {}): Promise<SandboxResult> {
  const { seconds = 10, outputBytes = 2 ** 20, memory = 512, signal } = options;
  signal?.throwIfAborted();
  const isolation = await requireIsolation(options.allowCode ?? false);
  const interpreter = await interpreterOf(program.language);
  const folder = await makeFolder(program);
  try {
    const limits = limitsOf({
      cpuSeconds: options.cpuSeconds ?? Math.ceil(seconds),
      memory: program.language === "javascript" ? memory + NODE_OVERHEAD : memory,
      isIsolated: isolation !== null,
    });
    const run = [interpreter, ...argumentsOf(program.language, memory), join(folder, FILES[program.language])];
    const command = ["sh", "-c", `${limits} exec "$@"`, "sh", ...run];
    const [first, ...rest] = isolation?.wrap(command, folder) ?? command;
    const child = spawn(first, rest, { cwd: folder, env: environmentOf(folder), detached: true, stdio: "pipe" });
    const ended = await watch(child, program.input ?? "", { seconds, outputBytes, signal });
    signal?.throwIfAborted();
    return { ...explain(ended), seconds: ended.seconds, isolation: isolation?.by ?? null };
  } finally {
    await removeFolder(folder);
  }
}

/**
 * Returns how code is isolated on this system; null if it cannot be and the caller allows that.
 * @throws QuernError otherwise
 */
export async function requireIsolation(allowCode: boolean): Promise<Isolation | null> {
  if (process.platform === "win32") {
    throw new QuernError("generated code cannot be run on Windows, which has no process groups; use WSL or Linux");
  }
  const { isolation, reason } = await probeIsolation();
  if (isolation !== null || allowCode) return isolation;
  throw new QuernError(
    `generated code is not run: this system cannot isolate it from the network and your files (${reason}); install ` +
      "bubblewrap, or allow it with --allow-code (allowCode in a library call), best in a container",
    { exitCode: 2 },
  );
}

const interpreters = new Map<SandboxLanguage, Promise<string>>();

/** Returns the real path of an interpreter: a wrapper such as pyenv's needs more of the environment than code gets. */
function interpreterOf(language: SandboxLanguage): Promise<string> {
  const known = interpreters.get(language);
  if (known !== undefined) return known;
  const found = language === "javascript" ? Promise.resolve(process.execPath) : findPython();
  interpreters.set(language, found);
  found.catch(() => interpreters.delete(language));
  return found;
}

async function findPython(): Promise<string> {
  const print = ["-c", "import sys; print(sys.executable)"];
  try {
    const { stdout } = await promisify(execFile)("python3", print, { timeout: 20_000 });
    return stdout.trim();
  } catch (cause) {
    throw new QuernError("python3, which runs the generated code, does not start; install it and check PATH", {
      cause,
    });
  }
}

const argumentsOf = (language: SandboxLanguage, memory: number) =>
  language === "javascript" ? [`--max-old-space-size=${memory}`] : ["-B", "-E", "-s"];

/** The interpreters need a PATH and a folder for temporary files; code sees no other variable. */
const environmentOf = (folder: string): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin",
  HOME: folder,
  TMPDIR: folder,
  LANG: "C.UTF-8",
});

interface Limits {
  readonly cpuSeconds: number;
  /** MiB */
  readonly memory: number;
  readonly isIsolated: boolean;
}

/**
 * Returns the shell commands that set limits, which child processes inherit. `-d` counts private writable memory; `-v` would
 * count addresses, of which Node reserves gigabytes. The hard CPU limit is higher than the soft one, so that a process
 * over the limit receives SIGXCPU, a signal that identifies the cause. macOS cannot limit memory.
 */
function limitsOf({ cpuSeconds, memory, isIsolated }: Limits): string {
  const data = process.platform === "darwin" ? [] : [`ulimit -d ${memory * 1024} || exit 125;`];
  // dash calls this limit -p; in bash, -p is another limit, which cannot be set.
  const processes = `ulimit -u ${MAX_PROCESSES} 2>/dev/null || ulimit -p ${MAX_PROCESSES} || exit 125;`;
  return [
    ...data,
    `ulimit -f ${MAX_FILE * 2048} && ulimit -c 0 || exit 125;`,
    `ulimit -S -t ${cpuSeconds} && ulimit -H -t ${cpuSeconds + 1} || exit 125;`,
    ...(isIsolated && countsOwnProcesses() ? [processes] : []),
  ].join(" ");
}

interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stopped: "time" | "output" | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

interface WatchOptions {
  readonly seconds: number;
  readonly outputBytes: number;
  readonly signal: AbortSignal | undefined;
}

/** Collects the output of a process and kills its group at a limit, when it has ended, or when the signal aborts. */
function watch(child: ChildProcess, input: string, { seconds, outputBytes, signal }: WatchOptions): Promise<Ended> {
  const started = performance.now();
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  let left = outputBytes;
  let stopped: Ended["stopped"] = null;
  const kill = () => killGroup(child);
  const stop = (reason: "time" | "output") => {
    stopped ??= reason;
    kill();
  };
  const collect = (parts: Buffer[]) => (part: Buffer) => {
    parts.push(part.subarray(0, Math.max(0, left)));
    left -= part.length;
    if (left < 0) stop("output");
  };
  child.stdout?.on("data", collect(out));
  child.stderr?.on("data", collect(err));
  child.stdin?.on("error", () => {}); // a program need not read its input
  child.stdin?.end(input);
  const timer = setTimeout(() => stop("time"), 1000 * seconds);
  signal?.addEventListener("abort", kill, { once: true });
  if (signal?.aborted) kill();
  return new Promise<Ended>((resolve, reject) => {
    let grace: NodeJS.Timeout | undefined;
    const end = () => {
      clearTimeout(timer);
      clearTimeout(grace);
      signal?.removeEventListener("abort", kill);
    };
    child.on("error", (error) => {
      end();
      reject(fileError(error, "run", child.spawnfile));
    });
    child.on("exit", () => {
      kill(); // processes that it left running
      grace = setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, GRACE);
    });
    child.on("close", (exitCode, signal) => {
      end();
      const text = (parts: Buffer[]) => Buffer.concat(parts).toString("utf8");
      const wall = (performance.now() - started) / 1000;
      resolve({ exitCode, signal, stopped, stdout: text(out), stderr: text(err), seconds: wall });
    });
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The whole process group has ended.
  }
}

/** Derives what ended a program from its exit code: a shell or bwrap reports signal n as 128 + n. */
function explain(ended: Ended): Omit<SandboxResult, "seconds" | "isolation"> {
  const { stdout, stderr, stopped } = ended;
  if (stopped !== null) return { exitCode: null, signal: null, stopped, stdout, stderr };
  const number = ended.exitCode !== null && ended.exitCode > 128 ? ended.exitCode - 128 : null;
  const named = Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? null;
  const signal = ended.signal ?? named;
  const exitCode = signal === null ? ended.exitCode : null;
  if (exitCode === 125 && stdout === "") {
    throw new QuernError(`the sandbox cannot set its limits: ${stderr.trim().split("\n")[0]}`);
  }
  if (signal === "SIGXCPU") return { exitCode: null, signal: null, stopped: "time", stdout, stderr };
  if (exitCode !== 0 && OUT_OF_MEMORY.test(stderr)) {
    return { exitCode: null, signal: null, stopped: "memory", stdout, stderr };
  }
  return { exitCode, signal, stopped: null, stdout, stderr };
}

async function makeFolder({ language, code, files = {} }: SandboxProgram): Promise<string> {
  const parent = tmpdir();
  try {
    // Real, because a mount point is named by its real path.
    const folder = await realpath(await mkdtemp(join(parent, "quern-sandbox-")));
    for (const [name, content] of Object.entries({ ...files, [FILES[language]]: code })) {
      if (/[/\\]|^\.\.?$/.test(name)) throw new QuernError(`${name} is not a valid name for a file in the sandbox`);
      await writeFile(join(folder, name), content);
    }
    return folder;
  } catch (error) {
    throw fileError(error, "write", parent);
  }
}

/** Removes a folder, even if the program revoked the permission to do so. */
async function removeFolder(folder: string): Promise<void> {
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 3 });
  await remove().catch(async () => {
    await openFolders(folder);
    await remove();
  });
}

async function openFolders(folder: string): Promise<void> {
  await chmod(folder, 0o700);
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if ((await lstat(path)).isDirectory()) await openFolders(path);
  }
}
