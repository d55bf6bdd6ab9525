/** @file Calls Slurm's command-line tools and parses their output. Quern uses no other interface of Slurm. */
import { execFile } from "node:child_process";
import { QuernError } from "../../errors.js";

/** The controller cannot be reached, or accepts no more jobs for now. Retrying may help. */
export class SlurmBusy extends Error {}

/** No node of the cluster has the resources that the job needs. */
export class NoSuchNode extends QuernError {}

const BUSY =
  /Unable to contact slurm controller|Socket timed out|Connection (?:refused|timed out)|Zero Bytes were transmitted|temporarily unable|Resource temporarily unavailable|Job(?:s)? submit limit|SubmitJobs?(?:PerUser|PerAccount)?Limit|MaxSubmitJob|job limit|Slurm (?:backup )?controller.*standby/i;
const UNKNOWN_JOB = /Invalid job id/i;
const NO_ACCOUNTING = /accounting storage is disabled|Problem talking to the database|accounting_storage/i;
const NO_NODE = /Requested node configuration is not available|Invalid node name|Requested nodes? .*(?:busy|excluded)/i;

/** MaxArraySize if Slurm does not report it. */
export const DEFAULT_ARRAY_SIZE = 1001;

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** SLURM_BITSTR_LEN=0 makes Slurm list all elements of an array, however many. */
const environment = () => ({ ...process.env, SLURM_BITSTR_LEN: "0", SLURM_TIME_FORMAT: "standard" });

function call(command: string, args: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { env: environment(), maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      const code = (error as NodeJS.ErrnoException | null)?.code;
      if (code === "ENOENT" || code === "EACCES") {
        const why = code === "ENOENT" ? "is not on the PATH" : "cannot be run";
        reject(
          new QuernError(
            `${command} ${why}; the executor "slurm" needs Slurm's commands on this machine (Debian: slurm-client)`,
            {
              exitCode: 2,
            },
          ),
        );
      } else resolve({ code: error === null ? 0 : Number(code ?? 1) || 1, stdout, stderr });
    });
  });
}

const reasonOf = ({ stderr, stdout, code }: Answer) =>
  (stderr.trim() || stdout.trim() || `exit code ${code}`).replace(/^\w+: error: /gm, "").replace(/\n/g, "; ");

/** Returns the answer, or throws if the command failed. */
function checked(command: string, answer: Answer): Answer {
  if (answer.code === 0) return answer;
  if (BUSY.test(answer.stderr)) throw new SlurmBusy(`${command}: ${reasonOf(answer)}`);
  throw new QuernError(`${command} failed: ${reasonOf(answer)}`);
}

/** Submits a script and returns the job's number. @throws SlurmBusy, NoSuchNode or another QuernError */
export async function submit(script: string): Promise<string> {
  const answer = await call("sbatch", ["--parsable", script]);
  if (answer.code !== 0 && NO_NODE.test(answer.stderr)) {
    throw new NoSuchNode(`sbatch ${script} failed: ${reasonOf(answer)}`);
  }
  const job = checked(`sbatch ${script}`, answer).stdout.trim().split(";")[0];
  if (!/^\d+$/.test(job))
    throw new QuernError(`sbatch ${script} printed "${answer.stdout.trim()}" instead of a job number`);
  return job;
}

/** Returns the elements of jobs in the queue: waiting, running, and ended ones for as long as Slurm lists them. */
export async function queue(jobs: readonly string[]): Promise<ElementState[]> {
  if (jobs.length === 0) return [];
  const format = ["--noheader", "--array", "--states=all", `--format=${QUEUE_FORMAT}`];
  const answer = await call("squeue", [...format, `--jobs=${jobs.join(",")}`]);
  if (answer.code !== 0 && UNKNOWN_JOB.test(answer.stderr)) return [];
  return parseQueue(checked("squeue", answer).stdout);
}

