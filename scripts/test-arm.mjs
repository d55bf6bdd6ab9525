/**
 * @file `npm run test:arm`: the operations (forward and backward) and the transformers of the fixtures, compiled for aarch64
 * and run under qemu-aarch64, held to `reference` and to the oracle's numbers. Not a part of `npm test`, which would take
 * twice as long.
 */
import { spawnSync } from "node:child_process";
import { build, install, requireNode, runTool } from "./steps.mjs";

requireNode();
const compiler = process.env.QUERN_CC ?? "aarch64-linux-gnu-gcc";
const emulator = process.env.QUERN_EMULATOR ?? "qemu-aarch64 -cpu max";
for (const command of [compiler, emulator.split(" ")[0]]) {
  if (spawnSync(command, ["--version"]).status === 0) continue;
  console.error(`quern: ${command} does not run, and the tests for Arm need it; on Debian or Ubuntu:`);
  console.error("  sudo apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user");
  console.error("(QUERN_CC names another compiler for aarch64-linux, QUERN_EMULATOR another emulator)");
  process.exit(1);
}
install();
const files = ["operations", "bf16"].map((name) => `test/backends/${name}`);
const environment = { QUERN_CC: compiler, QUERN_EMULATOR: emulator };
const code = build();
process.exit(
  code === 0
    ? runTool("vitest", ["run", ...files, "test/model/transformer", "-t", "neon|portable"], environment)
    : code,
);
