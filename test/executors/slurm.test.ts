import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { main } from "../../src/commands/main.js";
import { type CleanOptions, clean, makeCorpus, planCleanOnSlurm } from "../../src/data/index.js";
import { runElement } from "../../src/executors/index.js";
import { FakeSlurm } from "./fake-slurm.js";

let root: string;
let input: string;
let recipe: string;
let slurm: FakeSlurm;
let expected: Record<string, string>;
let count = 0;
const notices: string[] = [];

const text = (part: number, i: number) =>
  `Loaf ${part * 20 + i} of the miller was ${"very ".repeat(i)}good. Write to baker${i}@example.com for it.`;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "quern-slurm-"));
  input = join(root, "in");
  mkdirSync(input);
  for (let part = 0; part < 8; part++) {
    const lines = Array.from({ length: 20 }, (_, i) => JSON.stringify({ id: `${part}-${i}`, text: text(part, i) }));
    writeFileSync(join(input, `${part}.jsonl`), `${lines.join("\n")}\n`);
  }
  recipe = join(root, "recipe.ts");
  writeFileSync(
    recipe,
    `import { defineRecipe, length, personalData } from "quern/data";
export default defineRecipe({ steps: [length({ minWords: 20 }), personalData()] });`,
  );
  const out = join(root, "expected");
  await clean({ inputs: [input], out, recipe, keepDropped: true, workers: 1 });
  expected = tree(out);
  expect(Object.keys(expected).filter((name) => name.startsWith("dropped/"))).toHaveLength(8);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

beforeEach(() => {
  notices.length = 0;
  slurm = new FakeSlurm(join(root, `slurm-${count++}`), 3);
});
afterEach(async () => {
  await slurm.stop();
  vi.unstubAllEnvs();
});

/** Reads all files of a run except those that only the cluster needed. */
function tree(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => name.replaceAll("\\", "/"))
    .filter((name) => !/^(cluster|\.quern\.json)/.test(name) && statSync(join(folder, name)).isFile());
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

const out = () => join(root, `out-${count}`);
const run = (options: Partial<CleanOptions> = {}) =>
  clean({
    inputs: [input],
    // Some tests run finished tasks again.
    force: true,
    out: out(),
    recipe,
    keepDropped: true,
    executor: "slurm",
    command: "quern",
    poll: 0.02,
    settle: 0,
    onNotice: (line) => notices.push(line),
    ...options,
  });
const nothing = async () => {};