/** Returns the number of the job with a given name, if the queue lists it. */
export async function findJob(name: string): Promise<string | undefined> {
  const answer = await call("squeue", ["--noheader", "--states=all", `--name=${name}`, "--format=%F"]);
  return checked("squeue", answer).stdout.trim().split("\n")[0]?.trim() || undefined;
}

/** Returns accounting records of jobs that have left the queue; undefined on a cluster without accounting. */
export async function accounting(jobs: readonly string[]): Promise<ElementState[] | undefined> {
  const format = ["--noheader", "--parsable2", "--allocations", `--format=${ACCOUNTING_FORMAT}`];
  let answer: Answer;
  try {
    answer = await call("sacct", [...format, `--jobs=${jobs.join(",")}`]);
  } catch {
    return undefined;
  }
  if (answer.code !== 0 && NO_ACCOUNTING.test(answer.stderr)) return undefined;
  return answer.code === 0 ? parseAccounting(answer.stdout) : undefined;
}

/** Cancels jobs; ignores jobs that have already ended. */
export async function cancel(jobs: readonly string[]): Promise<void> {
  if (jobs.length === 0) return;
  const answer = await call("scancel", ["--quiet", ...jobs]);
  if (answer.code !== 0 && !UNKNOWN_JOB.test(answer.stderr)) checked("scancel", answer);
}

/** Returns the maximum number of elements of an array on this cluster; undefined if Slurm does not report it. */
export async function largestArray(): Promise<number | undefined> {
  const answer = await call("scontrol", ["show", "config"]);
  return answer.code === 0 ? configNumber(answer.stdout, "MaxArraySize") : undefined;
}

/** Returns the ways in which srun can start MPI. */
export async function mpiPlugins(): Promise<string[]> {
  const { stdout, stderr } = checked("srun --mpi=list", await call("srun", ["--mpi=list"]));
  // A title, then one per line; some versions write it all to standard error.
  return `${stdout}\n${stderr}`.split("\n").flatMap((line) => /^\s*(?:srun:\s*)?(\w+)\s*$/.exec(line)?.[1] ?? []);
}

/** Slurm's states, grouped by their meaning for a run. */
export type Phase = "waiting" | "running" | "completed" | "cancelled" | "failed";

export interface ElementState {
  readonly job: string;
  /** Undefined for a line about the whole array. */
  readonly element?: number;
  readonly phase: Phase;
  /** Slurm's name of the state, such as `NODE_FAIL`. */
  readonly state: string;
  /** Slurm's reason, if any: `NonZeroExitCode`, `Resources`. */
  readonly reason?: string;
  readonly node?: string;
}

/** For `squeue --noheader --array --states=all --format`. */
export const QUEUE_FORMAT = "%F|%K|%T|%N|%r";
/** For `sacct --noheader --parsable2 --allocations --format`. */
export const ACCOUNTING_FORMAT = "JobID,State,NodeList,ExitCode";

const PHASES: Readonly<Record<string, Phase>> = {
  PENDING: "waiting",
  REQUEUED: "waiting",
  REQUEUE_FED: "waiting",
  REQUEUE_HOLD: "waiting",
  RESV_DEL_HOLD: "waiting",
  SPECIAL_EXIT: "waiting",
  CONFIGURING: "running",
  RUNNING: "running",
  COMPLETING: "running",
  RESIZING: "running",
  SIGNALING: "running",
  STAGE_OUT: "running",
  STOPPED: "running",
  SUSPENDED: "running",
  COMPLETED: "completed",
  CANCELLED: "cancelled",
  REVOKED: "cancelled",
  BOOT_FAIL: "failed",
  DEADLINE: "failed",
  FAILED: "failed",
  NODE_FAIL: "failed",
  OUT_OF_MEMORY: "failed",
  PREEMPTED: "failed",
  TIMEOUT: "failed",
};

/** Reasons that mean a pending element will never start on its own. */
const STUCK = /launch failed|DependencyNeverSatisfied|BadConstraints|JobHoldMaxRequeue/i;

