/** Trains with real processes: with shared memory always, with the MPIs that `npm run test:distributed` names. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { listCheckpoints, openModel, randomStream } from "../../../src/model/index.js";
import type { MetricsLine } from "../../../src/train/index.js";
import { endAll, endLimit, MPIRUNS, PATIENCE, start } from "./processes.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-ranks-"));
  const lines = Array.from({ length: 800 }, (_, i) => `On day ${i} the mill ground ${(i * 37) % 101} sacks of grain.`);
  await writeFile(join(folder, "text.txt"), lines.join("\n"));
});
afterEach(endAll, PATIENCE);
afterAll(() => rm(folder, { recursive: true, maxRetries: 5, retryDelay: 500 }));

const sizes = "--layers 1 --width 32 --vocab-size 300 --sequence 16 --lr 0.01 --dtype fp32".split(" ");
const begin = (launcher: string, size: number, out: string, ...more: string[]) =>
  start(launcher, size, [
    "pretrain",
    "--text",
    join(folder, "text.txt"),
    "--out",
    join(folder, out),
    ...sizes,
    ...more,
  ]);
const resume = (launcher: string, size: number, out: string) =>
  start(launcher, size, ["pretrain", "--out", join(folder, out), "--resume"]);

async function lossesOf(out: string): Promise<number[]> {
  const lines = (await readFile(join(folder, out, "metrics.jsonl"), "utf8")).trim().split("\n");
  return lines.flatMap((line) => (JSON.parse(line) as MetricsLine).loss ?? []);
}

/** Largest difference between the losses of two runs of equal length. */
async function difference(a: string, b: string): Promise<number> {
  const [first, second] = [await lossesOf(a), await lossesOf(b)];
  expect(first.length).toBe(second.length);
  return Math.max(...first.map((loss, i) => Math.abs(loss - second[i])));
}

async function endOfRun(out: string): Promise<Buffer> {
  const steps = await listCheckpoints(join(folder, out));
  const at = join(folder, out, "checkpoints", String(steps.at(-1)));
  return Buffer.concat([
    await readFile(join(at, "model.safetensors")),
    await readFile(join(at, "training_state.safetensors")),
  ]);
}

const checkpointsOf = (out: string) => listCheckpoints(join(folder, out)).catch(() => []);

/**
 * Kills a rank, `milliseconds` after the run has a new checkpoint; returns what the run printed, and how long the others took
 * to end. Null if the run ended first.
 */
async function killRank(run: ReturnType<typeof start>, out: string, rank: number, milliseconds = 0) {
  const before = (await checkpointsOf(out)).length;
  while (run.child.exitCode === null && (await checkpointsOf(out)).length <= before) await sleep(5);
  await sleep(milliseconds);
  const pid = await run.pidOf(rank);
  if (pid === null) return void (await run.ended);
  process.kill(pid, "SIGKILL");
  const start = performance.now();
  const ended = await run.ended;
  while ((await run.pids()).length > 0) await sleep(10);
  return { ...ended, seconds: (performance.now() - start) / 1000 };
}

const LOSS =
  /^quern: rank (\d) on (\S+) ended unexpectedly; the last good checkpoint is (\S+)\/checkpoints\/(\d+); continue with --resume$/gm;

/** Checks the one sentence about a lost rank. */
function expectLoss(stderr: string, rank: number, out: string) {
  const found = [...stderr.matchAll(LOSS)].map(([, lost, node, run]) => ({ rank: Number(lost), node, run }));
  expect(found, stderr).toEqual([{ rank, node: hostname(), run: join(folder, out) }]);
}

describe.runIf(process.platform === "linux")("quern pretrain --ranks", { timeout: PATIENCE }, () => {
  it("ends all ranks when one is killed, and resumes alone on the course of a single rank", async () => {
    const steps = ["--steps", "40", "--save-every", "8"];
    const whole = begin("--ranks", 1, "whole", ...steps, "--batch", "8");
    expect(await whole.ended).toMatchObject({ code: 0 });
    const killed = await killRank(begin("--ranks", 2, "killed", ...steps, "--batch", "4", "--zero", "1"), "killed", 1);
    expect(killed).toMatchObject({ code: 1 });
    expectLoss(killed?.stderr as string, 1, "killed");
    expect(killed?.stderr.match(/^quern: /gm)).toHaveLength(1);
    expect(killed?.seconds).toBeLessThan(endLimit());
    expect(await resume("--ranks", 1, "killed").ended).toMatchObject({ code: 0 });
    expect(await difference("killed", "whole")).toBeLessThan(1e-4);
    const names = await readdir(join(folder, "killed", "checkpoints"));
    expect(names.filter((name) => name.startsWith("."))).toEqual([]);
  });
});

