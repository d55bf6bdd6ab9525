/** @file The options of commands whose tasks may run on a cluster: the executor and the cluster's settings. */
import { z } from "zod";
import { QuernError } from "../errors.js";
import { checkOptions, type NameOption } from "../options.js";

/** Slurm's time formats: minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S. */
const TIME = /^(?:\d+|\d+:\d\d|\d+:\d\d:\d\d|\d+-\d+(?::\d\d){0,2})$/;

const word = (what: string, value: string) =>
  z
    .string()
    .refine((text) => /^[\w.,@+-]+$/.test(text), "must be a name without spaces")
    .optional()
    .describe(what)
    .meta({ value });
const positive = (what: string) => z.int().min(1).optional().describe(what).meta({ value: "N" });
const lines = (what: string, value: string) =>
  z
    .array(z.string().refine((text) => text !== "" && !/[\r\n\0]/.test(text), "must be one line each"))
    .optional()
    .describe(what)
    .meta({ value });

export const executorOptions = {
  executor: z
    .enum(["local", "slurm"])
    .default("local")
    .describe("where to run the tasks: threads of this machine (local) or job arrays of a Slurm cluster (slurm)"),
  partition: word("slurm: partition", "NAME"),
  account: word("slurm: account to charge", "NAME"),
  time: z
    .string()
    .refine((text) => TIME.test(text), "must be minutes, H:MM:SS or D-HH:MM:SS")
    .optional()
    .describe("slurm: time limit of one array element, in minutes or as H:MM:SS")
    .meta({ value: "TIME" }),
  memory: z
    .string()
    .refine((text) => /^[1-9]\d*[KMGT]?$/.test(text), "must be like 4G or 800M")
    .optional()
    .describe("slurm: memory of one element, such as 4G")
    .meta({ value: "SIZE" }),
  cpus: positive("slurm: cores per element, each running tasks; default: 1"),
  arraySize: positive("slurm: maximum elements of an array; default: Slurm's MaxArraySize"),
  concurrent: positive("slurm: maximum elements that run at the same time"),
  retries: z
    .int()
    .min(0)
    .max(100)
    .default(2)
    .describe("slurm: retries of a task that failed or was lost")
    .meta({ value: "N" }),
  poll: z.number().gt(0).default(10).describe("slurm: seconds between checks of the queue").meta({ value: "S" }),
  settle: z
    .number()
    .min(0)
    .default(60)
    .describe("slurm: seconds until a file written by one machine is visible to the others")
    .meta({ value: "S" }),
  cancelOnInterrupt: z
    .boolean()
    .default(false)
    .describe("slurm: on Ctrl-C cancel the jobs instead of leaving them running"),
  setup: lines("slurm: shell command to run before each element's work, such as 'module load node'", "LINE"),
  sbatch: lines("slurm: additional sbatch option, such as '--constraint=avx512'", "OPTION"),
  command: z
    .string()
    .refine((text) => text.trim() !== "" && !/[\r\n\0]/.test(text), "must be one line")
    .optional()
    .describe("slurm: command that runs Quern on a node; default: this Node.js and this Quern")
    .meta({ value: "LINE" }),
};

const schema = z.object(executorOptions);
export type ExecutorSettings = z.output<typeof schema>;
export type ExecutorInput = z.input<typeof schema>;

/** Checks the settings and fills in their defaults. @throws QuernError as `checkExecutor` does */
export function executorSettings(input: ExecutorInput): ExecutorSettings {
  const settings = checkOptions(schema, input);
  checkExecutor(settings);
  return settings;
}

const FOR_SLURM = [
  "partition",
  "account",
  "sbatch",
  "time",
  "memory",
  "cpus",
  "arraySize",
  "concurrent",
  "setup",
  "command",
] as const;

/** @throws QuernError for an option that the chosen executor does not use */
export function checkExecutor(settings: ExecutorSettings, name: NameOption = (key) => key): void {
  if (settings.executor === "slurm") return;
  const unused = FOR_SLURM.find((key) => settings[key] !== undefined);
  if (unused === undefined) return;
  throw new QuernError(
    `${name(unused)} has no effect with the executor "local"; it requires ${name("executor")} slurm`,
    {
      exitCode: 2,
    },
  );
}

/** The options of `quern data task`, which runs one element's tasks. */
export const taskOptions = z.object({
  submission: z.string().describe("a file cluster/submissions/<n>.json").meta({ value: "SUBMISSION" }),
  element: z
    .int()
    .min(0)
    .optional()
    .describe("index of the element; default: SLURM_ARRAY_TASK_ID")
    .meta({ value: "N" }),
  workers: z.int().min(1).max(256).default(1).describe("concurrent tasks, one thread each").meta({ value: "N" }),
});
