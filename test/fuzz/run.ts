/**
 * @file Runs a reader's inputs in a child with limits of time and memory. A fault is a crash, a hang, too much memory, a
 * stack trace, an error that is no `QuernError`, or "internal error".
 */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Job, Outcome } from "./child.js";

export interface RunOptions {
  /** Where `npm run test:fuzz` builds to: the folder that holds src/ and test/. */
  readonly built: string;
  readonly inputs: number;
  /** Seed of the first input; the others follow it. */
  readonly seed: number;
  /** How many of the inputs the real command line reads as well. */
  readonly commands: number;
  /** A folder in which the inputs are left. */
  readonly keep?: string;
  readonly limits?: Limits;
}

export interface Limits {
  /** For one input. */
  readonly milliseconds: number;
  /** Resident memory. */
  readonly bytes: number;
}

export interface Fault {
  readonly seed: number;
  readonly what: string;
}

export interface Report {
  readonly reader: string;
  readonly inputs: number;
  /** How many of the inputs passed the header check. */
  readonly reached: number;
  readonly faults: readonly Fault[];
  readonly seconds: number;
  /** The slowest input. */
  readonly slowest: { readonly seed: number; readonly milliseconds: number };
}

const LIMITS: Limits = { milliseconds: 10_000, bytes: 1.5e9 };
/** The command line also has to start. */
const COMMAND_MILLISECONDS = 20_000;
/** Inputs are small: one that takes all memory is not the machine's fault. */
export const OWN_FAULT = /internal error: |ran out of memory|longer than Node allows/;
const STACK = /^\s+at .+:\d+:\d+\)?$/m;
/** Inputs that end in a fault, after which a reader is given up. */
const MOST_FAULTS = 12;

/** The readers: the modules in targets/, but for those of the fuzzer's own test. */
export function readerNames(source: string): string[] {
  return readdirSync(join(source, "test", "fuzz", "targets"))
    .filter((name) => /^[a-z0-9-]+\.(ts|js)$/.test(name))
    .map((name) => name.replace(/\.\w+$/, ""))
    .filter((name) => name !== "planted")
    .sort();
}

/** Reads seeded inputs with one reader. */
export async function runReader(reader: string, options: RunOptions): Promise<Report> {
  const limits = options.limits ?? LIMITS;
  const start = performance.now();
  const faults: Fault[] = [];
  let reached = 0;
  let done = 0;
  let slowest = { seed: options.seed, milliseconds: 0 };
  let child = await Child.start(reader, options.built, limits);
  try {
    for (; done < options.inputs && faults.length < MOST_FAULTS; done++) {
      const seed = options.seed + done;
      if (options.keep !== undefined) {
        const into = join(options.keep, reader, String(seed));
        mkdirSync(into, { recursive: true });
        await child.work({ seed, into });
      }
      let outcome = await child.work({ seed });
      if (outcome.isOver) {
        await child.stop();
        child = await Child.start(reader, options.built, limits);
        // The machine may have been slow, or an earlier input have left its memory: only what happens twice counts.
        if (outcome.isLimit) {
          outcome = await child.work({ seed });
          if (outcome.isOver) {
            await child.stop();
            child = await Child.start(reader, options.built, limits);
          }
        }
      }
      if (outcome.reached) reached += 1;
      if (outcome.milliseconds > slowest.milliseconds) slowest = { seed, milliseconds: outcome.milliseconds };
      if (outcome.fault !== undefined) faults.push({ seed, what: outcome.fault });
    }
    for (let i = 0; i < options.commands; i++) {
      const seed = options.seed + Math.floor((i * options.inputs) / options.commands);
      const what = await runCommand(child, seed, options.built);
      if (what === null) break;
      if (what !== "") faults.push({ seed, what });
    }
  } finally {
    await child.stop();
  }
  return { reader, inputs: done, reached, faults, seconds: (performance.now() - start) / 1000, slowest };
}

interface Seen extends Outcome {
  /** The process has ended or was ended. */
  readonly isOver?: boolean;
  /** It was ended because of a limit. */
  readonly isLimit?: boolean;
}

class Child {
  readonly #process: ChildProcess;
  readonly #limits: Limits;
  #errors = "";

