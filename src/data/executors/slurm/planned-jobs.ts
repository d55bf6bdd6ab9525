/** @file What a run would submit, told and not done. */
import { ClusterFolder, runName } from "../cluster-folder.js";
import type { ExecutorSettings } from "../executor-options.js";
import type { WorkPlan, WorkTask } from "../work.js";
import { DEFAULT_ARRAY_SIZE, largestArray } from "./commands.js";
import { batchScript, jobName, scriptPlaces } from "./script.js";

export interface PlannedJob {
  readonly stage: string;
  readonly tasks: number;
  readonly script: string;
}

/** The scripts that a run would submit first. Writes nothing, and needs no Slurm. */
export async function planSlurm(
  plan: WorkPlan,
  settings: ExecutorSettings,
  isFinished: (stage: string, task: WorkTask) => boolean,
): Promise<PlannedJob[]> {
  const folder = ClusterFolder.of(plan.out);
  const size = Math.min(
    settings.arraySize ?? Number.POSITIVE_INFINITY,
    (await largestArray().catch(() => undefined)) ?? DEFAULT_ARRAY_SIZE,
  );
  const jobs = new Map<string, string>();
  const planned: PlannedJob[] = [];
  for (const stage of plan.stages) {
    const tasks = stage.tasks.filter((task) => !isFinished(stage.name, task));
    if (tasks.length === 0) continue;
    const after = stage.after.flatMap((name) => jobs.get(name) ?? []);
    const script = batchScript(
      {
        ...scriptPlaces(folder, jobs.size),
        name: jobName(stage.name, runName(plan), jobs.size),
        elements: Math.min(size, tasks.length),
        ...(after.length > 0 ? { dependency: after.map((job) => `afterok:${job}`).join(",") } : {}),
      },
      settings,
    );
    planned.push({ stage: stage.name, tasks: tasks.length, script });
    jobs.set(stage.name, `<job of ${stage.name}>`);
  }
  return planned;
}