/** Whether an element cannot start because a job that it depends on failed. */
export const isDependencyLost = ({ reason }: ElementState) => reason === "DependencyNeverSatisfied";

/** Indexes states by `<job>_<element>`, or `<job>_` for a whole array. */
export function statesByElement(states: readonly ElementState[]): Map<string, ElementState> {
  return new Map(states.map((state) => [`${state.job}_${state.element ?? ""}`, state]));
}

/** Parses squeue's output; skips other lines. */
export function parseQueue(output: string): ElementState[] {
  return output.split("\n").flatMap((line) => {
    const [job, elements, state, node, ...rest] = line.trim().split("|");
    if (!/^\d+$/.test(job) || state === undefined) return [];
    const reason = given(rest.join("|"));
    const phase = phaseOf(state, reason);
    return elementsOf(elements).map((element) => ({ job, element, phase, state, reason, node: given(node) }));
  });
}

/** Parses sacct's output, with lines such as `12_3|CANCELLED by 1000|n1|0:0`. */
export function parseAccounting(output: string): ElementState[] {
  return output.split("\n").flatMap((line) => {
    const [id, states, node, exit] = line.trim().split("|");
    const match = /^(\d+)(?:_(\d+|\[[^\]]*\]))?$/.exec(id);
    if (match === null || states === undefined) return [];
    const state = states.split(" ")[0];
    const reason = exit === undefined || exit === "0:0" ? undefined : `exit code ${exit}`;
    const common = { job: match[1], phase: phaseOf(state, undefined), state, reason, node: given(node) };
    return elementsOf(match[2] ?? "").map((element) => ({ ...common, element }));
  });
}

function phaseOf(state: string, reason: string | undefined): Phase {
  const phase = PHASES[state] ?? "running";
  return phase === "waiting" && reason !== undefined && STUCK.test(reason) ? "failed" : phase;
}

/** Maps Slurm's various notations of an empty field to undefined. */
function given(text: string | undefined): string | undefined {
  return text === undefined || /^(?:|None|none|N\/A|n\/a|\(null\)|None assigned)$/.test(text) ? undefined : text;
}

/**
 * Returns the elements of `3`, `[0-4,7%2]` or `0-8:2`; [undefined], meaning all, if there is no list or it is truncated (`…`).
 */
export function elementsOf(text: string): (number | undefined)[] {
  const list = text.replace(/^\[|\]$/g, "").replace(/%\d+\]?$/, "");
  if (!/^\d+(?:-\d+(?::\d+)?)?(?:,\d+(?:-\d+(?::\d+)?)?)*$/.test(list)) return [undefined];
  return list.split(",").flatMap((part) => {
    const [, first, last = first, step = "1"] = /^(\d+)(?:-(\d+)(?::(\d+))?)?$/.exec(part) as RegExpExecArray;
    const elements: number[] = [];
    for (let element = Number(first); element <= Number(last); element += Number(step)) elements.push(element);
    return elements;
  });
}

/** Returns the number in a line `Name = value` of `scontrol show config`. */
export function configNumber(output: string, name: string): number | undefined {
  const match = new RegExp(`^${name}\\s*=\\s*(\\d+)`, "m").exec(output);
  return match === null ? undefined : Number(match[1]);
}

/** Explains to the user why a task was lost. */
export function lossOf(state: ElementState | undefined, host: string | undefined): string {
  const where = host === undefined ? "" : ` on ${host}`;
  if (state === undefined) return `disappeared from the queue${where} without a result or a reason`;
  if (state.phase === "completed") return `ended${where} without a result; check that all nodes see the folder`;
  return `lost${where}: ${state.state}${state.reason === undefined ? "" : `, ${state.reason}`}`;
}

/** Whether the node may be at fault, so that another node may succeed. */
export const isOfNode = (reason: string) =>
  /^lost.*(?:NODE_FAIL|BOOT_FAIL|Launch|launch)|without a result|disk is full|disk quota|read-only|I\/O error|EIO/.test(
    reason,
  );
