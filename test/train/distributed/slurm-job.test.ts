/** Training across the nodes of a real Slurm cluster (`npm run test:slurm`): a killed node, a time limit, Ctrl-C. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SlurmCluster } from "../../executors/slurm-cluster.js";
import { cli } from "./processes.js";

let root: string;
let cluster: SlurmCluster;

const sizes = "--layers 1 --width 32 --vocab-size 300 --sequence 32 --lr 0.01 --dtype fp32 --batch 16".split(" ");
const options = (out: string) => [
  ...["pretrain", "--text", join(root, "text.txt"), "--out", join(root, out), ...sizes],
  ...["--steps", "200", "--save-every", "5", "--keep", "3", "--json"],
];
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

const checkpoints = (out: string) => {
  const folder = join(root, out, "checkpoints");
  return existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => /^\d+$/.test(name))
        .map(Number)
    : [];
};
const lastCheckpoint = (out: string) => Math.max(0, ...checkpoints(out));

async function until(what: string, condition: () => boolean, run?: Run, seconds = 120): Promise<void> {
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
  }, 240_000);
  afterAll(async () => {
    await cluster?.stop();
    rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 500 });
  }, 60_000);

  it("goes on when a node is killed, with the bits of two ranks on one machine", async () => {
    const run = quern(...options("killed"), ...onSlurm);
    await until("a checkpoint", () => lastCheckpoint("killed") > 0, run);
    const job = jobOf("killed");
    const before = lastCheckpoint("killed");
    cluster.killNode("n2");
    await until("a lost rank", () => /quern: rank 1 on n2 ended unexpectedly/.test(output("killed")), run, 20);
    expect(output("killed")).toMatch(
      /the last good checkpoint is \S+\/killed\/checkpoints\/\d+; continue with --resume/,
    );
    await until("the job waits again", () => /PENDING/.test(cluster.call("squeue", "-h", "-j", job, "-o", "%T")), run);
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
  }, 300_000);
});