describe.runIf(MPIRUNS.length > 0).each(["--ranks", ...MPIRUNS])("several ranks by %s", { timeout: PATIENCE }, (by) => {
  const name = by.replace(/\W/g, "");
  const steps = ["--steps", "60", "--save-every", "4"];
  const long = ["--steps", "300", "--save-every", "4"];

  it.each([2, 3, 4])("train as one rank with all rows does: %d ranks", async (size) => {
    expect(await begin("--ranks", 1, `${name}-one${size}`, ...steps, "--batch", "12").ended).toMatchObject({
      code: 0,
    });
    const ranks = begin(by, size, `${name}-${size}`, ...steps, "--batch", `${12 / size}`, "--json");
    const { code, stdout, stderr } = await ranks.ended;
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const result = JSON.parse(stdout.trim().split("\n").at(-1) as string);
    expect(result.ranks).toMatchObject({ count: size });
    expect(result.ranks.tokens_per_second_per_rank).toBeCloseTo(result.tokensPerSecond / size, 6);
    expect(result.ranks.communication_share).toBeGreaterThan(0);
    expect(await difference(`${name}-${size}`, `${name}-one${size}`)).toBeLessThan(1e-4);
    await (await openModel(join(folder, `${name}-${size}`))).close();
  });

  it("have the same bits twice, and whatever moves the data", async () => {
    for (const out of ["whole", "twice"]) {
      expect(await begin(by, 2, `${name}-${out}`, ...long, "--batch", "4").ended).toMatchObject({ code: 0 });
    }
    expect(await begin("--ranks", 2, `${name}-shared`, ...long, "--batch", "4").ended).toMatchObject({ code: 0 });
    for (const out of ["twice", "shared"]) {
      expect((await endOfRun(`${name}-${out}`)).equals(await endOfRun(`${name}-whole`)), out).toBe(true);
    }
  });

  it("have the same bits after kill -9 of random ranks at random moments", async () => {
    const out = `${name}-killed`;
    const random = randomStream(1, name);
    let kills = 0;
    for (; kills < 10; kills++) {
      const run = kills === 0 ? begin(by, 2, out, ...long, "--batch", "4") : resume(by, 2, out);
      const rank = Math.floor(2 * random.uniform(2 * kills));
      const killed = await killRank(run, out, rank, 25 * random.uniform(2 * kills + 1));
      if (killed === undefined) break; // the run was faster
      expect(killed.seconds).toBeLessThan(endLimit());
      expectLoss(killed.stderr, rank, out);
    }
    expect(kills).toBeGreaterThan(4);
    expect(await resume(by, 2, out).ended).toMatchObject({ code: 0 });
    expect((await endOfRun(out)).equals(await endOfRun(`${name}-whole`))).toBe(true);
  });

  it("end, all four of them, when any is killed", async () => {
    for (const rank of [0, 2, 3]) {
      const out = `${name}-four${rank}`;
      const killed = await killRank(begin(by, 4, out, ...long, "--batch", "2"), out, rank);
      expect(killed?.seconds).toBeLessThan(endLimit());
      expectLoss(killed?.stderr as string, rank, out);
    }
  });

  it("end when one is killed while they start", async () => {
    for (const rank of [0, 1]) {
      const run = begin(by, 2, `${name}-early${rank}`, ...steps);
      let pid: number | null = null;
      while (pid === null) pid = await run.pidOf(rank);
      process.kill(pid, "SIGKILL");
      const start = performance.now();
      expect((await run.ended).code).not.toBe(0);
      while ((await run.pids()).length > 0) await sleep(10);
      expect((performance.now() - start) / 1000).toBeLessThan(endLimit());
    }
  });

  it("resume with another number of ranks", async () => {
    for (const [from, to] of [
      [3, 2],
      [2, 3],
      [2, 1],
    ]) {
      const out = `${name}-${from}to${to}`;
      await killRank(
        begin(
          by,
          from,
          out,
          ...steps,
          "--batch",
          `${12 / from / (from === 2 ? 2 : 1)}`,
          "--accumulate",
          from === 2 ? "2" : "1",
        ),
        out,
        from - 1,
      );
      expect(await resume(by, to, out).ended).toMatchObject({ code: 0 });
    }
    expect(await begin("--ranks", 1, `${name}-reference`, ...steps, "--batch", "12").ended).toMatchObject({
      code: 0,
    });
    for (const out of ["3to2", "2to3", "2to1"]) {
      expect(await difference(`${name}-${out}`, `${name}-reference`), out).toBeLessThan(1e-3);
    }
    const { code, stderr } = await resume(by, 4, `${name}-3to2`).ended;
    expect(code).not.toBe(0);
    expect(stderr).toContain("the plan has 3 batches per step, too few for 4 ranks; start at most 3");
  });
});
