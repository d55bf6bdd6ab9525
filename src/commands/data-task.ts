import { taskOptions } from "../executors/executor-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Run the tasks of one array element of a submission, as Slurm jobs do. Run it by hand to find out why a task fails. Task " +
    "logs are in cluster/logs/.",
  options: taskOptions,
  positional: ["submission"],
  examples: ["quern data task clean/cluster/submissions/0.json --element 3"],
  async run(options, { signal, onProgress, print }) {
    const { runElement } = await import("../executors/index.js");
    const { stage, finished, before } = await runElement({ ...options, signal, onProgress });
    print(`${finished} tasks of ${stage} done${before === 0 ? "" : `, ${before} already finished before`}`);
    return { stage, finished, before };
  },
});
