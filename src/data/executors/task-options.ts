/** @file The options of one element's work, shared by the library and the command line. */
import { z } from "zod";

export const taskOptions = z.object({
  submission: z.string().describe("a file cluster/submissions/<n>.json").meta({ value: "SUBMISSION" }),
  element: z
    .int()
    .min(0)
    .optional()
    .describe("which element; by default what SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX says")
    .meta({ value: "N" }),
  workers: z.int().min(1).max(256).default(1).describe("tasks at once, a thread each").meta({ value: "N" }),
});
