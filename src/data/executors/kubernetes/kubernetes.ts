/**
 * @file A plan for Kubernetes: the cluster folder and a manifest for each stage are written; kubectl, or whatever a house uses,
 * applies them. The same call, when the jobs have ended, sees what is finished and writes manifests for the rest.
 */
import { join } from "node:path";
import { writeFileAtomic } from "../../../documents/index.js";
import { ClusterFolder, runName, type Submission } from "../cluster-folder.js";
import { divide } from "../divide.js";
import type { ExecutorSettings } from "../executor-options.js";
import { refuseLiveJobs } from "../slurm/earlier-jobs.js";
import type { WorkPlan, WorkTask } from "../work.js";
import { jobManifest, MOST_COMPLETIONS } from "./manifest.js";

export interface KubernetesJob {
  readonly stage: string;
  readonly tasks: number;
  readonly name: string;
  /** The file that was, or would be, written. */
  readonly path: string;
  readonly manifest: ReturnType<typeof jobManifest>;
}

export interface KubernetesOptions {
  readonly settings: ExecutorSettings;
  readonly isFinished: (stage: string, task: WorkTask) => boolean;
  /** Called before anything is written, if the run begins anew. */
  readonly begin: () => Promise<void>;
}

/** The jobs that are left to do, a stage each, in order; the next must not begin before the one before it is complete. */
export async function kubernetesJobs(
  plan: WorkPlan,
  { settings, isFinished, begin }: KubernetesOptions,
  { write }: { readonly write: boolean },
): Promise<KubernetesJob[]> {
  const folder = ClusterFolder.of(plan.out);
  const run = runName(plan);
  const older = await folder.read<{ run: string }>("plan.json");
  if (write && older?.run !== run) {
    await refuseLiveJobs(plan.out);
    await folder.remove();
    await begin();
    await folder.writePlan(plan);
  }
  const made = older?.run === run ? ((await folder.read<number>("kubernetes.json")) ?? 0) : 0;
  const jobs: KubernetesJob[] = [];
  for (const stage of plan.stages) {
    const names = stage.tasks.filter((task) => !isFinished(stage.name, task)).map(({ name }) => name);
    if (names.length === 0) continue;
    const number = made + jobs.length;
    const elements = divide(names, Math.min(settings.arraySize ?? MOST_COMPLETIONS, MOST_COMPLETIONS));
    const name = `quern-${stage.name}-${run}-${number}`;
    const submission = folder.submission(number);
    const manifest = jobManifest({ name, submission, elements: elements.length, folder: process.cwd() }, settings);
    const path = join(folder.path, "submissions", `${number}.job.json`);
    jobs.push({ stage: stage.name, tasks: names.length, name, path, manifest });
    if (!write) continue;
    const content: Submission = { number, run, stage: stage.name, elements };
    await folder.write(join("submissions", `${number}.json`), content);
    await writeFileAtomic(path, `${JSON.stringify(manifest, null, 2)}\n`);
  }
  if (write) await folder.write("kubernetes.json", made + jobs.length);
  return jobs;
}

/** The commands by which a person starts the jobs, each when the one before it is complete. */
export function kubectlLines(jobs: readonly KubernetesJob[], namespace: string | undefined): string[] {
  const within = namespace === undefined ? "" : ` --namespace ${namespace}`;
  return jobs.flatMap(({ path, name }, index) => [
    `kubectl apply${within} -f ${path}`,
    ...(index === jobs.length - 1 ? [] : [`kubectl wait${within} --for=condition=complete --timeout=-1s job/${name}`]),
  ]);
}
