/** @file Runs the command line as a process: arguments, standard streams, exit. */
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
  // An explicit exit ends idle thread pools and sockets too; flush the output first.
  process.stdout.write("", (error) => {
    if (error) endWithoutOutput(error);
    process.stderr.write("", () => process.exit(exitCode));
  });
}

/** Ends the process when standard output fails: its reader exited (`quern … | head`), or the disk is full. */
function endWithoutOutput(error: NodeJS.ErrnoException): never {
  if (error.code === "EPIPE") process.exit(0);
  const reason = error.code === "ENOSPC" ? "the disk is full" : error.message;
  process.stderr.write(`quern: cannot write standard output: ${reason}\n`);
  process.exit(1);
}
