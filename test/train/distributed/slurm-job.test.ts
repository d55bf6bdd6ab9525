/** Training across the nodes of a real Slurm cluster (`npm run test:slurm`): a killed node, a time limit, Ctrl-C. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SlurmCluster } from "../../executors/slurm-cluster.js";
import { cli } from "./processes.js";

let root: string;
let cluster: SlurmCluster;

const sizes = "--layers 1 --width 32 --vocab-size 300 --sequence 32 --lr 0.01 --dtype fp32 --batch 16".split(" ");
const options = (out: string, saveEvery = 5) => [
  ...["pretrain", "--text", join(root, "text.txt"), "--out", join(root, out), ...sizes],
  ...["--steps", "200", "--save-every", `${saveEvery}`, "--keep", "3", "--json"],
];
/** Waits for Slurm, and for runs on a busy machine. */
const PATIENCE = 20 * 60_000;
// The nodes are all this machine, where Slurm's plugin pmix, for Open MPI, does not start a second one.
const onSlurm = ["--executor", "slurm", "--nodes", "2", "--mpi", "pmi2", "--poll", "0.5"];

interface Run {
  readonly child: ChildProcess;
  readonly printed: () => { readonly stdout: string; readonly stderr: string };
  readonly ended: Promise<number | null>;
}

const environmentOf = ({ environment }: SlurmCluster) => ({ ...environment, QUERN_THREADS: "1" });

function quern(...args: string[]): Run {
  const child = spawn(process.execPath, [cli, ...args], { env: environmentOf(cluster), cwd: root });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data) => {
    stdout += data;
  });
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", (code) => resolve(code)));
  return { child, printed: () => ({ stdout, stderr }), ended };
}

/** Runs one of Slurm's commands to its end. */
function waited(command: string, ...args: string[]): Promise<{ readonly status: number | null }> {
  const child = spawn(command, args, { env: environmentOf(cluster), cwd: root, stdio: "ignore" });
  return new Promise((resolve) => child.on("close", (status) => resolve({ status })));
}

const checkpoints = (out: string) => {
  const folder = join(root, out, "checkpoints");
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => /^\d+$/.test(name))
        .map(Number)
    : [];
};
const lastCheckpoint = (out: string) => Math.max(0, ...checkpoints(out));

async function until(what: string, condition: () => boolean, run?: Run, seconds = 600): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !condition(); await sleep(50)) {
    const state = () => `${run?.printed().stderr}\n${cluster.call("squeue", "-o", "%i %T %N %r %S")}`;
    if (Date.now() > end || (run !== undefined && run.child.exitCode !== null))
      throw new Error(`not: ${what}\n${state()}`);
  }
}

const endOf = (out: string) =>
  ["model.safetensors", "training_state.safetensors"].map((name) =>
    readFileSync(join(root, out, "checkpoints", "200", name)),
  );
const output = (out: string) => readFileSync(join(root, out, "job", "output.log"), "utf8");
const jobOf = (out: string) =>
  (JSON.parse(readFileSync(join(root, out, "job", "job.json"), "utf8")) as { job: string }).job;

/** Process ids of a job's ranks. */
function ranksOf(job: string): number[] {
  const variable = (pid: string, name: string) => {
    try {
      const all = readFileSync(join("/proc", pid, "environ"), "latin1").split("\0");
      return all.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
    } catch {
      return undefined; // it has ended
    }
  };
  const isNode = (pid: string) => {
    try {
      return readFileSync(join("/proc", pid, "cmdline"), "latin1").split("\0")[1] === cli;
    } catch {
      return false;
    }
  };
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && isNode(name))
    .filter((pid) => variable(pid, "SLURM_JOB_ID") === job && variable(pid, "SLURM_STEP_ID") !== undefined)
    .map(Number);
}

