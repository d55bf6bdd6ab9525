/** @file Slurm's commands, called as a person would call them. Nothing else of Slurm is used. */
import { execFile } from "node:child_process";
import { QuernError } from "../../../errors.js";
import {
  ACCOUNTING_FORMAT,
  configNumber,
  type ElementState,
  parseAccounting,
  parseQueue,
  QUEUE_FORMAT,
} from "./queue.js";

/** The controller cannot be reached, or takes no more for now: another attempt may do. */
export class SlurmBusy extends Error {}

/** No node of the cluster has what was asked for. */
export class NoSuchNode extends QuernError {}

const BUSY =
  /Unable to contact slurm controller|Socket timed out|Connection (?:refused|timed out)|Zero Bytes were transmitted|temporarily unable|Resource temporarily unavailable|Job(?:s)? submit limit|SubmitJobs?(?:PerUser|PerAccount)?Limit|MaxSubmitJob|job limit|Slurm (?:backup )?controller.*standby/i;
const UNKNOWN_JOB = /Invalid job id/i;
const NO_ACCOUNTING = /accounting storage is disabled|Problem talking to the database|accounting_storage/i;
const NO_NODE = /Requested node configuration is not available|Invalid node name|Requested nodes? .*(?:busy|excluded)/i;

/** MaxArraySize where Slurm is not asked or does not say. */
export const DEFAULT_ARRAY_SIZE = 1001;

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** All elements are named, however many. */
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

/** The answer, unless the command failed; then the error that says so. */
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

/** The elements of jobs that the queue knows, ended ones for as long as Slurm keeps them. */
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

/** What the accounting has of jobs that the queue has forgotten; undefined on a cluster without accounting. */
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

/** How many elements an array may have on this cluster; undefined where it does not say. */
export async function largestArray(): Promise<number | undefined> {
  const answer = await call("scontrol", ["show", "config"]);
  return answer.code === 0 ? configNumber(answer.stdout, "MaxArraySize") : undefined;
}
