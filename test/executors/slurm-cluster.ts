/** @file A Slurm cluster of three nodes on this machine, isolated from the system: own folder, keys and ports. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { appendFileSync, closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const NODES = ["n1", "n2", "n3"];

export class SlurmCluster {
  readonly folder: string;
  readonly #children = new Map<string, ChildProcess>();

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Environment for Slurm's commands. */
  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, SLURM_CONF: join(this.folder, "slurm.conf") };
  }

  async start(): Promise<void> {
    const { folder } = this;
    for (const name of ["state", "spool", "log"]) mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, "munge.key"), randomBytes(1024), { mode: 0o600 });
    writeFileSync(join(folder, "slurm.conf"), configuration(folder, await freePorts(NODES.length + 1)));
    this.#spawn("munged", [
      "--foreground",
      "--force",
      `--socket=${folder}/munge.sock`,
      `--key-file=${folder}/munge.key`,
      `--pid-file=${folder}/munged.pid`,
      `--seed-file=${folder}/munged.seed`,
      `--log-file=${folder}/log/munged.log`,
    ]);
    await sleep(500);
    this.#spawn("slurmctld", ["-D"]);
    await sleep(500);
    for (const node of NODES) this.startNode(node);
    const end = Date.now() + 30_000;
    while ((this.call("sinfo", "-h", "-o", "%D %T").trim() || "none") !== "3 idle") {
      if (Date.now() > end) throw new Error(`the cluster did not start: ${this.#logs()}`);
      await sleep(250);
    }
  }

  startNode(node: string): void {
    this.#spawn("slurmd", ["-D", "-N", node], node);
  }

  /** Returns the output of a command. */
  call(command: string, ...args: string[]): string {
    return spawnSync(command, args, { env: this.environment, encoding: "utf8" }).stdout;
  }

  /** Kills a node as a power cut would: its daemon, the daemons of its steps, and their processes. */
  killNode(node: string): void {
    this.#children.get(node)?.kill("SIGKILL");
    const all = processes();
    const isHere = ({ pid, args }: Process): boolean =>
      (!args.startsWith("slurmstepd") && isTaskOf(pid, node, this.folder)) ||
      all.some((child) => child.parent === pid && isHere(child));
    for (const daemon of all) {
      if (/^slurmstepd: \[\d+\./.test(daemon.args) && daemon.parent === 1 && isHere(daemon)) killTree(daemon.pid);
    }
  }

  async stop(): Promise<void> {
    this.call("scancel", "--user", userInfo().username);
    await sleep(1000);
    for (const node of NODES) if (this.#children.get(node)?.exitCode === null) this.killNode(node);
    for (const child of [...this.#children.values()].reverse()) child.kill("SIGTERM");
    await sleep(500);
    for (const child of this.#children.values()) if (child.exitCode === null) child.kill("SIGKILL");
  }

  #spawn(command: string, args: string[], name = command): void {
    const log = openSync(join(this.folder, "log", `${name}.out`), "a");
    const child = spawn(command, args, { env: this.environment, stdio: ["ignore", log, log] });
    child.on("error", (error) => appendFileSync(join(this.folder, "log", `${name}.out`), `${error.message}\n`));
    closeSync(log);
    this.#children.set(name, child);
  }

  #logs(): string {
    const folder = join(this.folder, "log");
    return readdirSync(folder)
      .map((name) => `\n== ${name}\n${readFileSync(join(folder, name), "utf8").slice(-1500)}`)
      .join("");
  }
}

function configuration(folder: string, [port, ...nodePorts]: readonly number[]): string {
  const user = userInfo().username;
  const nodes = NODES.map(
    (node, i) =>
      `NodeName=${node} NodeAddr=127.0.0.1 NodeHostName=${hostname()} Port=${nodePorts[i]} CPUs=2 RealMemory=1000`,
  );
  return `ClusterName=quern
SlurmctldHost=${hostname()}(127.0.0.1)
SlurmctldPort=${port}
SlurmUser=${user}
SlurmdUser=${user}
AuthType=auth/munge
AuthInfo=socket=${folder}/munge.sock
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool/%n
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd-%n.pid
SlurmctldLogFile=${folder}/log/slurmctld.log
SlurmdLogFile=${folder}/log/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SlurmdTimeout=5
ReturnToService=2
MaxArraySize=6
${nodes.join("\n")}
PartitionName=main Nodes=${NODES.join(",")} Default=YES MaxTime=INFINITE State=UP
`;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ports.push((server.address() as { port: number }).port);
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return ports;
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly args: string;
}

function processes(): Process[] {
  return execFileSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8" })
    .split("\n")
    .flatMap((line) => {
      const match = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line);
      return match === null ? [] : [{ pid: Number(match[1]), parent: Number(match[2]), args: match[3] }];
    });
}

/** Whether Slurm started a process on a node of the cluster in `folder`, by the process's environment. */
function isTaskOf(pid: number, node: string, folder: string): boolean {
  try {
    const variables = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
    return [`SLURMD_NODENAME=${node}`, `SLURM_CONF=${join(folder, "slurm.conf")}`].every((each) =>
      variables.includes(each),
    );
  } catch {
    return false; // it has ended
  }
}

function killTree(root: number): void {
  const all = processes();
  const kill = (pid: number) => {
    const children = all.filter(({ parent }) => parent === pid);
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // The process has already ended.
    }
    for (const child of children) kill(child.pid);
  };
  kill(root);
}