/** Stops a job's ranks after some steps, so that the test can act before they are done. */
async function freeze(out: string, job: string, run?: Run): Promise<number[]> {
  const metrics = join(root, out, "metrics.jsonl");
  await until("steps", () => existsSync(metrics) && readFileSync(metrics, "utf8").includes('"loss"'), run);
  const pids = ranksOf(job);
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  expect(pids).toHaveLength(2);
  return pids;
}

/** Whether a stopped process has got a signal; if Slurm woke it for that, it may have ended. */
function hasGot(pid: number, signal: number): boolean {
  if (!existsSync(`/proc/${pid}/status`)) return true;
  const masks = readFileSync(`/proc/${pid}/status`, "utf8").matchAll(/^S[ih][gd]Pnd:\s*(\w+)$/gm);
  return [...masks].some(([, mask]) => ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n);
}

/** Slurm waits two minutes before it starts a requeued job again. */
const startNow = (job: string) => cluster.call("scontrol", "update", `JobId=${job}`, "StartTime=now");

describe.skipIf(process.env.QUERN_SLURM === undefined)("training on a Slurm cluster (npm run test:slurm)", () => {
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "quern-job-"));
    const lines = Array.from(
      { length: 800 },
      (_, i) => `On day ${i} the mill ground ${(i * 37) % 101} sacks of grain.`,
    );
    writeFileSync(join(root, "text.txt"), lines.join("\n"));
    cluster = new SlurmCluster(join(root, "cluster"));
    await cluster.start();
    const here = spawnSync(process.execPath, [cli, ...options("here"), "--ranks", "2"], {
      ...{ encoding: "utf8", env: { ...process.env, QUERN_THREADS: "1" } },
    });
    expect(here.status, here.stderr).toBe(0);
  }, PATIENCE);
  afterAll(async () => {
    await cluster?.stop();
    rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 500 });
  }, 60_000);

  it(
    "goes on when a node is killed, with the bits of two ranks on one machine",
    async () => {
      const run = quern(...options("killed"), ...onSlurm);
      await until("a checkpoint", () => lastCheckpoint("killed") > 0, run);
      const job = jobOf("killed");
      const before = lastCheckpoint("killed");
      cluster.killNode("n2");
      await until("a lost rank", () => /quern: rank 1 on n2 ended unexpectedly/.test(output("killed")), run);
      expect(output("killed")).toMatch(
        /the last good checkpoint is \S+\/killed\/checkpoints\/\d+; continue with --resume/,
      );
      await until(
        "the job waits again",
        () => /PENDING/.test(cluster.call("squeue", "-h", "-j", job, "-o", "%T")),
        run,
      );
      startNow(job);
      expect(await run.ended, run.printed().stderr + output("killed")).toBe(0);
      const { stdout, stderr } = run.printed();
      expect(stderr).toMatch(new RegExp(`job ${job} submitted: 2 ranks on 2 nodes`));
      const result = JSON.parse(stdout.trim().split("\n").at(-1) as string);
      expect(result.ranks.nodes).toEqual(["n1", "n3"]);
      expect(result.trainedSteps).toBeLessThanOrEqual(200 - before);
      expect(endOf("killed")).toEqual(endOf("here"));
      cluster.startNode("n2");
      await until("n2 is back", () => cluster.call("sinfo", "-h", "-n", "n2", "-o", "%T").trim() === "idle");
    },
    PATIENCE,
  );

  it(
    "saves before a time limit, is requeued, and goes on with the same bits",
    async () => {
      const run = quern(...options("limited", 1000), ...onSlurm);
      await until("a job", () => existsSync(join(root, "limited", "job", "job.json")), run);
      const job = jobOf("limited");
      const ranks = await freeze("limited", job, run);
      expect(lastCheckpoint("limited")).toBe(0);
      // The job's time so far, and between two and three minutes: Slurm warns it two minutes before the end.
      const [, days = "0", time] =
        /^(?:(\d+)-)?([\d:]+)$/.exec(cluster.call("squeue", "-h", "-j", job, "-o", "%M").trim()) ?? [];
      const seconds =
        (time as string).split(":").reduce((sum, part) => 60 * sum + Number(part), 0) + 86_400 * Number(days);
      cluster.call("scontrol", "update", `JobId=${job}`, `TimeLimit=${Math.ceil(seconds / 60) + 2}`);
      await until("SIGUSR1", () => ranks.every((pid) => hasGot(pid, constants.signals.SIGUSR1)), run);
      for (const pid of ranks) if (existsSync(`/proc/${pid}`)) process.kill(pid, "SIGCONT");
      await until(
        "the job waits again",
        () => /PENDING/.test(cluster.call("squeue", "-h", "-j", job, "-o", "%T")),
        run,
      );
      const saved = lastCheckpoint("limited");
      expect(saved).toBeGreaterThan(0);
      expect(output("limited")).toMatch(/quern: SIGUSR1, the time limit approaches: stopping/);
      startNow(job);
      expect(await run.ended, run.printed().stderr + output("limited")).toBe(0);
      const result = JSON.parse(run.printed().stdout.trim().split("\n").at(-1) as string);
      expect(result.trainedSteps).toBe(200 - saved);
      expect(endOf("limited")).toEqual(endOf("here"));
    },
    PATIENCE,
  );

  it(
    "is cancelled by Ctrl-C after the ranks have saved, and resumes with the same bits",
    async () => {
      const run = quern(...options("cancelled", 1000), ...onSlurm);
      await until("a job", () => existsSync(join(root, "cancelled", "job", "job.json")), run);
      const job = jobOf("cancelled");
      await freeze("cancelled", job, run);
      run.child.kill("SIGINT"); // Slurm wakes the ranks before it sends them SIGTERM
      expect(await run.ended, run.printed().stderr).toBe(130);
      const saved = lastCheckpoint("cancelled");
      expect(saved).toBeGreaterThan(0);
      expect(run.printed().stderr).toContain(`cancelling job ${job}`);
      expect(run.printed().stderr).toMatch(
        new RegExp(
          `^quern: interrupted; the job was cancelled; saved \\S+/cancelled/checkpoints/${saved}; continue with --resume$`,
          "m",
        ),
      );
      expect(cluster.call("squeue", "-h", "-j", job, "-o", "%T").trim()).toBe("");
      expect(ranksOf(job)).toEqual([]);
      const again = quern("pretrain", "--out", join(root, "cancelled"), "--resume", ...onSlurm);
      expect(await again.ended, again.printed().stderr).toBe(0);
      expect(endOf("cancelled")).toEqual(endOf("here"));
    },
    PATIENCE,
  );

  it.each([
    ["on two nodes with MPI", "two", "--nodes=2 --ntasks-per-node=1", "--mpi=pmi2"],
    ["on one node without", "one", "--nodes=1 --ntasks-per-node=2", ""],
  ])(
    "runs by srun in a script of one's own, %s",
    async (_, name, places, mpi) => {
      const script = join(root, `${name}.sh`);
      const words = [process.execPath, cli, ...options(name)].map((word) => `'${word}'`).join(" ");
      writeFileSync(
        script,
        `#!/bin/sh\n#SBATCH ${places} --requeue --signal=USR1@120\n#SBATCH --output=${join(root, `${name}.log`)}\n` +
          `srun ${mpi} ${words} --resume\ncode=$?\n[ $code -eq 130 ] && scontrol requeue "$SLURM_JOB_ID"\nexit $code\n`,
      );
      const { status } = await waited("sbatch", "--wait", script);
      const log = readFileSync(join(root, `${name}.log`), "utf8");
      expect(status, log).toBe(0);
      const result = JSON.parse(
        log
          .trim()
          .split("\n")
          .findLast((line) => line.startsWith("{")) as string,
      );
      expect(result.ranks).toMatchObject({ count: 2, nodes: name === "two" ? ["n1", "n2"] : ["n1", "n1"] });
      expect(endOf(name)).toEqual(endOf("here"));
    },
    PATIENCE,
  );
});
