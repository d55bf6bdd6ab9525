import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listCheckpoints, openModel } from "../../../src/model/index.js";
import { openTokenizer, saveTokenizer, trainTokenizer, writeShards } from "../../../src/tokenizer/index.js";
import {
  type PretrainOptions,
  planPretraining,
  pretrain,
  type RunPlan,
  readRunRecord,
} from "../../../src/train/index.js";
import { SLOW_BUILD } from "../../model/targets.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-plan-"));
});
afterAll(() => rm(folder, { recursive: true }));

const stories = Array.from({ length: 60 }, (_, i) => ({
  text: Array.from({ length: 30 }, (_, j) => `Day ${i * 30 + j}: the mill ground ${(i * 7 + j * j) % 53} sacks.`).join(
    "\n",
  ),
}));
const tiny = { layers: 1, width: 32, vocabSize: 300, sequence: 32, batch: 2, threads: 1 } as const;
const at = (name: string, more: Partial<PretrainOptions> = {}): PretrainOptions => ({
  ...tiny,
  documents: stories,
  out: join(folder, name),
  ...more,
});

async function bitsOf(checkpoint: string): Promise<string> {
  const read = (name: string) => readFile(join(checkpoint, name));
  return Buffer.concat([await read("model.safetensors"), await read("training_state.safetensors")]).toString("base64");
}

