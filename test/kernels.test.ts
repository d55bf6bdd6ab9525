import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const hasClang = existsSync(join(root, "node_modules", "@yowasp", "clang"));

describe("WebAssembly kernels", () => {
  it.skipIf(!hasClang)("are what their C files build to", { timeout: 120_000 }, () => {
    // Exits with 1, and so throws here, where one of them is stale.
    const output = execFileSync(process.execPath, ["scripts/kernels.mjs", "--check"], { cwd: root, encoding: "utf8" });
    expect(output).toMatch(/classifier\/kernel\.wasm: \d+ bytes\n/);
  });
});