describe("a run on Slurm", () => {
  it("writes the same bytes as one process, in arrays no larger than the cluster allows", async () => {
    const progress: string[] = [];
    const { funnel, ran } = await run({
      partition: "cpu",
      time: "1:00:00",
      memory: "2G",
      cpus: 2,
      account: "mill",
      concurrent: 2,
      setup: ["module load node"],
      sbatch: ["--constraint=avx512"],
      onProgress: ({ note }) => progress.push(note ?? ""),
    });
    expect(tree(out())).toEqual(expected);
    expect([funnel.read, ran]).toEqual([160, 8]);
    expect(slurm.jobs).toEqual(["1", "2"]);
    const folder = join(out(), "cluster");
    expect(slurm.script("1").replace(/quern-clean-\w+/, "quern-clean-RUN")).toBe(`#!/bin/sh
#SBATCH --job-name=quern-clean-RUN-0
#SBATCH --array=0-2%2
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --no-requeue
#SBATCH --chdir=${process.cwd()}
#SBATCH --output=${folder}/logs/0-%a.out
#SBATCH --open-mode=append
#SBATCH --partition=cpu
#SBATCH --account=mill
#SBATCH --time=1:00:00
#SBATCH --mem=2G
#SBATCH --constraint=avx512
module load node
exec quern data task ${folder}/submissions/0.json --workers 2
`);
    expect(slurm.script("2")).toContain("#SBATCH --dependency=afterok:1\n#SBATCH --kill-on-invalid-dep=yes\n");
    const { elements } = JSON.parse(readFileSync(join(folder, "submissions/0.json"), "utf8"));
    expect(elements).toEqual([
      ["00000", "00001"],
      ["00002", "00003", "00004"],
      ["00005", "00006", "00007"],
    ]);
    expect(readFileSync(join(folder, "logs/clean/00004.log"), "utf8")).toMatch(
      /started on n1.*\n.*finished in .* on n1\n$/,
    );
    expect(progress.at(-1)).toBe("160 documents, 0 running, 0 queued");
    // A second call has nothing left to do.
    expect((await run()).ran).toBe(0);
    expect(slurm.jobs).toHaveLength(2);
  });

  it("retries tasks that were lost with their node, on other nodes, and tasks that never started", async () => {
    let lost = 0;
    slurm.play = async (turn) => {
      if (turn.job !== "1" || turn.element === 2) return turn.run("n3");
      lost += 1;
      if (turn.element === 1) return turn.set("FAILED", "n2", "JobLaunchFailure");
      // The node is killed midway: one task is done, the next has started. The element never looks finished.
      turn.set("RUNNING", "n1");
      const submission = JSON.parse(readFileSync(turn.submission, "utf8"));
      const upToThere = join(out(), "cluster/submissions/cut.json");
      writeFileSync(upToThere, JSON.stringify({ ...submission, elements: [["00000"]] }));
      await runElement({ submission: upToThere, element: 0 });
      const record = { state: "running", host: "n1", documents: 7 };
      writeFileSync(join(out(), "cluster/tasks/clean/00001.0.json"), JSON.stringify(record));
      writeFileSync(join(out(), "cluster/logs/clean/00001.log"), "started on n1\n");
      writeFileSync(join(out(), "documents/.00001.jsonl.abc-1.tmp"), `cut off ${submission.run}`);
      turn.set("NODE_FAIL", "n1", "NodeDown");
    };
    await run();
    expect(lost).toBe(2);
    expect(tree(out())).toEqual(expected);
    expect(notices.filter((line) => line.includes("attempt"))).toEqual([
      "clean 00001: lost on n1: NODE_FAIL, NodeDown; retrying (attempt 2 of 3)",
      ...[2, 3, 4].map((n) => `clean 0000${n}: lost on n2: FAILED, JobLaunchFailure; retrying (attempt 2 of 3)`),
    ]);
    const retry = slurm.jobs.find((job) => slurm.script(job).includes("--exclude")) as string;
    expect(slurm.script(retry)).toContain("--exclude=n1,n2\n");
    expect(readFileSync(join(out(), "cluster/logs/clean/00001.log"), "utf8").match(/started on/g)).toHaveLength(2);
  });

  it("gives up on a task after its retries, names reason and log, keeps the rest, and resumes once the cause is fixed", async () => {
    slurm.play = async (turn) => {
      if (turn.stage === "clean") rmSync(join(out(), "documents"), { recursive: true, force: true });
      // Each attempt fails, because a file is in the place of the folder.
      if (turn.stage === "clean") writeFileSync(join(out(), "documents"), "");
      await turn.run();
    };
    await expect(run({ retries: 1, arraySize: 1 })).rejects.toThrow(
      /^8 tasks of clean failed, the first 2 times: 00000, the last time: cannot write .*documents\/00000\.jsonl: it already exists.*cluster\/logs\/clean\/00000\.log.*0 of 9 tasks are finished; the same command resumes$/,
    );
    // The final stage did not run on missing files.
    expect(slurm.jobs.filter((job) => slurm.script(job).includes("quern-funnel")).length).toBeGreaterThan(0);
    expect(readdirSync(out())).not.toContain("funnel.json");
    rmSync(join(out(), "documents"));
    slurm.play = (turn) => turn.run();
    await run({ retries: 1 });
    expect(tree(out())).toEqual(expected);
  });

  it("reports a cancelled array, lets the rest finish, and resumes at the next call", async () => {
    slurm.play = async (turn) => {
      if (turn.stage === "clean" && turn.element > 0) turn.set("CANCELLED", "n1", "None");
      else await turn.run();
    };
    await expect(run()).rejects.toThrow(
      /^6 tasks of clean cancelled in the queue; 2 of 9 tasks are finished; the same command/,
    );
    slurm.play = (turn) => turn.run();
    const { ran } = await run();
    expect(ran).toBe(6);
    expect(tree(out())).toEqual(expected);
  });

  it("leaves jobs running on Ctrl-C, and resumes watching them", async () => {
    slurm.play = nothing;
    const abort = new AbortController();
    const first = run({ signal: abort.signal });
    await vi.waitFor(() => expect(slurm.jobs).toHaveLength(2), { timeout: 20_000 });
    await sleep(100);
    abort.abort();
    await expect(first).rejects.toThrow(
      /^interrupted: jobs 1 2 keep running; 0 of 9 tasks are finished; the same command resumes, `scancel 1 2` ends them$/,
    );
    slurm.play = (turn) => turn.run();
    await sleep(100);
    await run();
    expect(tree(out())).toEqual(expected);
    expect(slurm.jobs).toHaveLength(2);
    expect(notices).toContain("clean: resuming job 1");
  });

  it("cancels the jobs on Ctrl-C with --cancel-on-interrupt", async () => {
    slurm.play = nothing;
    const abort = new AbortController();
    const first = run({ signal: abort.signal, cancelOnInterrupt: true });
    await vi.waitFor(() => expect(slurm.jobs).toHaveLength(2), { timeout: 20_000 });
    await sleep(100);
    abort.abort();
    await expect(first).rejects.toThrow(/^interrupted: jobs 1 2 cancelled; 0 of 9/);
    expect(slurm.read("cancelled").split("\n")).toEqual(["1", "2", ""]);
  });

  it("finds a job whose number a killed submitter did not record, and submits tasks that it never sent", async () => {
    slurm.play = nothing;
    const abort = new AbortController();
    const first = run({ signal: abort.signal });
    await vi.waitFor(() => expect(slurm.jobs).toHaveLength(2), { timeout: 20_000 });
    await sleep(100);
    abort.abort();
    await expect(first).rejects.toThrow("interrupted");
    const path = join(out(), "cluster/state.json");
    const journal = JSON.parse(readFileSync(path, "utf8"));
    for (const job of journal.jobs) delete job.job;
    writeFileSync(path, JSON.stringify(journal));
    slurm.write("name-2", "another\n");
    slurm.play = (turn) => (turn.job === "2" ? nothing() : turn.run());
    await run();
    expect(tree(out())).toEqual(expected);
    expect(notices.slice(-2)).toEqual(["clean: resuming job 1", "funnel: job 3 submitted, 1 task"]);
  });

  it("asks sacct about elements that the queue has forgotten, and works without accounting", async () => {
    slurm.write("accounting", "1_0|OUT_OF_MEMORY|n2|0:125\n1_0.batch|OUT_OF_MEMORY|n2|0:125\n");
    slurm.play = async (turn) => {
      if (turn.job !== "1") return turn.run();
      if (turn.element === 2) slurm.forget("1");
      else turn.set("RUNNING", "n2");
    };
    await run();
    expect(tree(out())).toEqual(expected);
    expect(notices).toContain("clean 00000: lost on n2: OUT_OF_MEMORY, exit code 0:125; retrying (attempt 2 of 3)");
    expect(notices).toContain(
      "clean 00002: disappeared from the queue without a result or a reason; retrying (attempt 2 of 3)",
    );
  });

  it("waits while Slurm is busy, and reports a permanent rejection at once", async () => {
    slurm.write("sbatch-says", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n");
    await run();
    expect(tree(out())).toEqual(expected);
    slurm.write("sbatch-says", "sbatch: error: invalid partition specified: moon\n");
    rmSync(join(out(), "funnel.json"));
    await expect(run({ partition: "moon" })).rejects.toThrow(
      /^sbatch .*\.sh failed: invalid partition specified: moon$/,
    );
  });

  it("first cancels the jobs of an earlier run with a different configuration", async () => {
    slurm.play = nothing;
    const abort = new AbortController();
    const first = run({ signal: abort.signal, sample: 0.5 });
    await vi.waitFor(() => expect(slurm.jobs).toHaveLength(2), { timeout: 20_000 });
    await sleep(100);
    abort.abort();
    await expect(first).rejects.toThrow("interrupted");
    // A local run must not write to the same folder either.
    await expect(run({ executor: "local", command: undefined })).rejects.toThrow(/^Slurm's jobs 1 2 still write to/);
    slurm.play = (turn) => (Number(turn.job) > 2 ? turn.run() : nothing());
    await run();
    expect(slurm.read("cancelled").split("\n").slice(0, 2)).toEqual(["1", "2"]);
    expect(tree(out())).toEqual(expected);
  });

  it("rejects a second submitter of the same tasks", async () => {
    slurm.play = nothing;
    const abort = new AbortController();
    const first = run({ signal: abort.signal });
    await vi.waitFor(() => expect(slurm.jobs).toHaveLength(2), { timeout: 20_000 });
    const mark = { host: "login2", process: 12, seen: Date.now() };
    await sleep(50);
    abort.abort();
    await expect(first).rejects.toThrow("interrupted");
    writeFileSync(join(out(), "cluster/submitter.json"), JSON.stringify(mark));
    await expect(run()).rejects.toThrow(/^process 12 on login2 is already running these tasks/);
    writeFileSync(join(out(), "cluster/submitter.json"), JSON.stringify({ ...mark, seen: Date.now() - 3e6 }));
    slurm.play = (turn) => turn.run();
    await run();
    expect(tree(out())).toEqual(expected);
  });

  it("runs the parallel stages of a corpus and produces the same shards", async () => {
    const exam = join(root, "exam.jsonl");
    writeFileSync(exam, `${JSON.stringify({ id: "q", question: text(3, 17) })}\n`);
    const corpus = {
      clean: recipe,
      deduplicate: [{ by: "document" as const }, { by: "line" as const }],
      decontaminate: { against: [exam] },
      shards: { vocabSize: 300 },
    };
    const make = (name: string, more: object) =>
      makeCorpus({ inputs: [input], recipe: corpus, out: join(root, name), ...more });
    const here = await make("corpus-here", { workers: 1 });
    const there = await make("corpus-there", {
      executor: { executor: "slurm", command: "quern", poll: 0.02, settle: 0 },
    });
    // Jobs: cleaning and decontamination, each with its funnel; twice index, merge, choose and write.
    expect(slurm.jobs).toHaveLength(4 + 8);
    for (const folder of ["deduplicate-1-document/documents", "deduplicate-2-line/documents"])
      expect(tree(join(there.out, folder))).toEqual(tree(join(here.out, folder)));
    expect(there.contamination?.[0]).toMatchObject({ found: 1 });
    expect(there.shards?.train.tokens).toBeGreaterThan(100);
    expect(tree(join(there.out, "shards"))).toEqual(tree(join(here.out, "shards")));
    expect(readFileSync(join(there.out, "manifest.json"), "utf8")).not.toContain("cluster/");
  });

  it("deduplicates from the command line and writes the same bytes as one process", async () => {
    const call = (name: string, ...more: string[]) =>
      main(
        [{ words: "data deduplicate", summary: "", load: () => import("../../src/commands/data-deduplicate.js") }],
        ["data", "deduplicate", input, "--out", join(root, name), "--by", "line", ...more],
      );
    expect(await call("lines-here", "--workers", "1")).toBe(0);
    const cluster = [
      "--executor",
      "slurm",
      "--partition",
      "cpu",
      "--command",
      "quern",
      "--poll",
      ".02",
      "--settle",
      "0",
    ];
    expect(await call("lines-there", ...cluster)).toBe(0);
    expect(slurm.jobs).toHaveLength(4);
    expect(tree(join(root, "lines-there"))).toEqual({
      ...tree(join(root, "lines-here")),
      "deduplicate.json": expect.stringContaining('"documents": 160'),
    });
    expect(await call("lines-not", "--partition", "cpu")).toBe(2);
  });

  it("shows the jobs that it would submit", async () => {
    const jobs = await planCleanOnSlurm({ inputs: [input], out: out(), recipe, command: "quern" });
    expect(jobs.map(({ stage, tasks }) => [stage, tasks])).toEqual([
      ["clean", 8],
      ["funnel", 1],
    ]);
    expect(jobs[0].script).toContain("--array=0-2\n");
    expect(jobs[1].script).toContain("--dependency=afterok:<job of clean>\n");
    expect(slurm.jobs).toEqual([]);
  });

  it("reports invalid options", async () => {
    await expect(run({ limit: 5 })).rejects.toThrow('the executor "slurm" does not support limit; use sample');
    await expect(run({ workers: 2 })).rejects.toThrow('the executor "slurm" takes cpus, not workers');
    await expect(run({ executor: "local" })).rejects.toThrow('command has no effect with the executor "local"');
    await expect(run({ time: "soon" })).rejects.toThrow("time must be minutes, H:MM:SS or D-HH:MM:SS");
    await expect(run({ memory: "much" })).rejects.toThrow("memory must be like 4G or 800M");
    await expect(run({ partition: "a b" })).rejects.toThrow("partition must be a name without spaces");
    await expect(run({ setup: ["a\nb"] })).rejects.toThrow("setup must be one line each");
    vi.stubEnv("PATH", root);
    await expect(run()).rejects.toThrow(/^s\w+ is not on the PATH; the executor "slurm" needs Slurm/);
  });
});
