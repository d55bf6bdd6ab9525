/**
 * @file `npm run test:arm`: compiles the operations (forward and backward) and the transformers of the fixtures for aarch64,
 * runs them under qemu-aarch64, and compares them with the `reference` backend and the oracle's numbers. Not part of
 * `npm test`, which would take twice as long.
 */
import { spawnSync } from "node:child_process";
import { build, install, requireNode, runTool } from "./steps.mjs";

requireNode();
const compiler = process.env.QUERN_CC ?? "aarch64-linux-gnu-gcc";
const emulator = process.env.QUERN_EMULATOR ?? "qemu-aarch64 -cpu max";
for (const command of [compiler, emulator.split(" ")[0]]) {
  if (spawnSync(command, ["--version"]).status === 0) continue;
  console.error(`quern: cannot run ${command}, which the tests for Arm need; on Debian or Ubuntu:`);
  console.error("  sudo apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user");
  console.error("(set QUERN_CC to use another compiler for aarch64-linux, QUERN_EMULATOR to use another emulator)");
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