  private constructor(process: ChildProcess, limits: Limits) {
    this.#process = process;
    this.#limits = limits;
    process.stderr?.on("data", (data: Buffer) => {
      this.#errors = (this.#errors + data.toString()).slice(-20_000);
    });
  }

  static async start(reader: string, built: string, limits: Limits): Promise<Child> {
    const child = fork(join(built, "test", "fuzz", "child.js"), [reader], {
      execArgv: ["--max-old-space-size=1024"],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: { ...process.env, QUERN_THREADS: "1" },
    });
    const started = new Child(child, limits);
    const ready = await Promise.race([once(child, "message"), once(child, "exit")]);
    if (ready[0] !== "ready") throw new Error(`the reader ${reader} does not start: ${started.#errors}`);
    return started;
  }

  work(job: Job): Promise<Seen> {
    const { seed } = job;
    const child = this.#process;
    return new Promise((resolve) => {
      const end = (seen: Partial<Seen>) => {
        clearTimeout(timer);
        clearInterval(watch);
        child.off("message", answered);
        child.off("exit", exited);
        const trace = STACK.test(this.#errors) ? `a stack trace on standard error:\n${this.#errors}` : undefined;
        this.#errors = "";
        const fault = seen.fault ?? trace;
        resolve({ seed, reached: false, milliseconds: 0, ...seen, ...(fault === undefined ? {} : { fault }) });
      };
      const over = (fault: string) => {
        child.off("exit", exited);
        child.kill("SIGKILL");
        end({ fault, isOver: true, isLimit: true });
      };
      const answered = (message: unknown) => end(message as Outcome);
      const exited = (code: number | null, signal: string | null) =>
        end({ fault: `it ended with ${signal ?? `code ${code}`}\n${this.#errors}`, isOver: true });
      const { milliseconds, bytes } = this.#limits;
      const timer = setTimeout(() => over(`it takes more than ${milliseconds / 1000} s`), milliseconds);
      const watch = setInterval(() => {
        if (residentBytes(child.pid) > bytes) over(`it takes more than ${(bytes / 1e9).toFixed(1)} GB of memory`);
      }, 50);
      child.on("message", answered);
      child.on("exit", exited);
      child.send(job, (error) => {
        if (error) end({ fault: `it has ended (${error.message})`, isOver: true });
      });
    });
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    if (child.connected) child.disconnect();
    const timer = setTimeout(() => child.kill("SIGKILL"), 2000);
    await gone;
    clearTimeout(timer);
  }
}

/** Resident memory of a process, where the system tells (Linux); else 0. */
function residentBytes(pid: number | undefined): number {
  try {
    return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** What is wrong with how the command line answers an input; null where no verb reads it, "" where nothing is. */
async function runCommand(child: Child, seed: number, built: string): Promise<string | null> {
  const folder = mkdtempSync(join(tmpdir(), "quern-fuzz-command-"));
  try {
    const { command } = await child.work({ seed, into: folder });
    if (command === undefined) return null;
    const verb = spawn(process.execPath, [join(built, "src", "cli.js"), ...command], {
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, QUERN_THREADS: "1" },
      timeout: COMMAND_MILLISECONDS,
      killSignal: "SIGKILL",
    });
    let errors = "";
    verb.stderr.on("data", (data: Buffer) => {
      errors = (errors + data.toString()).slice(-20_000);
    });
    const [code, signal] = (await once(verb, "close")) as [number | null, string | null];
    const said = `quern ${command.join(" ")}: ${signal ?? `code ${code}`}\n${errors}`;
    const isGood = [0, 1, 2].includes(code ?? -1) && !STACK.test(errors) && !OWN_FAULT.test(errors);
    return isGood ? "" : said;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** How a fault is shown: where, what, and how to see it again. */
export function faultText(reader: string, { seed, what }: Fault): string {
  const again = `npm run test:fuzz -- --reader ${reader} --seed ${seed} --inputs 1`;
  return `${reader}, seed ${seed}: ${what.trimEnd().slice(0, 3000)}\n  again: ${again} --keep FOLDER`;
}

/** The least share of inputs that must pass the header check. */
export const LEAST_REACHED = 0.6;
