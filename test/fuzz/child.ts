/**
 * @file The process in which a reader reads mutated inputs, one after the other, each named by its seed. What is no fault
 * of an input is told; what ends the process, or never ends, is the parent's to see.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { isAbortError, QuernError } from "../../src/errors.js";
import { Random } from "./random.js";
import { OWN_FAULT } from "./run.js";
import type { Files, Target, TargetModule } from "./target.js";

/** What the parent asks for. */
export interface Job {
  readonly seed: number;
  /** Only make the input, for the command line. */
  readonly into?: string;
}

/** What became of a job. */
export interface Outcome {
  readonly seed: number;
  readonly reached: boolean;
  /** What went wrong, if anything did. */
  readonly fault?: string;
  readonly milliseconds: number;
  readonly command?: readonly string[];
}

const name = process.argv[2];
const { open } = (await import(`./targets/${name}.js`)) as TargetModule;
const target: Target = await open();
const root = mkdtempSync(join(tmpdir(), `quern-fuzz-${name}-`));
process.on("exit", () => rmSync(root, { recursive: true, force: true }));
process.on("disconnect", () => process.exit(0));

/** An error that nobody awaited; it belongs to the input that was read when it arose. */
let stray: unknown;
process.on("unhandledRejection", (error) => {
  stray = error ?? new Error("an unhandled rejection");
});

function write(folder: string, files: Files): void {
  for (const [path, data] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), data);
  }
}

function faultOf(error: unknown): string | undefined {
  if (isAbortError(error)) return undefined;
  if (error instanceof QuernError) {
    return OWN_FAULT.test(error.message) ? error.message : undefined;
  }
  return error instanceof Error ? (error.stack ?? error.message) : `thrown: ${String(error)}`;
}

async function work({ seed, into }: Job): Promise<Outcome> {
  const files = target.make(new Random(`${name} ${seed}`), seed);
  if (into !== undefined) {
    write(into, files);
    return { seed, reached: false, milliseconds: 0, command: target.command?.(files) };
  }
  const folder = join(root, String(seed));
  mkdirSync(folder, { recursive: true });
  write(folder, files);
  let reached = false;
  let fault: string | undefined;
  const start = performance.now();
  try {
    await target.read(folder, () => {
      reached = true;
    });
  } catch (error) {
    fault = faultOf(error);
  }
  const milliseconds = performance.now() - start;
  await setImmediate();
  if (stray !== undefined) fault ??= `unhandled rejection: ${stray instanceof Error ? stray.stack : String(stray)}`;
  stray = undefined;
  rmSync(folder, { recursive: true, force: true });
  return { seed, reached, milliseconds, ...(fault === undefined ? {} : { fault }) };
}

process.on("message", (job: Job) => {
  work(job).then(
    (outcome) => process.send?.(outcome),
    // Nobody is there to be told of a fault in the fuzzer itself.
    (error: Error) => {
      process.stderr.write(`${error.stack}\n`, () => process.exit(1));
    },
  );
});
process.send?.("ready");