describe("the plan of a run", { timeout: SLOW_BUILD }, () => {
  it("is written to run.json before the first step, and repeats to the same bits", async () => {
    let reported: RunPlan | undefined;
    let written: unknown;
    const first = await pretrain(
      at("first", {
        ...{ minutes: 0.02, dtype: "fp32", optimizer: "muon", schedule: "wsd", accumulate: 2, seed: 3 },
        onPlan: (plan) => {
          reported = plan;
        },
        onProgress: ({ task, done }) => {
          if (task === "train" && done === 1) written = readRunRecord(join(folder, "first"));
        },
      }),
    );
    const early = (await (written as ReturnType<typeof readRunRecord>))?.plan as unknown as RunPlan;
    expect(early.steps).toBe(reported?.steps);
    expect(first.plan).toMatchObject({ steps: early.steps, accumulate: 2, seed: 3, precision: "fp32" });
    expect(first.plan.schedule.kind).toBe("wsd");
    for (const name of ["layers", "width", "heads", "vocabSize", "sequence", "batch", "learningRate", "steps"]) {
      expect(first.plan.reasons[name], name).toMatch(/\w/);
    }
    expect(first.plan.reasons).toMatchObject({ layers: "as given", batch: "as given" });

    const plan = join(folder, "first", "run.json");
    const again = await pretrain({ documents: stories, out: join(folder, "again"), plan });
    expect(await bitsOf(again.checkpoint)).toBe(await bitsOf(first.checkpoint));

    const refused = (more: Partial<PretrainOptions>, message: RegExp) =>
      expect(pretrain({ documents: stories, out: join(folder, "no"), plan, ...more })).rejects.toThrow(message);
    await refused({ width: 64 }, /width was 32 and cannot change to 64/);
    await refused({ steps: 3 }, /steps and plan are both training budgets/);
    await refused({ documents: stories.slice(1) }, /the plan was made for other tokens/);
    await writeFile(join(folder, "bad.json"), "{");
    await refused({ plan: join(folder, "bad.json") }, /bad\.json is not JSON/);
    await writeFile(join(folder, "bad.json"), "{}");
    await refused({ plan: join(folder, "bad.json") }, /bad\.json contains no complete plan/);
    await refused({ plan: join(folder, "none.json") }, /none\.json: there is no such file/);
  });

  it("is returned by a dry run, which writes nothing", async () => {
    const plan = await planPretraining({ documents: stories, out: join(folder, "dry"), depth: 2, threads: 1 });
    expect(plan.model).toMatchObject({ layers: 2, width: 96, family: "llama" });
    expect(plan.expected.minutes).toBeGreaterThan(0);
    expect(plan.expected.memory_bytes).toBeGreaterThan(16 * plan.parameters);
    expect(plan.expected.disk_bytes).toBeGreaterThan(12 * plan.parameters);
    const tokens = plan.steps * plan.batch * plan.accumulate * plan.sequence;
    expect(tokens * plan.training_flops_per_token).toBeGreaterThan(1e11);
    expect(await listCheckpoints(join(folder, "dry"))).toEqual([]);
    expect(await readRunRecord(join(folder, "dry"))).toBeNull();
  });

  it("can be made next to an existing run, which does not change", async () => {
    const before = await readFile(join(folder, "first", "run.json"), "utf8");
    const plan = await planPretraining({
      documents: stories,
      out: join(folder, "first"),
      layers: 200,
      width: 32,
      steps: 1,
    });
    expect(plan.model.layers).toBe(200);
    expect(await readFile(join(folder, "first", "run.json"), "utf8")).toBe(before);
  });

  it("is estimated from the machine's peak if the program would take long to build or time", async () => {
    const tasks = new Set<string>();
    const onProgress = ({ task }: { task: string }) => tasks.add(task);
    const plan = await planPretraining({
      documents: stories,
      out: "x",
      layers: 200,
      width: 32,
      minutes: 60,
      onProgress,
    });
    expect([...tasks]).not.toContain("compile");
    expect(plan.reasons.steps).toMatch(/at half of this machine's peak \(estimated, not timed\)/);
    expect(plan.expected.memory_bytes).toBeGreaterThan(16 * plan.parameters);
    await expect(planPretraining({ documents: stories, out: "x", flops: 1e26 })).rejects.toThrow(
      /would train for .* epochs/,
    );
    await expect(planPretraining({ documents: stories, out: "x", layers: 3e7 })).rejects.toThrow(/at most 4096/);
  });

  it("refuses to resume a missing run", async () => {
    await expect(pretrain({ out: join(folder, "nothing"), resume: true })).rejects.toThrow(
      /nothing contains no run to resume; check --out/,
    );
  });

  it("refuses a run that exceeds the memory before allocating anything, and says what to lower", async () => {
    const huge = at("huge", { steps: 1, layers: 96, width: 122880, batch: 64, sequence: 2048 });
    await expect(pretrain(huge)).rejects.toThrow(
      /needs at least [\d.]+ GiB of memory, but only [\d.]+ GiB are free; lower --batch/,
    );
    expect(await readRunRecord(join(folder, "huge"))).toBeNull();
  });
});

describe("the dataset of a run", { timeout: SLOW_BUILD }, () => {
  it("may be token shards, whose tokenizer is found or must be named", async () => {
    const texts = stories.map(({ text }) => text);
    const tokenizer = await trainTokenizer(texts, { vocabSize: 300 });
    const shards = join(folder, "shards");
    await writeShards(shards, { tokenizer, train: texts });
    await saveTokenizer(tokenizer, join(folder, "shards-tokenizer"));
    const from = { documents: undefined, vocabSize: undefined, data: shards, steps: 3 };
    await expect(pretrain(at("data", from))).rejects.toThrow(/contains tokens but not their tokenizer.*--tokenizer/);
    const other = await trainTokenizer(texts, { vocabSize: 290 });
    await saveTokenizer(other, join(folder, "other-tokenizer"));
    await expect(pretrain(at("data", { ...from, tokenizer: join(folder, "other-tokenizer") }))).rejects.toThrow(
      /made by a different tokenizer/,
    );
    const done = await pretrain(at("data", { ...from, tokenizer: join(folder, "shards-tokenizer") }));
    expect(done.plan.model.vocabSize).toBe(300);
    expect(done.plan.heldout_tokens).toBeGreaterThan(0); // the shards had none
    expect(done.result.bits_per_byte).toBeGreaterThan(0);
    // If there is a single document, its end is held out.
    const one = { ...from, data: join(folder, "one"), tokenizer: join(folder, "shards-tokenizer") };
    await writeShards(one.data, { tokenizer, train: [texts.join("\n")] });
    const { plan } = await pretrain(at("of one document", one));
    expect(plan.heldout_tokens / (plan.heldout_tokens + plan.training_tokens)).toBeCloseTo(0.05, 2);
    await expect(pretrain(at("no data", { ...from, data: join(folder, "nowhere") }))).rejects.toThrow(/nowhere/);
  });

  it("continues training a model of another family with its own tokenizer", async () => {
    const family = "gpt2";
    const base = await pretrain(at(`base-gpt2`, { steps: 8, family, learningRate: 0.01 }));
    const more = { layers: undefined, width: undefined, vocabSize: undefined };
    await writeFile(join(base.checkpoint, "generation_config.json"), '{"eos_token_id": [7, 9]}');
    const further = await pretrain(at(`further-gpt2`, { ...more, from: base.run, steps: 4, learningRate: 1e-6 }));
    expect(further.plan.model).toEqual(base.plan.model);
    const [first] = (await readFile(join(further.run, "metrics.jsonl"), "utf8")).split("\n");
    expect(JSON.parse(first).loss).toBeLessThan(Math.log(300) - 0.5); // it starts from the base's weights
    const own = await openTokenizer(base.checkpoint);
    expect((await openTokenizer(further.checkpoint)).encode("sacks")).toEqual(own.encode("sacks"));
    const model = await openModel(further.checkpoint);
    expect(model.endOfText).toEqual([own.endOfText, 7, 9]); // including the base's additional ones
    await model.close();
    const wrong = pretrain(at("wrong", { ...more, from: base.run, width: 64, steps: 1 }));
    await expect(wrong).rejects.toThrow(/width cannot be changed when training continues/);
    const foreign = await trainTokenizer(
      stories.map(({ text }) => text.toUpperCase()),
      { vocabSize: 300 },
    );
    await saveTokenizer(foreign, join(folder, "foreign"));
    await expect(
      pretrain(at("wrong", { ...more, from: base.run, tokenizer: join(folder, "foreign"), steps: 1 })),
    ).rejects.toThrow(/is not the tokenizer of/);
  });
});

describe("checkpoints", { timeout: SLOW_BUILD }, () => {
  it("keeps the last ones and the best, and refuses one that was truncated, edited or swapped", async () => {
    const out = join(folder, "kept");
    const options = at("kept", { steps: 30, saveEvery: 5, keep: 2, learningRate: 0.02 });
    await pretrain(options);
    const steps = await listCheckpoints(out);
    expect(steps.slice(-2)).toEqual([25, 30]);
    expect(steps.length).toBeLessThanOrEqual(3);

    const resume = () => pretrain({ ...options, resume: true });
    const path = (name: string) => join(out, "checkpoints", "30", name);
    for (const name of ["model.safetensors", "training_state.safetensors", "config.json"]) {
      const good = await readFile(path(name));
      const edited = Buffer.from(good);
      edited[edited.length - 3] ^= 1;
      for (const bad of [edited, good.subarray(0, good.length - 7)]) {
        await writeFile(path(name), bad);
        await expect(resume()).rejects.toThrow(
          new RegExp(`${name} differs from what was saved.*remove it.*checkpoints/25`),
        );
      }
      await writeFile(path(name), good);
    }
    const record = await readFile(path("checkpoint.json"), "utf8");
    await writeFile(path("checkpoint.json"), record.replace('"step": 30', '"step": 20'));
    await expect(resume()).rejects.toThrow(/contains step 20: it was renamed or swapped/);
    await writeFile(path("checkpoint.json"), record.replace(/"run": "./, '"run": "x'));
    await expect(resume()).rejects.toThrow(/belongs to another run/);
    await writeFile(path("checkpoint.json"), "{");
    await expect(resume()).rejects.toThrow(/checkpoint\.json is damaged/);
    await writeFile(path("checkpoint.json"), record);
    expect((await resume()).loss).toBeNull();
  });
});
