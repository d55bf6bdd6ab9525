/** @file Slurm's commands, called as a person would call them, and their output, parsed. Nothing else of Slurm is used. */
import { execFile } from "node:child_process";
import { QuernError } from "../../errors.js";

/** The controller cannot be reached, or accepts no more jobs for now: trying again may help. */
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

/** Makes Slurm list all elements of an array, however many. */
const environment = () => ({ ...process.env, SLURM_BITSTR_LEN: "0", SLURM_TIME_FORMAT: "standard" });

function call(command: string, args: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { env: environment(), maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      const code = (error as NodeJS.ErrnoException | null)?.code;
      if (code === "ENOENT" || code === "EACCES") {
        const why = code === "ENOENT" ? "is not on the PATH" : "cannot be run";
        reject(
          new QuernError(
            `${command} ${why}; the executor "slurm" runs where Slurm's commands are (Debian: slurm-client)`,
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

/** Throws if the command failed. */
function checked(command: string, answer: Answer): Answer {
  if (answer.code === 0) return answer;
  if (BUSY.test(answer.stderr)) throw new SlurmBusy(`${command}: ${reasonOf(answer)}`);
  throw new QuernError(`${command} failed: ${reasonOf(answer)}`);
}

/** Submits a script and gives the job's number. Throws `SlurmBusy`, `NoSuchNode` or another `QuernError`. */
export async function submit(script: string): Promise<string> {
  const answer = await call("sbatch", ["--parsable", script]);
  if (answer.code !== 0 && NO_NODE.test(answer.stderr)) {
    throw new NoSuchNode(`sbatch ${script} failed: ${reasonOf(answer)}`);
  }
  const job = checked(`sbatch ${script}`, answer).stdout.trim().split(";")[0];
  if (!/^\d+$/.test(job)) throw new QuernError(`sbatch ${script} gave no job number but "${answer.stdout.trim()}"`);
  return job;
}

/** The elements of jobs that the queue lists: waiting, running, and ended ones for as long as Slurm keeps them. */
export async function queue(jobs: readonly string[]): Promise<ElementState[]> {
  if (jobs.length === 0) return [];
  const format = ["--noheader", "--array", "--states=all", `--format=${QUEUE_FORMAT}`];
  const answer = await call("squeue", [...format, `--jobs=${jobs.join(",")}`]);
  if (answer.code !== 0 && UNKNOWN_JOB.test(answer.stderr)) return [];
  return parseQueue(checked("squeue", answer).stdout);
}

/** The number of a job by its name. */
export async function findJob(name: string): Promise<string | undefined> {
  const answer = await call("squeue", ["--noheader", "--states=all", `--name=${name}`, "--format=%F"]);
  return checked("squeue", answer).stdout.trim().split("\n")[0]?.trim() || undefined;
}

/** The accounting's records of jobs that have left the queue; undefined on a cluster without accounting. */
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

/** Cancels jobs; ones that have ended are no fault. */
export async function cancel(jobs: readonly string[]): Promise<void> {
  if (jobs.length === 0) return;
  const answer = await call("scancel", ["--quiet", ...jobs]);
  if (answer.code !== 0 && !UNKNOWN_JOB.test(answer.stderr)) checked("scancel", answer);
}

/** The most elements that an array may have on this cluster; undefined if Slurm does not report it. */
export async function largestArray(): Promise<number | undefined> {
  const answer = await call("scontrol", ["show", "config"]);
  return answer.code === 0 ? configNumber(answer.stdout, "MaxArraySize") : undefined;
}

/** What one of Slurm's states means to a run. */
export type Phase = "waiting" | "running" | "completed" | "cancelled" | "failed";

export interface ElementState {
  readonly job: string;
  /** Undefined for a line about the whole array. */
  readonly element?: number;
  readonly phase: Phase;
  /** Slurm's own name: `NODE_FAIL`. */
  readonly state: string;
  /** Slurm's reason, where it gives one: `NonZeroExitCode`, `Resources`. */
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

/** Reasons of a pending element that will never start by itself. */
const STUCK = /launch failed|DependencyNeverSatisfied|BadConstraints|JobHoldMaxRequeue/i;

/** What Slurm calls an array's job whose dependency failed. */
export const isDependencyLost = ({ reason }: ElementState) => reason === "DependencyNeverSatisfied";

/** By `job_element`; `job_` for the whole array. */
export function statesByElement(states: readonly ElementState[]): Map<string, ElementState> {
  return new Map(states.map((state) => [`${state.job}_${state.element ?? ""}`, state]));
}

/** The states in squeue's output; other lines are skipped. */
export function parseQueue(output: string): ElementState[] {
  return output.split("\n").flatMap((line) => {
    const [job, elements, state, node, ...rest] = line.trim().split("|");
    if (!/^\d+$/.test(job) || state === undefined) return [];
    const reason = given(rest.join("|"));
    const phase = phaseOf(state, reason);
    return elementsOf(elements).map((element) => ({ job, element, phase, state, reason, node: given(node) }));
  });
}

/** The states in sacct's output: `12_3|CANCELLED by 1000|n1|0:0`. */
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

/** Slurm writes an empty field in several ways. */
function given(text: string | undefined): string | undefined {
  return text === undefined || /^(?:|None|none|N\/A|n\/a|\(null\)|None assigned)$/.test(text) ? undefined : text;
}

/**
 * The elements of `3`, `[0-4,7%2]` or `0-8:2`; [undefined], for all, if it names none or the list is cut off (`…`).
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

/** The value of a line `Name = value` of `scontrol show config`, as a number. */
export function configNumber(output: string, name: string): number | undefined {
  const match = new RegExp(`^${name}\\s*=\\s*(\\d+)`, "m").exec(output);
  return match === null ? undefined : Number(match[1]);
}

/** Why a task was lost, for a person to read. */
export function lossOf(state: ElementState | undefined, host: string | undefined): string {
  const where = host === undefined ? "" : ` on ${host}`;
  if (state === undefined) return `left the queue${where} without a result or a reason`;
  if (state.phase === "completed") return `ended${where} without a result; do all nodes see the folder?`;
  return `lost${where}: ${state.state}${state.reason === undefined ? "" : `, ${state.reason}`}`;
}

/** True if another node may succeed. */
export const isOfNode = (reason: string) =>
  /^lost.*(?:NODE_FAIL|BOOT_FAIL|Launch|launch)|without a result|disk is full|disk quota|read-only|I\/O error|EIO/.test(
    reason,
  );
