/** @file The command line as a process: its arguments, its standard streams, its exit. */
import { main, type Verb } from "./main.js";

/** Runs this process's command line and ends it with the exit code. */
export async function runProcess(verbs: readonly Verb[]): Promise<void> {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // The reader has gone (`quern … | head`): nothing is left to say. Anything else, such as a full disk, is told.
    if (error.code === "EPIPE") process.exit(0);
    process.stderr.write(
      `quern: cannot write standard output: ${error.code === "ENOSPC" ? "the disk is full" : error.message}\n`,
    );
    process.exit(1);
  });
  process.stderr.on("error", () => {});
  const exitCode = await main(verbs, process.argv.slice(2));
  // Exiting by hand ends idle thread pools and sockets as well; what was written must be out first.
  process.stdout.write("", () => process.stderr.write("", () => process.exit(exitCode)));
}
