/**
 * @file `npm run test:targets`: emits the C code of a real training program for other systems and compiles it, without
 * linking or running. The compiler is PyPI's `ziglang`; QUERN_ZIG_PYTHON names a Python that has it.
 */
import { spawnSync } from "node:child_process";
import { build, install, requireNode, runTool } from "./steps.mjs";

requireNode();
const python = process.env.QUERN_ZIG_PYTHON;
if (python === undefined || spawnSync(python, ["-m", "ziglang", "version"]).status !== 0) {
  console.error(
    python === undefined
      ? "quern: set QUERN_ZIG_PYTHON to a Python with the package ziglang; for example:"
      : `quern: "${python} -m ziglang version" failed; for example:`,
  );
  console.error("  python3 -m venv zig && zig/bin/pip install ziglang");
  console.error("  QUERN_ZIG_PYTHON=zig/bin/python npm run test:targets");
  process.exit(1);
}
install();
const code = build();
process.exit(code === 0 ? runTool("vitest", ["run", "test/backends/targets"]) : code);
