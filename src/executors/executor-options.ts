/** @file The options of verbs whose tasks may run on a cluster: who runs them, and what is asked of the cluster. */
import { z } from "zod";
import { QuernError } from "../errors.js";
import { checkOptions, type NameOption } from "../options.js";

/** Slurm's ways to write a time: minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S. */
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
    .describe("who runs the tasks: threads of this machine, or Slurm's job arrays"),
  partition: word("slurm: partition", "NAME"),
  account: word("slurm: account that is charged", "NAME"),
  time: z
    .string()
    .refine((text) => TIME.test(text), "must be minutes, H:MM:SS or D-HH:MM:SS")
    .optional()
    .describe("slurm: time that one array element may take, in minutes or as H:MM:SS")
    .meta({ value: "TIME" }),
  memory: z
    .string()
    .refine((text) => /^[1-9]\d*[KMGT]?$/.test(text), "must be like 4G or 800M")
    .optional()
    .describe("slurm: memory of one element, such as 4G")
    .meta({ value: "SIZE" }),
  cpus: positive("slurm: cores of one element, each of which runs tasks; 1 by default"),
  arraySize: positive("slurm: elements of an array at most; by default Slurm's MaxArraySize"),
  concurrent: positive("slurm: elements that run at once at most"),
  retries: z
    .int()
    .min(0)
    .max(100)
    .default(2)
    .describe("slurm: how often a task that failed or was lost is tried again")
    .meta({ value: "N" }),
  poll: z.number().gt(0).default(10).describe("slurm: seconds between two looks at the queue").meta({ value: "S" }),
  settle: z
    .number()
    .min(0)
    .default(60)
    .describe("slurm: seconds for which a shared folder may hide what another machine wrote")
    .meta({ value: "S" }),
  cancelOnInterrupt: z
    .boolean()
    .default(false)
    .describe("slurm: Ctrl-C cancels the jobs instead of leaving them at work"),
  setup: lines("slurm: a shell command before the work of each element, such as 'module load node'", "LINE"),
  sbatch: lines("slurm: more options of sbatch, such as '--constraint=avx512'", "OPTION"),
  command: z
    .string()
    .refine((text) => text.trim() !== "" && !/[\r\n\0]/.test(text), "must be one line")
    .optional()
    .describe("slurm: how Quern is called on a node; by default this Node and this Quern")
    .meta({ value: "LINE" }),
};

const schema = z.object(executorOptions);
export type ExecutorSettings = z.output<typeof schema>;
export type ExecutorInput = z.input<typeof schema>;

/** The settings with their defaults. Throws a `QuernError` as `checkExecutor` does. */
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

/** Refuses options that the chosen executor would not use. Throws a `QuernError`. */
export function checkExecutor(settings: ExecutorSettings, name: NameOption = (key) => key): void {
  if (settings.executor === "slurm") return;
  const unused = FOR_SLURM.find((key) => settings[key] !== undefined);
  if (unused === undefined) return;
  throw new QuernError(`${name(unused)} has no effect with the executor "local"; it needs ${name("executor")} slurm`, {
    exitCode: 2,
  });
}

/** The options of one element's tasks. */
export const taskOptions = z.object({
  submission: z.string().describe("a file cluster/submissions/<n>.json").meta({ value: "SUBMISSION" }),
  element: z.int().min(0).optional().describe("which element; default SLURM_ARRAY_TASK_ID").meta({ value: "N" }),
  workers: z.int().min(1).max(256).default(1).describe("tasks at once, a thread each").meta({ value: "N" }),
});
