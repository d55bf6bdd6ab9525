import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sweepRuns } from "../../../src/scale/index.js";

const cli = join(import.meta.dirname, "..", "..", "..", "dist", "src", "cli.js");
let base: string;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "quern-killed-"));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

describe.skipIf(!existsSync(cli))("a sweep that is killed within a run", () => {
  it("continues from the run's checkpoint to the same bits", async () => {
    const text = join(base, "text.txt");
    const sentence = (i: number) => `The miller number ${i} ground ${(i * 7919) % 1013} sacks of corn by the river.`;
    writeFileSync(text, Array.from({ length: 1500 }, (_, i) => sentence(i)).join("\n\n"));
    const [whole, killed] = [join(base, "whole"), join(base, "killed")];
    const options = { flops: [6e10], sizes: 1, vocabSize: 300, sequence: 32, heldOut: 512 };
    const planned = await sweepRuns({ ...options, text: [text], out: whole, workers: 1 });
    const [{ run }] = planned.runs as [{ readonly run: string }];
    // The same sweep, as another process that is killed after its first checkpoint.
    cpSync(whole, killed, { recursive: true });
    for (const folder of ["runs", "outcomes"]) rmSync(join(killed, folder), { recursive: true });
    const child = spawn(process.execPath, [cli, "scale", "sweep", "--resume", "--workers", "1", "--out", killed]);
    const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on("exit", (_, signal) => resolve(signal)));
    const checkpoints = join(killed, run, "checkpoints");
    while (
      child.exitCode === null &&
      (!existsSync(checkpoints) || !readdirSync(checkpoints).some((name) => /^\d+$/.test(name)))
    ) {
      await sleep(2);
    }
    child.kill("SIGKILL");
    expect(await ended).toBe("SIGKILL");
    expect(existsSync(join(killed, "outcomes"))).toBe(false);
    const from = Math.max(...readdirSync(checkpoints).map(Number).filter(Number.isFinite));
    const { steps } = planned.runs[0];
    expect(from).toBeGreaterThan(0);
    expect(from).toBeLessThan(Number(steps));
    const resumed = await sweepRuns({ out: killed, resume: true, workers: 1 });
    expect(resumed.runs[0].loss).toBe(planned.runs[0].loss);
    const weights = (out: string) => readFileSync(join(out, run, "checkpoints", String(steps), "model.safetensors"));
    expect(weights(killed)).toEqual(weights(whole));
  });
});
