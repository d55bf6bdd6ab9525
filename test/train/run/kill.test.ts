/** Kills runs of the built command line with real signals at random moments. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listCheckpoints, openModel } from "../../../src/model/index.js";
import { SLOW_BUILD } from "../../model/targets.js";

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const cli = join(root, "dist", "src", "cli.js");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-kill-"));
  const lines = Array.from({ length: 800 }, (_, i) => `On day ${i} the mill ground ${(i * 37) % 101} sacks of grain.`);
  await writeFile(join(folder, "text.txt"), lines.join("\n"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Saves every step, so that most signals arrive during a save. */
const sizes =
  "--steps 80 --save-every 1 --layers 1 --width 32 --vocab-size 300 --sequence 16 --batch 2 --lr 0.01 --threads 1";

/** Override those: the run must not end before the signal arrives, however late this process sends it. */
const long = ["--steps", "600", "--save-every", "100000"];

function begin(out: string, ...more: string[]): ChildProcess {
  const options = ["pretrain", "--text", join(folder, "text.txt"), "--out", join(folder, out), ...sizes.split(" ")];
  return spawn(process.execPath, [cli, ...options, "--keep", "3", ...more], { stdio: ["ignore", "ignore", "pipe"] });
}

async function ended(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = "";
  child.stderr?.on("data", (data) => {
    stderr += data;
  });
  const [code] = await once(child, "exit");
  return { code, stderr };
}

const newest = async (out: string) => (await listCheckpoints(join(folder, out))).at(-1) ?? 0;

/** The final weights and optimizer state of a run, as bytes. */
async function endOfRun(out: string): Promise<Buffer> {
  const at = join(folder, out, "checkpoints", String(await newest(out)));
  const read = (name: string) => readFile(join(at, name));
  return Buffer.concat([await read("model.safetensors"), await read("training_state.safetensors")]);
}

describe("quern pretrain, killed", { timeout: 2 * SLOW_BUILD }, () => {
  it("resumes to the same bits after kill -9 at random moments, even while it saves", async () => {
    expect((await ended(begin("whole"))).code).toBe(0);
    let kills = 0;
    for (; kills < 4 && (await newest("killed")) < 70; kills++) {
      const before = await newest("killed");
      const child = begin("killed", "--resume");
      const exit = ended(child);
      while (child.exitCode === null && (await newest("killed")) <= before) await sleep(1);
      await sleep(30 * Math.random());
      child.kill("SIGKILL");
      await exit;
      // Every named checkpoint is complete.
      for (const step of await listCheckpoints(join(folder, "killed"))) {
        await (await openModel(join(folder, "killed", "checkpoints", String(step)))).close();
      }
    }
    expect(kills).toBeGreaterThan(1);
    const last = await ended(begin("killed", "--resume"));
    expect(last).toMatchObject({ code: 0 });
    expect((await endOfRun("killed")).equals(await endOfRun("whole"))).toBe(true);
    // No temporary checkpoints are left.
    const names = await readdir(join(folder, "killed", "checkpoints"));
    expect(names.filter((name) => name.startsWith("."))).toEqual([]);
    expect(names.length).toBeLessThanOrEqual(4);
  });

  it("saves on Ctrl-C, and resumes to the same bits", async () => {
    expect((await ended(begin("unstopped", ...long))).code).toBe(0);
    const child = begin("stopped", ...long);
    const exit = ended(child);
    // The first metrics line shows that training has begun.
    while (
      child.exitCode === null &&
      !(await readFile(join(folder, "stopped", "metrics.jsonl"), "utf8").catch(() => ""))
    ) {
      await sleep(1);
    }
    child.kill("SIGINT");
    const { code, stderr } = await exit;
    expect({ code, stderr }).toMatchObject({ code: 130 });
    expect(await newest("stopped")).toBeGreaterThan(0);
    expect(await newest("stopped")).toBeLessThan(600);
    expect((await ended(begin("stopped", ...long, "--resume"))).code).toBe(0);
    expect((await endOfRun("stopped")).equals(await endOfRun("unstopped"))).toBe(true);
  });
});
