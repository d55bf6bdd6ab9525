/** @file The options of verbs whose tasks may run on a cluster: who runs them, and what is asked of the cluster. */
import { z } from "zod";
import { QuernError } from "../../errors.js";
import { checkOptions, type NameOption } from "../../options.js";

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
    .enum(["local", "slurm", "kubernetes"])
    .default("local")
    .describe(
      "who runs the tasks: threads here, job arrays of Slurm, or Indexed Jobs, of which the manifests are written",
    ),
  partition: word("slurm: partition", "NAME"),
  account: word("slurm: account that is charged", "NAME"),
  time: z
    .string()
    .refine((text) => TIME.test(text), "must be minutes, H:MM:SS or D-HH:MM:SS")
    .optional()
    .describe("cluster: time that one array element may take, in minutes or as H:MM:SS")
    .meta({ value: "TIME" }),
  memory: z
    .string()
    .refine((text) => /^[1-9]\d*[KMGT]?$/.test(text), "must be like 4G or 800M")
    .optional()
    .describe("cluster: memory of one element, such as 4G")
    .meta({ value: "SIZE" }),
  cpus: positive("cluster: cores of one element, each of which runs tasks; 1 by default"),
  arraySize: positive("cluster: elements of an array at most; by default Slurm's MaxArraySize"),
  concurrent: positive("cluster: elements that run at once at most"),
  retries: z
    .int()
    .min(0)
    .max(100)
    .default(2)
    .describe("cluster: how often a task that failed or was lost is tried again")
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
  setup: lines("cluster: a shell command before the work of each element, such as 'module load node'", "LINE"),
  sbatch: lines("slurm: more options of sbatch, such as '--constraint=avx512'", "OPTION"),
  image: z
    .string()
    .refine((text) => /^[\w][\w.\-/:@]*$/.test(text), "must name a container image")
    .optional()
    .describe("kubernetes: image with Node and Quern")
    .meta({ value: "IMAGE" }),
  command: z
    .string()
    .refine((text) => text.trim() !== "" && !/[\r\n\0]/.test(text), "must be one line")
    .optional()
    .describe("cluster: how Quern is called on a node; by default this Node and this Quern (kubernetes: quern)")
    .meta({ value: "LINE" }),
  namespace: word("kubernetes: namespace", "NAME"),
  claim: word("kubernetes: persistent volume claim that holds input and output", "NAME"),
  mount: z
    .string()
    .refine((text) => text.startsWith("/"), "must be an absolute path")
    .optional()
    .describe("kubernetes: where the claim is mounted, here and in the pods")
    .meta({ value: "DIR" }),
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

const FOR_SLURM = ["partition", "account", "sbatch"] as const;
const FOR_KUBERNETES = ["image", "namespace", "claim", "mount"] as const;
const FOR_CLUSTERS = ["time", "memory", "cpus", "arraySize", "concurrent", "setup", "command"] as const;

/** Refuses what the chosen executor would not use, and asks for what it needs. Throws a `QuernError`. */
export function checkExecutor(settings: ExecutorSettings, name: NameOption = (key) => key): void {
  const { executor } = settings;
  const unused = [
    ...(executor === "slurm" ? [] : FOR_SLURM),
    ...(executor === "kubernetes" ? [] : FOR_KUBERNETES),
    ...(executor === "local" ? FOR_CLUSTERS : []),
  ].filter((key) => settings[key] !== undefined);
  if (unused.length > 0) {
    const owner = (FOR_KUBERNETES as readonly string[]).includes(unused[0]) ? "kubernetes" : "slurm";
    throw new QuernError(`${name(unused[0])} says nothing to the executor "${executor}"; it needs ${owner}`, {
      exitCode: 2,
    });
  }
  if (executor !== "kubernetes") return;
  for (const key of ["image", "claim", "mount"] as const) {
    if (settings[key] === undefined) {
      throw new QuernError(`the executor "kubernetes" needs ${name(key)}`, { exitCode: 2 });
    }
  }
}
