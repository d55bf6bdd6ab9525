/** @file What squeue and sacct say of the elements of job arrays, read line by line. */

/** What it means to us that an element is in one of Slurm's states. */
export type Phase = "waiting" | "running" | "completed" | "cancelled" | "failed";

export interface ElementState {
  readonly job: string;
  /** Undefined for a line that is about the whole array. */
  readonly element?: number;
  readonly phase: Phase;
  /** Slurm's own word: `NODE_FAIL`. */
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

/** Pending, and will never be anything else by itself. */
const STUCK = /launch failed|DependencyNeverSatisfied|BadConstraints|JobHoldMaxRequeue/i;

/** What Slurm calls an array's job whose dependency failed. */
export const isDependencyLost = ({ reason }: ElementState) => reason === "DependencyNeverSatisfied";

/** By `job_element`; `job_` for what is about the whole array. */
export function statesByElement(states: readonly ElementState[]): Map<string, ElementState> {
  return new Map(states.map((state) => [`${state.job}_${state.element ?? ""}`, state]));
}

/** The states in squeue's output; lines in another shape are passed over. */
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
    const [id, told, node, exit] = line.trim().split("|");
    const match = /^(\d+)(?:_(\d+|\[[^\]]*\]))?$/.exec(id);
    if (match === null || told === undefined) return [];
    const state = told.split(" ")[0];
    const reason = exit === undefined || exit === "0:0" ? undefined : `exit code ${exit}`;
    const common = { job: match[1], phase: phaseOf(state, undefined), state, reason, node: given(node) };
    return elementsOf(match[2] ?? "").map((element) => ({ ...common, element }));
  });
}

function phaseOf(state: string, reason: string | undefined): Phase {
  const phase = PHASES[state] ?? "running";
  return phase === "waiting" && reason !== undefined && STUCK.test(reason) ? "failed" : phase;
}

/** Slurm has several words for nothing. */
function given(text: string | undefined): string | undefined {
  return text === undefined || /^(?:|None|none|N\/A|n\/a|\(null\)|None assigned)$/.test(text) ? undefined : text;
}

/**
 * The elements of `3`, `[0-4,7%2]` or `0-8:2`; [undefined], for all, where it says none, or too many for its line (`…`).
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
