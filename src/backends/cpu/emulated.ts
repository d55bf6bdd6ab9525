/**
 * @file Runs a program of another machine: an executable under the emulator that `QUERN_EMULATOR` names, for tests of
 * instruction sets that the machine at hand does not have. Only correctness can be learnt from it, not speed.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { QuernError } from "../../errors.js";
import type { Image } from "./native.js";

/** The emulator's command, where there is one. */
export const emulator = (): string | undefined => process.env.QUERN_EMULATOR || undefined;

/** @throws QuernError if the emulator does not run the program */
export async function loadEmulated(command: string, executable: string): Promise<Image> {
  const folder = await mkdtemp(join(tmpdir(), "quern-emulated-"));
  const file = join(folder, "arena");
  const [program, ...options] = command.split(" ");
  const child = spawn(program, [...options, executable, file], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise<never>((_, reject) => {
    const fail = (why: string) => reject(new QuernError(`the emulator ${command} did not run ${executable}: ${why}`));
    child.once("error", (error) => fail(error.message));
    child.once("exit", (code, signal) => fail(`it ended with ${signal ?? code}`));
  });
  // It ends at the latest when it is closed, and then nobody waits.
  ended.catch(() => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => String((await Promise.race([lines.next(), ended])).value);
  const close = () => {
    child.stdin.end();
    void rm(folder, { recursive: true, force: true });
  };
  const told = await answer();
  const bytes = Number(told);
  if (!(bytes > 0)) {
    close();
    throw new QuernError(`the emulator ${command} did not run ${executable}: it said ${told}`);
  }
  const memory = new ArrayBuffer(bytes);
  const arena = new Uint8Array(memory);
  return {
    bytes,
    piece: (offset) => [memory, offset],
    async run(entry) {
      await writeFile(file, arena);
      child.stdin.write(`${entry}\n`);
      const said = await answer();
      if (said !== "done") throw await ended.catch((error) => error);
      arena.set(await readFile(file));
    },
    close,
  };
}
