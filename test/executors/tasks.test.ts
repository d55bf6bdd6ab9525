import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { isBuilt } from "../../src/built-module.js";
import { executorSettings, planOf, runPlan, type TaskKind, type TaskPlan } from "../../src/executors/index.js";
import { kindOf } from "../../src/executors/tasks.js";
import { FakeSlurm } from "./fake-slurm.js";

interface Config {
  readonly offset: number;
  readonly fails?: string;
}

const MODULE = new URL("./fixtures/squares.mjs", import.meta.url).href;
/** The task kind that the module exports. */
let squares: TaskKind<Config>;
let root: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "quern-tasks-"));
  squares = ((await import(MODULE)) as { squares: TaskKind<Config> }).squares;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function plan(name: string, config: Config = { offset: 1 }): TaskPlan<Config> {
  const numbers = Array.from({ length: 12 }, (_, i) => ({ name: String(i), bytes: 0 }));
  const stages = [
    { name: "square", after: [], tasks: numbers },
    { name: "sum", after: ["square"], tasks: [{ name: "0", bytes: 0 }] },
  ];
  return planOf(squares, { out: join(root, name), config, stages });
}
/** 1² + … + 12² */
const SUM = 650;
const sumOf = ({ out }: TaskPlan) => JSON.parse(readFileSync(join(out, "sum", "0.json"), "utf8")).value;
const threadsOf = ({ out }: TaskPlan) =>
  new Set(
    readdirSync(join(out, "square")).map(
      (name) => JSON.parse(readFileSync(join(out, "square", name), "utf8")).thread as number,
    ),
  );

describe("tasks defined by a module outside the package", () => {
  it("run in this process, and only unfinished ones run again", async () => {
    const here = plan("here");
    const ran: string[] = [];
    const run = () =>
      runPlan(here, { workers: 1, events: { finished: (stage, { name }) => void ran.push(`${stage} ${name}`) } });
    await run();
    expect(sumOf(here)).toBe(SUM);
    expect(ran).toHaveLength(13);
    expect(threadsOf(here)).toEqual(new Set([0]));
    rmSync(join(here.out, "square", "7.json"));
    ran.length = 0;
    await run();
    expect(ran).toEqual(["square 7"]);
  });

  it.skipIf(!isBuilt())("run in worker threads, with progress and the first error", async () => {
    const there = plan("there");
    let progress = 0;
    await runPlan(there, { workers: 3, events: { progress: () => void progress++ } });
    expect(sumOf(there)).toBe(SUM);
    expect(progress).toBe(13);
    expect(threadsOf(there).size).toBeGreaterThan(0);
    const failing = plan("failing", { offset: 1, fails: "5" });
    await expect(runPlan(failing, { workers: 3 })).rejects.toThrow("the number 5 is refused");
  });

  it("run and resume on a cluster, and name the failed task", async () => {
    const slurm = new FakeSlurm(join(root, "slurm"), 4);
    try {
      const settings = executorSettings({ executor: "slurm", command: "quern", poll: 0.02, settle: 0 });
      const cluster = plan("cluster");
      await runPlan(cluster, { settings });
      expect(sumOf(cluster)).toBe(SUM);
      expect(slurm.jobs).toHaveLength(2);
      expect(slurm.script("1")).toContain("--array=0-3\n");
      const failing = plan("cluster-failing", { offset: 1, fails: "5" });
      await expect(runPlan(failing, { settings })).rejects.toThrow(
        /1 task of square failed, 3 times: 5, the last time: the number 5 is refused/,
      );
    } finally {
      await slurm.stop();
      vi.unstubAllEnvs();
    }
  });

  it("are rejected in one sentence if the module or the config is invalid", async () => {
    const right = plan("wrong");
    await expect(kindOf({ ...right, kind: "cubes" })).rejects.toThrow(
      /^the tasks "cubes" cannot run: .*exports no such/,
    );
    await expect(kindOf({ ...right, module: "file:///none.mjs" })).rejects.toThrow(
      /cannot run: .*none\.mjs cannot be loaded/,
    );
    const config = { offset: "1" } as unknown as Config;
    await expect(runPlan({ ...right, config })).rejects.toMatchObject({
      message: expect.stringMatching(
        /^the tasks "squares" cannot run: the plan's config\.offset is invalid \(.*number/,
      ),
      exitCode: 2,
    });
  });
});
