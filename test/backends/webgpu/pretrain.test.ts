/** `quern pretrain --backend webgpu` has the losses of `--backend cpu` (`npm run test:webgpu`). */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { because, problem, runsAll } from "./adapter.js";

const cli = fileURLToPath(new URL("../../../dist/src/cli.js", import.meta.url));
const WORDS =
  "the miller pours grain into the hole of the upper stone and turns it until flour falls on the cloth".split(" ");

describe.skipIf(problem !== null || !runsAll)(`quern pretrain on webgpu${because}`, () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "quern-webgpu-"));
    const lines = Array.from({ length: 3000 }, (_, i) =>
      Array.from({ length: 9 }, (_, k) => WORDS[(i * i + 7 * k * (i + k)) % WORDS.length]).join(" "),
    );
    await writeFile(join(folder, "text.txt"), `${lines.join(".\n")}.\n`);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function lossesOn(backend: string): Promise<number[]> {
    const out = join(folder, backend);
    const sizes = ["--layers", "1", "--width", "32", "--heads", "2", "--vocab-size", "300", "--sequence", "32"];
    const { stderr } = await promisify(execFile)(process.execPath, [
      ...[cli, "pretrain", "--backend", backend, "--text", join(folder, "text.txt"), "--out", out],
      ...["--steps", "50", "--batch", "2", ...sizes],
    ]);
    if (backend === "webgpu") expect(stderr).toMatch(/computing on webgpu: .+/);
    const lines = (await readFile(join(out, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
    return lines.map((line) => JSON.parse(line)).flatMap(({ loss }) => (typeof loss === "number" ? [loss] : []));
  }

  it("has the losses of the CPU, step by step", { timeout: 900_000 }, async () => {
    const [cpu, gpu] = [await lossesOn("cpu"), await lossesOn("webgpu")];
    expect(cpu.length).toBeGreaterThanOrEqual(50);
    expect(gpu.length).toBe(cpu.length);
    expect(Math.max(...cpu.map((loss, i) => Math.abs(loss - gpu[i])))).toBeLessThan(1e-3);
    expect(cpu[cpu.length - 1]).toBeLessThan(cpu[0] - 1);
  });
});
