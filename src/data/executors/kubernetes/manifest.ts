/** @file The manifest of a Kubernetes Indexed Job: one completion for each element of a submission. */
import { QuernError } from "../../../errors.js";
import type { ExecutorSettings } from "../executor-options.js";
import { quernCommand, shellWord } from "../slurm/script.js";

/** Kubernetes' own limit on the completions of an Indexed Job that runs many at once. */
export const MOST_COMPLETIONS = 100_000;

export interface JobManifest {
  /** A DNS label. */
  readonly name: string;
  /** The submission's file, absolute, under the mount. */
  readonly submission: string;
  readonly elements: number;
  /** Where elements start, absolute, under the mount. */
  readonly folder: string;
}

/**
 * A Job of `batch/v1`, as an object that `kubectl apply` takes as JSON. A pod that fails is replaced so many times for each
 * index; one that its node lost, or that was evicted, does not count; one that was called wrongly (exit code 2) is not.
 */
export function jobManifest({ name, submission, elements, folder }: JobManifest, settings: ExecutorSettings) {
  const { image, claim, mount, namespace, memory, cpus = 1, concurrent, retries, time, setup = [] } = settings;
  if (image === undefined || claim === undefined || mount === undefined) {
    throw new QuernError("a Kubernetes job needs image, claim and mount", { exitCode: 2 });
  }
  for (const path of [submission, folder]) {
    if (path.startsWith(`${mount.replace(/\/+$/, "")}/`) || path === mount) continue;
    throw new QuernError(`${path} is not under ${mount}, where the claim ${claim} is mounted; pods would not see it`, {
      exitCode: 2,
    });
  }
  const resources = { cpu: String(cpus), ...(memory === undefined ? {} : { memory: quantity(memory) }) };
  const run = `exec ${quernCommand(settings)} data task ${shellWord(submission)} --workers ${cpus}`;
  const labels = { "app.kubernetes.io/name": "quern", "app.kubernetes.io/instance": name };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), labels },
    spec: {
      completionMode: "Indexed",
      completions: elements,
      parallelism: Math.min(elements, concurrent ?? elements),
      backoffLimitPerIndex: retries,
      podFailurePolicy: {
        rules: [
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          { action: "FailIndex", onExitCodes: { containerName: "quern", operator: "In", values: [2] } },
        ],
      },
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: "Never",
          ...(time === undefined ? {} : { activeDeadlineSeconds: seconds(time) }),
          containers: [
            {
              name: "quern",
              image,
              workingDir: folder,
              command: ["/bin/sh", "-c", [...setup, run].join("\n")],
              resources: { requests: resources, limits: resources },
              volumeMounts: [{ name: "shared", mountPath: mount }],
            },
          ],
          volumes: [{ name: "shared", persistentVolumeClaim: { claimName: claim } }],
        },
      },
    },
  };
}

/** Slurm's `4G` (and `800`, in megabytes) as Kubernetes writes it. */
export function quantity(memory: string): string {
  return /\d$/.test(memory) ? `${memory}Mi` : `${memory}i`;
}

/** Slurm's ways to write a time, in seconds. */
export function seconds(time: string): number {
  const [, days, rest] = /^(?:(\d+)-)?(.*)$/.exec(time) as RegExpExecArray;
  const parts = rest.split(":").map(Number);
  // Days are followed by hours, minutes and seconds; one number alone is minutes, two are minutes and seconds.
  const [h, m, s] =
    days !== undefined || parts.length === 3 ? [parts[0], parts[1] ?? 0, parts[2] ?? 0] : [0, parts[0], parts[1] ?? 0];
  return ((Number(days ?? 0) * 24 + h) * 60 + m) * 60 + s;
}
