/** @file The executor `slurm` on a real cluster of three nodes (`npm run test:slurm`). */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { executorSettings, planOf, runPlan, type TaskKind } from "../../src/executors/index.js";
import { SlurmCluster } from "./slurm-cluster.js";

const cli = join(import.meta.dirname, "..", "..", "dist", "src", "cli.js");
const TASKS = 12;

let root: string;
let cluster: SlurmCluster;
let expected: Record<string, string>;
let options: string[];

function tree(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
    (name) => !/^(cluster|\.quern\.json)/.test(name) && statSync(join(folder, name)).isFile(),
  );
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

const files = (folder: string) =>
  existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith(".")) : [];
const finished = (out: string) => files(join(out, "tasks")).length;

interface Run {
  readonly child: ChildProcess;
  readonly stderr: () => string;
  readonly ended: Promise<number | null>;
}

function quern(out: string, ...more: string[]): Run {
  const child = spawn(
    process.execPath,
    [
      cli,
      "data",
      "clean",
      join(root, "in"),
      "--out",
      out,
      ...options,
      "--executor",
      "slurm",
      "--poll",
      "1",
      "--settle",
      "5",
      ...more,
    ],
    { env: cluster.environment, cwd: root },
  );
  let stderr = "";
  child.stderr?.on("data", (data) => {
    stderr += data;
  });
  return { child, stderr: () => stderr, ended: new Promise((resolve) => child.on("exit", (code) => resolve(code))) };
}

async function until(what: string, condition: () => boolean, seconds = 90): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !condition(); await sleep(200)) {
    if (Date.now() > end) throw new Error(`not after ${seconds} s: ${what}`);
  }
}

