/**
 * @file `npm run test:targets`: the C of a real training program, emitted for each system that we have not got, must
 * compile there. PyPI's `ziglang` is the compiler: QUERN_ZIG_PYTHON names a Python that has it. Nothing is linked or run.
 */
import { spawnSync } from "node:child_process";
import { build, install, requireNode, runTool } from "./steps.mjs";

requireNode();
const python = process.env.QUERN_ZIG_PYTHON;
if (python === undefined || spawnSync(python, ["-m", "ziglang", "version"]).status !== 0) {
  console.error(
    python === undefined
      ? "quern: QUERN_ZIG_PYTHON names no Python with the package ziglang; for example:"
      : `quern: "${python} -m ziglang version" does not run; for example:`,
  );
  console.error("  python3 -m venv zig && zig/bin/pip install ziglang");
  console.error("  QUERN_ZIG_PYTHON=zig/bin/python npm run test:targets");
  process.exit(1);
}
install();
const code = build();
process.exit(code === 0 ? runTool("vitest", ["run", "test/backends/targets"]) : code);
