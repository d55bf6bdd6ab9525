import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { quantity, seconds } from "../../../src/data/executors/kubernetes/manifest.js";
import { type CleanOptions, clean, cleanOnKubernetes, kubectlLines, runElement } from "../../../src/data/index.js";

const fixture = join(import.meta.dirname, "../../oracle/fixtures/kubernetes-job.schema.json.gz");
/** Kubernetes' own schema of a Job, in which no unknown key is allowed (test/oracle/kubernetes_job_schema.py). */
const schema = z.fromJSONSchema(JSON.parse(gunzipSync(readFileSync(fixture)).toString()));

let root: string;
let options: CleanOptions;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quern-kubernetes-"));
  const input = join(root, "in");
  mkdirSync(input);
  for (let part = 0; part < 5; part++) {
    writeFileSync(
      join(input, `${part}.jsonl`),
      `${JSON.stringify({ text: `Part ${part} of the corn was ground.` })}\n`,
    );
  }
  const recipe = join(root, "recipe.ts");
  writeFileSync(
    recipe,
    'import { defineRecipe, normalise } from "quern/data";\nexport default defineRecipe({ steps: [normalise()] });',
  );
  vi.spyOn(process, "cwd").mockReturnValue(root);
  options = {
    inputs: [input],
    out: join(root, "out"),
    recipe,
    executor: "kubernetes",
    image: "registry.example.com/quern:0.1.0",
    claim: "corpus",
    mount: root,
    namespace: "data",
    memory: "2G",
    cpus: 2,
    time: "1-02:00:00",
    arraySize: 2,
    concurrent: 1,
    setup: ["ulimit -n 4096"],
  };
});
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(root, { recursive: true, force: true });
});
afterEach(() => vi.unstubAllEnvs());

describe("the jobs of a run on Kubernetes", () => {
  it("are Jobs by Kubernetes' own schema", async () => {
    const jobs = await cleanOnKubernetes(options);
    expect(jobs.map(({ stage, tasks }) => [stage, tasks])).toEqual([
      ["clean", 5],
      ["funnel", 1],
    ]);
    for (const { path, manifest } of jobs) {
      const written = JSON.parse(readFileSync(path, "utf8"));
      expect(written).toEqual(manifest);
      expect(schema.safeParse(written)).toMatchObject({ success: true });
    }
    const { spec, metadata } = jobs[0].manifest;
    expect(metadata.name).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
    expect(metadata.namespace).toBe("data");
    expect(spec).toMatchObject({ completionMode: "Indexed", completions: 2, parallelism: 1, backoffLimitPerIndex: 2 });
    expect(spec.template.spec.activeDeadlineSeconds).toBe(93_600);
    const [container] = spec.template.spec.containers;
    expect(container.resources.limits).toEqual({ cpu: "2", memory: "2Gi" });
    expect(container.command[2]).toBe(
      `ulimit -n 4096\nexec quern data task ${root}/out/cluster/submissions/0.json --workers 2`,
    );
    expect(kubectlLines(jobs, "data")).toEqual([
      `kubectl apply --namespace data -f ${jobs[0].path}`,
      `kubectl wait --namespace data --for=condition=complete --timeout=-1s job/${jobs[0].name}`,
      `kubectl apply --namespace data -f ${jobs[1].path}`,
    ]);
  });

  it("would be refused by the schema if they were wrong", async () => {
    const [{ manifest }] = await cleanOnKubernetes(options, false);
    const { spec } = manifest;
    const container = spec.template.spec.containers[0];
    const wrong = [
      { ...manifest, kind: "Jobs" },
      { ...manifest, spec: { ...spec, completions: "2" } },
      { ...manifest, spec: { ...spec, retries: 2 } },
      { ...manifest, spec: { ...spec, template: { spec: { containers: [{ ...container, name: undefined }] } } } },
      { ...manifest, spec: { ...spec, template: { spec: { containers: [{ ...container, cpu: 1 }] } } } },
    ];
    for (const each of wrong) expect(schema.safeParse(JSON.parse(JSON.stringify(each))).success).toBe(false);
  });

  it("do the tasks, each pod those of its index, and leave the bytes of one process", async () => {
    const jobs = await cleanOnKubernetes(options);
    await expect(clean(options)).rejects.toThrow("5 of 5 tasks of clean are not finished; let their job run");
    const pod = async (job: (typeof jobs)[number], index: number) => {
      vi.stubEnv("JOB_COMPLETION_INDEX", String(index));
      await runElement({ submission: job.path.replace(".job.json", ".json") });
    };
    await pod(jobs[0], 1);
    await expect(pod(jobs[1], 0)).rejects.toThrow(
      /^1 of 1 tasks of funnel failed .*tasks\/00000.json: there is no such file/,
    );
    // What is left goes into jobs of other names.
    const rest = await cleanOnKubernetes(options);
    expect(rest.map(({ tasks }) => tasks)).toEqual([2, 1]);
    expect(rest[0].name).not.toBe(jobs[0].name);
    for (const index of [0, 1]) await pod(rest[0], index);
    await pod(rest[1], 0);
    expect(await cleanOnKubernetes(options)).toEqual([]);
    const { funnel } = await clean(options);
    expect(funnel.output.documents).toBe(5);
    const here = join(root, "here");
    const { recipe, inputs } = options;
    await clean({ inputs, recipe, out: here });
    const files = (folder: string) =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name !== ".quern.json" && !entry.parentPath.includes("cluster"))
        .map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name), "utf8")])
        .sort();
    expect(files(options.out)).toEqual(files(here));
  });

  it("need a folder that pods can see, and an index", async () => {
    const elsewhere = { ...options, out: join(tmpdir(), "quern-elsewhere") };
    await expect(cleanOnKubernetes(elsewhere, false)).rejects.toThrow(
      /is not under .*, where the claim corpus is mounted/,
    );
    await expect(cleanOnKubernetes({ ...options, claim: undefined })).rejects.toThrow('"kubernetes" needs claim');
    await expect(cleanOnKubernetes({ ...options, partition: "cpu" })).rejects.toThrow(/partition says nothing to/);
    const submission = join(options.out, "cluster/submissions/0.json");
    await expect(runElement({ submission })).rejects.toThrow(/^which element\?/);
    await expect(runElement({ submission, element: 9 })).rejects.toThrow(/has no element 9, only 0 to 1$/);
  });
});

it("writes Slurm's sizes and times as Kubernetes does", () => {
  expect(["800", "4G", "512K", "1T"].map(quantity)).toEqual(["800Mi", "4Gi", "512Ki", "1Ti"]);
  expect(["90", "1:30", "2:00:00", "1-12", "1-12:30", "1-00:00:05"].map(seconds)).toEqual([
    5400, 90, 7200, 129_600, 131_400, 86_405,
  ]);
});