describe.skipIf(process.env.QUERN_SLURM === undefined)("a Slurm cluster (npm run test:slurm)", () => {
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "quern-cluster-"));
    mkdirSync(join(root, "in"));
    for (let part = 0; part < TASKS; part++) {
      const lines = Array.from({ length: 60 }, (_, i) =>
        JSON.stringify({
          id: `${part}-${i}`,
          text: `Loaf ${i}, ${"very ".repeat(i % 20)}good; ask baker${i}@example.com.`,
        }),
      );
      writeFileSync(join(root, "in", `${part}.jsonl`), `${lines.join("\n")}\n`);
    }
    // Each document takes some time, so that a task is running when its node is killed.
    writeFileSync(
      join(root, "recipe.ts"),
      `import { custom, defineRecipe, length, personalData } from "quern/data";
const wait = () => { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50); return true; };
export default defineRecipe({
  steps: [custom("slowly", wait, { expectsChange: false }), length({ minWords: 12 }), personalData()],
});`,
    );
    options = ["--recipe", join(root, "recipe.ts"), "--keep-dropped"];
    const out = join(root, "one");
    const one = spawnSync(
      process.execPath,
      [cli, "data", "clean", join(root, "in"), "--out", out, ...options, "--workers", "1"],
      {
        cwd: root,
        encoding: "utf8",
      },
    );
    expect(one.status).toBe(0);
    expected = tree(out);
    expect(Object.keys(expected).filter((name) => /^(documents|dropped)/.test(name))).toHaveLength(2 * TASKS);
    cluster = new SlurmCluster(join(root, "cluster"));
    await cluster.start();
  }, 180_000);
  afterAll(async () => {
    await cluster?.stop();
    rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 500 });
  }, 60_000);

  it("writes the same bytes as one process although a node is killed midway", async () => {
    const out = join(root, "killed");
    const run = quern(out);
    await until("a task in work on n2", () => {
      const records = files(join(out, "cluster/tasks/clean")).map((name) =>
        readFileSync(join(out, "cluster/tasks/clean", name), "utf8"),
      );
      return records.some((record) => record.includes('"running"') && record.includes('"n2"'));
    });
    cluster.killNode("n2");
    expect(await run.ended, run.stderr()).toBe(0);
    expect(run.stderr()).toMatch(/clean 000\d\d: lost on n2: NODE_FAIL, NodeDown; retrying \(attempt 2 of 3\)/);
    expect(tree(out)).toEqual(expected);
    // Twelve tasks in arrays of at most six elements.
    const { elements } = JSON.parse(readFileSync(join(out, "cluster/submissions/0.json"), "utf8"));
    expect(elements).toHaveLength(6);
    cluster.startNode("n2");
    await until("n2 is back", () => cluster.call("sinfo", "-h", "-n", "n2", "-o", "%T").trim() === "idle");
  }, 240_000);

  it("builds a corpus, deduplicated on the nodes, with the same bytes as one process", async () => {
    const recipe = join(root, "corpus.json");
    const deduplicate = [{ by: "near" }, { by: "substring", length: 30 }];
    writeFileSync(recipe, JSON.stringify({ clean: "as-is", deduplicate, heldout: 0.1, shards: { vocabSize: 300 } }));
    const call = ["data", "corpus", join(root, "in"), "--recipe", recipe, "--out"];
    const [here, there] = [join(root, "corpus-here"), join(root, "corpus-there")];
    const make = (...more: string[]) =>
      spawnSync(process.execPath, [cli, ...call, ...more], { env: cluster.environment, cwd: root, encoding: "utf8" });
    expect(make(here).status).toBe(0);
    const run = make(there, "--executor", "slurm", "--poll", "1", "--settle", "5");
    expect([run.status, run.stderr.match(/(index|merge|choose|write): job \d+ submitted/g)?.length]).toEqual([0, 8]);
    expect(readFileSync(join(there, "manifest.json"))).toEqual(readFileSync(join(here, "manifest.json")));
    expect(tree(join(there, "shards"))).toEqual(tree(join(here, "shards")));
  }, 240_000);

  it("trains the runs of a sweep on the nodes, with the bits of one process", () => {
    const text = join(root, "sweep.txt");
    const sentence = (i: number) => `The miller number ${i} ground ${(i * 7919) % 1013} sacks of corn by the river.`;
    writeFileSync(text, Array.from({ length: 1500 }, (_, i) => sentence(i)).join("\n\n"));
    const grid = ["--flops", "1e9,2e9", "--sizes", "2", "--vocab-size", "300", "--sequence", "32", "--held-out", "512"];
    const call = (out: string, ...more: string[]) =>
      spawnSync(process.execPath, [cli, "scale", "sweep", "--text", text, ...grid, "--out", out, ...more], {
        ...{ env: cluster.environment, cwd: root, encoding: "utf8" },
      });
    const [here, there] = [join(root, "sweep-here"), join(root, "sweep-there")];
    expect(call(here).status).toBe(0);
    const run = call(there, "--executor", "slurm", "--poll", "1", "--settle", "5");
    expect([run.status, run.stderr.match(/train: job \d+ submitted/g)?.length], run.stderr).toEqual([0, 1]);
    const rows = (out: string) =>
      readFileSync(join(out, "runs.csv"), "utf8")
        .split("\n")
        .map((line) => line.split(",").slice(0, -1).join());
    expect(rows(there)).toEqual(rows(here));
    expect(rows(there)).toHaveLength(6);
    const { elements } = JSON.parse(readFileSync(join(there, "cluster/submissions/0.json"), "utf8"));
    expect(elements).toHaveLength(4);
  }, 240_000);

  it("resumes where a killed submitter stopped, with the jobs still running", async () => {
    const out = join(root, "resumed");
    const first = quern(out);
    await until("a task is finished", () => finished(out) > 0);
    first.child.kill("SIGKILL");
    await first.ended;
    const second = quern(out);
    expect(await second.ended, second.stderr()).toBe(0);
    expect(second.stderr()).toContain("resuming job");
    expect(second.stderr()).not.toContain("clean: job");
    expect(tree(out)).toEqual(expected);
  }, 240_000);

  it("reports a cancelled array and resumes at the next call", async () => {
    const out = join(root, "cancelled");
    const first = quern(out);
    await until("a task is finished", () => finished(out) > 0);
    const { jobs } = JSON.parse(readFileSync(join(out, "cluster/state.json"), "utf8"));
    cluster.call("scancel", jobs[0].job);
    expect(await first.ended).toBe(1);
    expect(first.stderr()).toMatch(
      /quern: \d+ tasks of clean cancelled in the queue; \d+ of 13 tasks are finished; the same command/,
    );
    const second = quern(out);
    expect(await second.ended, second.stderr()).toBe(0);
    expect(tree(out)).toEqual(expected);
  }, 240_000);

  it("leaves its jobs running on Ctrl-C, and they complete the run on their own", async () => {
    const out = join(root, "left");
    const run = quern(out);
    await until("a task is in work", () => files(join(out, "cluster/tasks/clean")).length > 0);
    run.child.kill("SIGINT");
    expect(await run.ended).toBe(130);
    expect(run.stderr()).toMatch(/interrupted: jobs \d+ \d+ keep running; .* `scancel \d+ \d+` ends them/);
    await until("the funnel", () => existsSync(join(out, "funnel.json")));
    expect(tree(out)).toEqual(expected);
  }, 240_000);

  it("runs the tasks of a module outside the package", async () => {
    vi.stubEnv("SLURM_CONF", cluster.environment.SLURM_CONF);
    try {
      const { squares } = (await import(new URL("./fixtures/squares.mjs", import.meta.url).href)) as {
        readonly squares: TaskKind<{ readonly offset: number }>;
      };
      const numbers = Array.from({ length: 5 }, (_, i) => ({ name: String(i), bytes: 0 }));
      const stages = [
        { name: "square", after: [], tasks: numbers },
        { name: "sum", after: ["square"], tasks: [{ name: "0", bytes: 0 }] },
      ];
      const plan = planOf(squares, { out: join(root, "squares"), config: { offset: 1 }, stages });
      await runPlan(plan, { settings: executorSettings({ executor: "slurm", poll: 1, settle: 5 }) });
      expect(JSON.parse(readFileSync(join(plan.out, "sum", "0.json"), "utf8")).value).toBe(1 + 4 + 9 + 16 + 25);
    } finally {
      vi.unstubAllEnvs();
    }
  }, 120_000);

  it("reports a full disk with the task, and resumes when there is space", async ({ skip }) => {
    const out = join(root, "full");
    mkdirSync(out);
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=160k", "tmpfs", out]).status !== 0)
      skip("a small disk cannot be mounted");
    try {
      const first = quern(out, "--retries", "1");
      expect(await first.ended).toBe(1);
      expect(first.stderr()).toMatch(/quern: .*the disk is full/);
      expect(spawnSync("mount", ["-o", "remount,size=64m", out]).status).toBe(0);
      const second = quern(out);
      expect(await second.ended, second.stderr()).toBe(0);
      expect(tree(out)).toEqual(expected);
    } finally {
      spawnSync("umount", ["-l", out]);
    }
  }, 240_000);
});
