/** @file Runs a `quern` command and prints its peak memory at exit: `node measured-verb.js VERB …`. */
process.on("exit", () => console.error(`MAXRSS ${process.resourceUsage().maxRSS}`));
await import("../src/cli.js");
