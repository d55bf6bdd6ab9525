/**
 * @file Runs a program for another architecture under the emulator in `QUERN_EMULATOR`. Tests use it for instruction
 * sets that this machine lacks: it shows their results, not their speed.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { QuernError } from "../../errors.js";
import type { Block, Loaded } from "./loaded.js";

/** The emulator's command; undefined if none is set. */
export const emulator = (): string | undefined => process.env.QUERN_EMULATOR || undefined;

interface EmulatedBlock extends Block {
  readonly memory: ArrayBuffer;
}

function allocate(bytes: number): EmulatedBlock {
  const memory = new ArrayBuffer(bytes);
  return { bytes, memory, piece: (offset) => [memory, offset], free: () => {} };
}

const aligned = (bytes: number) => Math.ceil(bytes / 64) * 64;

/**
 * Starts a program under the emulator. A file exchanges its memory: the arena, followed by each variable.
 * @param variables size of each variable in bytes
 * @throws QuernError if the emulator does not run the program
 */
export async function loadEmulated(command: string, executable: string, variables: readonly number[]): Promise<Loaded> {
  const folder = await mkdtemp(join(tmpdir(), "quern-emulated-"));
  const file = join(folder, "arena");
  const [program, ...options] = command.split(" ");
  const child = spawn(program, [...options, executable, file, ...variables.map(String)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise<never>((_, reject) => {
    const fail = (why: string) => reject(new QuernError(`the emulator ${command} did not run ${executable}: ${why}`));
    child.once("error", (error) => fail(error.message));
    child.once("exit", (code, signal) => fail(`it ended with ${signal ?? code}`));
  });
  // The process also ends on close, when no one awaits this.
  ended.catch(() => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => String((await Promise.race([lines.next(), ended])).value);
  const close = () => {
    child.stdin.end();
    void rm(folder, { recursive: true, force: true });
  };
  const first = await answer();
  const bytes = Number(first);
  if (!(bytes > 0)) {
    close();
    throw new QuernError(`the emulator ${command} did not run ${executable}: its first answer was ${first}`);
  }
  const arena = allocate(bytes);
  const bound: Uint8Array[] = [new Uint8Array(arena.memory)];
  let start = bytes;
  const starts = variables.map((size) => {
    start += aligned(size);
    return start - aligned(size);
  });
  const total = start;
  return {
    arena,
    queues: [],
    allocate,
    bind(variable, block, offset, size) {
      bound[1 + variable] = new Uint8Array((block as EmulatedBlock).memory, offset, size);
    },
    async run(entry) {
      const image = new Uint8Array(total);
      const place = (i: number) => (i === 0 ? 0 : starts[i - 1]);
      bound.forEach((each, i) => {
        image.set(each, place(i));
      });
      await writeFile(file, image);
      child.stdin.write(`${entry}\n`);
      const reply = await answer();
      if (reply !== "done") throw await ended.catch((error) => error);
      const result = await readFile(file);
      bound.forEach((each, i) => {
        each.set(result.subarray(place(i), place(i) + each.length));
      });
    },
    close,
  };
}
