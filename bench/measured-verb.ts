/** @file The command line in a process that says in the end how much memory it had: `node measured-verb.js VERB …`. */
process.on("exit", () => console.error(`MAXRSS ${process.resourceUsage().maxRSS}`));
await import("../src/cli.js");
