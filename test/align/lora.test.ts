/** LoRA against PEFT: losses, gradients and five steps of AdamW under its adapters, merged logits, and adapters in both directions. */
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { merge, type SftOptions, sft } from "../../src/align/index.js";
import { sftTrainer } from "../../src/align/losses/sft.js";
import { createPolicy } from "../../src/align/policy.js";
import { compile, type Program } from "../../src/backends/index.js";
import {
  forward,
  logits,
  modelVariables,
  openAdapter,
  openModel,
  openSafetensors,
  parametersOf,
  type StoredModel,
  writeAdapter,
} from "../../src/model/index.js";
import * as q from "../../src/tensor/index.js";
import { ADAMW_DEFAULTS, compileTrainer, step } from "../../src/train/index.js";
import { fixture, POLICY, readFixture, scratch } from "./fixtures.js";

interface Expected {
  readonly ids: readonly (readonly number[])[];
  readonly targets: readonly (readonly number[])[];
  readonly cases: readonly {
    readonly name: string;
    readonly losses: readonly number[];
    readonly gradient_norms: Readonly<Record<string, number>>;
    readonly norms_after: Readonly<Record<string, number>>;
    readonly merged_logits: readonly (readonly number[])[];
  }[];
}
const expected = readFixture<Expected>("lora/expected.json");
const [B, T] = [expected.ids.length, expected.ids[0].length];
/** PyTorch shifts labels itself: the target of a place is the label of the next one. */
const batch = {
  ids: Int32Array.from(expected.ids.flat()),
  targets: Int32Array.from(expected.targets.flatMap((row) => [...row.slice(1), -100])),
};
const schedule = { kind: "constant", learningRate: 1e-2, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
const files = scratch();
afterAll(() => files.remove());

const norm = (values: Float32Array) => Math.hypot(...values);
async function writeBase(program: Program, model: StoredModel) {
  for (const { name } of parametersOf(model.config)) program.write(name, await model.readParameter(name));
}
/** Logits of the first 8 tokens at the end of each row. */
async function lastLogits(model: StoredModel): Promise<number[][]> {
  const { config } = model;
  const weights = modelVariables(config);
  const { hidden } = forward(config, weights, q.input("ids", [B, T], "i32"));
  const last = q.reshape(q.slice(hidden, T - 1, T, 1), [B, config.width]);
  const program = await compile({ run: { outputs: { scores: logits(config, weights, last) } } }, { dtype: "fp32" });
  try {
    await writeBase(program, model);
    await program.run("run", { ids: batch.ids });
    const scores = await program.read("scores");
    return expected.ids.map((_, row) =>
      Array.from(scores.subarray(row * config.vocabSize, row * config.vocabSize + 8)),
    );
  } finally {
    program.dispose();
  }
}

describe.each(expected.cases)(
  "a PEFT adapter, $name",
  ({ name, losses, gradient_norms, norms_after, merged_logits }) => {
    const folder = fixture(`lora/${name}`);

    it("has PEFT's losses, gradients and parameters over five steps", { timeout: 120_000 }, async () => {
      const model = await openModel(POLICY);
      const adapter = await openAdapter(folder, model.config);
      const policy = createPolicy(model.config, adapter.lora);
      const optimizer = { ...ADAMW_DEFAULTS, beta2: 0.999, decay: 0, clip: 1e9 };
      const training = await compileTrainer(sftTrainer(policy, { batch: B, sequence: T }), {
        ...{ optimizer, accumulate: 1, dtype: "fp32" },
      });
      const { program } = training;
      try {
        await writeBase(program, model);
        const names = adapter.pairs.flatMap(({ a, b }) => [a.name, b.name]);
        for (const each of names) program.write(each, await adapter.read(each));
        for (const [index, loss] of losses.entries()) {
          const taken = await step(training, [batch], { step: index, steps: 5, schedule });
          expect(taken.loss).toBeCloseTo(loss, 4);
          if (index > 0) continue;
          for (const [each, value] of Object.entries(gradient_norms)) {
            expect(norm(await program.read(`gradient.${each}`)) / value, each).toBeCloseTo(1, 4);
          }
        }
        for (const [each, value] of Object.entries(norms_after)) {
          expect(norm(await program.read(each)) / value, each).toBeCloseTo(1, 4);
        }
        expect(Object.keys(gradient_norms).sort()).toEqual([...names].sort());
        // The base does not move.
        const [first] = parametersOf(model.config);
        expect(await program.read(first.name)).toEqual(await model.readParameter(first.name));
      } finally {
        program.dispose();
        await adapter.close();
        await model.close();
      }
    });

    it("opens as a model with the adapter folded in, and merges into a folder of its own", async () => {
      const model = await openModel(folder);
      for (const [row, scores] of (await lastLogits(model)).entries()) {
        for (const [i, score] of scores.entries()) expect(score).toBeCloseTo(merged_logits[row][i], 4);
      }
      await model.close();
      await merge({ model: POLICY, adapter: folder, out: files.path(name) });
      const merged = await openModel(files.path(name));
      for (const [row, scores] of (await lastLogits(merged)).entries()) {
        for (const [i, score] of scores.entries()) expect(score).toBeCloseTo(merged_logits[row][i], 4);
      }
      await merged.close();
    });

    it("is written as PEFT wrote it", async () => {
      const model = await openModel(POLICY);
      const adapter = await openAdapter(folder, model.config);
      const out = files.path(`copy-${name}`);
      await writeAdapter(out, model.config, adapter.lora, (each) => adapter.read(each), { base: POLICY });
      const read = (path: string) => JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
      const [own, theirs] = [read(`${out}/adapter_config.json`), read(`${folder}/adapter_config.json`)];
      const keys = [
        "peft_type",
        "task_type",
        "r",
        "lora_alpha",
        "lora_dropout",
        "use_rslora",
        "bias",
        "fan_in_fan_out",
      ];
      for (const key of keys) expect(own[key], key).toEqual(theirs[key]);
      expect([...(own.target_modules as string[])].sort()).toEqual([...(theirs.target_modules as string[])].sort());
      const [a, b] = [
        await openSafetensors(`${out}/adapter_model.safetensors`),
        await openSafetensors(`${folder}/adapter_model.safetensors`),
      ];
      expect([...a.tensors.keys()].sort()).toEqual([...b.tensors.keys()].sort());
      for (const key of a.tensors.keys()) expect(await a.readFloats(key)).toEqual(await b.readFloats(key));
      await Promise.all([a.close(), b.close(), adapter.close(), model.close()]);
    });
  },
);

it("trains adapters with dropout into checkpoints that open with their base, and resumes to the same bits", {
  timeout: 120_000,
}, async () => {
  const data = [
    files.jsonl("lora.jsonl", [
      { prompt: "a", completion: "bcd" },
      { prompt: "e", completion: "fg" },
    ]),
  ];
  const options: Omit<SftOptions, "out"> = {
    ...{ model: POLICY, data, batch: 2, lora: 4, loraDropout: 0.25, learningRate: 1e-2, dtype: "fp32", saveEvery: 2 },
  } as const;
  const whole = await sft({ ...options, out: files.path("lora-run"), steps: 6 });
  const opened = await openModel(files.path("lora-run"));
  const base = await openModel(POLICY);
  const projection = "model.layers.0.self_attn.q_proj.weight";
  expect(await opened.readParameter(projection)).not.toEqual(await base.readParameter(projection));
  await Promise.all([opened.close(), base.close()]);
  const abort = new AbortController();
  const stopped = sft({
    ...{ ...options, out: files.path("lora-stopped"), steps: 6, signal: abort.signal },
    onProgress: ({ task, done }) => task === "train" && done === 3 && abort.abort(),
  });
  await expect(stopped).rejects.toThrow("interrupted at step 3 of 6");
  const resumed = await sft({ out: files.path("lora-stopped"), resume: true });
  const bytes = (checkpoint: string) => readFileSync(`${checkpoint}/adapter_model.safetensors`);
  expect(bytes(resumed.checkpoint).equals(bytes(whole.checkpoint))).toBe(true);
});

it.each([
  [{ loraTargets: ["q_proj", "nose"], lora: 2 }, 'the model has no projection "nose" for LoRA; it has q_proj, k_proj'],
  [{ loraAlpha: 3 }, "--lora-alpha needs --lora with a rank"],
])("refuses %j", async (options, message) => {
  const data = [files.jsonl("bad.jsonl", [{ prompt: "a", completion: "b" }])];
  await expect(sft({ model: POLICY, data, out: files.path("bad"), steps: 1, ...options })).rejects.toThrow(message);
});

it("refuses an adapter of another model", async () => {
  const model = await openModel(fixture("../gguf/llama.gguf"));
  await expect(openAdapter(fixture("lora/plain"), model.config)).rejects.toThrow(
    "the adapter belongs to another model",
  );
  await model.close();
});
