/** @file The command line as a process: its arguments, its standard streams, its exit. */
import { constants } from "node:os";
import { main, type Verb } from "./main.js";
import { endOnSecond } from "./second-signal.js";

/** Runs a command line, by default this process's, and ends the process with the exit code. */
export async function runProcess(
  verbs: readonly Verb[],
  argv: readonly string[] = process.argv.slice(2),
): Promise<void> {
  process.stdout.on("error", endWithoutOutput);
  process.stderr.on("error", () => {});
  const exitCode = await main(verbs, argv, () => endOnSecond([constants.signals.SIGINT, constants.signals.SIGTERM]));
  // Exiting by hand ends idle thread pools and sockets as well; what was written must be out first.
  process.stdout.write("", (error) => {
    if (error) endWithoutOutput(error);
    process.stderr.write("", () => process.exit(exitCode));
  });
}

/** Standard output cannot be written: its reader has gone (`quern … | head`), or its disk is full. */
function endWithoutOutput(error: NodeJS.ErrnoException): never {
  if (error.code === "EPIPE") process.exit(0);
  const reason = error.code === "ENOSPC" ? "the disk is full" : error.message;
  process.stderr.write(`quern: cannot write standard output: ${reason}\n`);
  process.exit(1);
}
