import { taskOptions } from "../data/executors/task-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Do the tasks of one element of a submission: what a job array of Slurm or an Indexed Job of Kubernetes calls on its " +
    "machines. It can be called by hand, to see why a task fails. A line a task goes to cluster/logs/.",
  options: taskOptions,
  positional: ["submission"],
  examples: ["quern data task clean/cluster/submissions/0.json --element 3"],
  async run(options, { signal, onProgress, print }) {
    const { runElement } = await import("../data/executors/element.js");
    const { stage, finished, before } = await runElement({ ...options, signal, onProgress });
    print(`${finished} tasks of ${stage} done${before === 0 ? "" : `, ${before} were finished before`}`);
    return { stage, finished, before };
  },
});
