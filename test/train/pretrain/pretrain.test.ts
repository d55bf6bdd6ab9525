import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { where } from "../../../src/data/index.js";
import { generateText } from "../../../src/infer/index.js";
import { listCheckpoints, openModel, openSafetensors } from "../../../src/model/index.js";
import { type PretrainOptions, pretrain, readRunRecord } from "../../../src/train/index.js";

import { SLOW_BUILD } from "../../model/targets.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-pretrain-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Text that a small model can learn: sentences from few words. */
function sentences(count: number): string {
  const names = ["Anna", "Boris", "Clara", "Dmitri", "Elena", "Fyodor"];
  const verbs = ["carries", "sells", "counts", "grinds", "weighs"];
  const things = ["the grain", "the flour", "a heavy stone", "seven loaves of bread", "a sack"];
  return Array.from({ length: count }, (_, i) => {
    const pick = (list: readonly string[], prime: number) =>
      list[Math.floor((i * prime) / 7 + i * i * 0.37) % list.length];
    return `${pick(names, 11)} ${pick(verbs, 13)} ${pick(things, 17)} on day ${i}.`;
  }).join("\n");
}

const documents = [{ text: sentences(1500) }];
const small = {
  ...{
    layers: 1,
    width: 32,
    heads: 2,
    keyValueHeads: 1,
    vocabSize: 300,
    sequence: 32,
    batch: 4,
    learningRate: 0.01,
  },
} as const;
const at = (name: string, more: Partial<PretrainOptions> = {}): PretrainOptions => ({
  ...small,
  documents,
  out: join(folder, name),
  ...more,
});

async function weightsOf(checkpoint: string): Promise<Buffer> {
  return Buffer.concat([
    await readFile(join(checkpoint, "model.safetensors")),
    await readFile(join(checkpoint, "training_state.safetensors")).then((bytes) =>
      bytes.subarray(8 + Number(bytes.readBigUInt64LE())),
    ),
  ]);
}

describe("pretrain", { timeout: SLOW_BUILD }, () => {
  it("trains, evaluates, samples, and writes a complete run folder", async () => {
    const done = await pretrain(at("learns", { steps: 60 }));
    const { run, checkpoint, result } = done;
    expect(await readdir(run)).toEqual([
      ".quern.json",
      "checkpoints",
      "metrics.jsonl",
      "report.html",
      "run.json",
      "tokenizer",
      "tokens",
    ]);
    expect((await readdir(checkpoint)).sort()).toEqual([
      "checkpoint.json",
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
      "training_state.safetensors",
    ]);
    const lines = (await readFile(join(run, "metrics.jsonl"), "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const losses = lines.filter((line) => line.loss !== undefined);
    expect(losses.map((line) => line.step)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    expect(losses[0].loss).toBeCloseTo(Math.log(300), 0);
    expect(done.loss).toBeLessThan(losses[0].loss / 2);
    expect(lines.filter((line) => line.validation_loss !== undefined).length).toBeGreaterThan(5);
    expect(result.bits_per_byte).toBeLessThan(2.5);
    expect(result.gzip_bits_per_byte).toBeGreaterThan(0);
    expect(result.samples?.length).toBeGreaterThan(0);
    const record = await readRunRecord(run);
    expect(record?.result?.bits_per_byte).toBe(result.bits_per_byte);
    expect(record?.plan).toMatchObject({ steps: 60, seed: 0, threads: 1 });

    let text = "";
    for await (const piece of generateText({ model: run, prompt: "Anna", tokens: 20, temperature: 0 })) text += piece;
    let slowly = "";
    for await (const piece of generateText({
      model: checkpoint,
      prompt: "Anna",
      tokens: 20,
      temperature: 0,
      cache: false,
    }))
      slowly += piece;
    expect(slowly).toBe(text);
    let unprompted = "";
    for await (const piece of generateText({ model: run, prompt: "", tokens: 8 })) unprompted += piece;
    expect(unprompted).not.toBe("");
  });

  it("records the origin of each token, as given in the corpus", async () => {
    const corpus = join(folder, "corpus.jsonl");
    const lines = Array.from({ length: 40 }, (_, i) => {
      const origin = { archive: "crawl.warc.gz", offset: 1000 * i, time: "2026-11-27T00:00:00Z" };
      return JSON.stringify({ text: sentences(20 + i), id: `page-${i}`, source: "web", ...(i > 0 && { origin }) });
    });
    await writeFile(corpus, lines.join("\n"));
    const { run } = await pretrain({ ...small, text: [corpus], out: join(folder, "lineage"), steps: 1 });
    const found = [];
    for (let position = 0; found.length < 30; position += 50) {
      found.push(await where(join(run, "tokens"), position));
      const { id, offset, archive, byte, context } = found[found.length - 1];
      const { text } = JSON.parse(lines[Number(id.slice(5))]) as { text: string };
      if (id === "page-0") expect([archive, offset]).toEqual([corpus, 0]);
      else expect([archive, offset]).toEqual(["crawl.warc.gz", 1000 * Number(id.slice(5))]);
      expect(text.slice(byte ?? -1).startsWith(context[1])).toBe(true);
    }
    expect(new Set(found.map(({ id }) => id)).size).toBeGreaterThan(3);
    expect(await where(run, 50)).toEqual(found[1]);
  });

  it("repeats to the same bits, with two threads, and after an interruption", async () => {
    const whole = await pretrain(at("whole", { steps: 12, seed: 5, threads: 2 }));
    const again = await pretrain(at("again", { steps: 12, seed: 5, threads: 2 }));
    expect((await weightsOf(again.checkpoint)).equals(await weightsOf(whole.checkpoint))).toBe(true);
    const other = await pretrain(at("other", { steps: 12, seed: 6, threads: 2 }));
    expect((await weightsOf(other.checkpoint)).equals(await weightsOf(whole.checkpoint))).toBe(false);

    const abort = new AbortController();
    const stopped = pretrain(
      at("stopped", {
        ...{ steps: 12, seed: 5, threads: 2, signal: abort.signal },
        onProgress: ({ task, done }) => {
          if (task === "train" && done === 7) abort.abort();
        },
      }),
    );
    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
    const run = join(folder, "stopped");
    expect(await listCheckpoints(run)).toEqual([7]);
    // As a killed process leaves it: a step recorded but not saved, and half a line.
    await writeFile(
      join(run, "metrics.jsonl"),
      `${await readFile(join(run, "metrics.jsonl"), "utf8")}{"step":8,"loss":1}\n{"st`,
    );
    const resumed = await pretrain(at("stopped", { steps: 12, seed: 5, threads: 2, resume: true }));
    expect((await weightsOf(resumed.checkpoint)).equals(await weightsOf(whole.checkpoint))).toBe(true);
    const metricsOf = async (name: string) =>
      (await readFile(join(folder, name, "metrics.jsonl"), "utf8"))
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
        .map(({ step, loss, validation_loss }) => ({ step, loss, validation_loss }));
    expect(await metricsOf("stopped")).toEqual(await metricsOf("whole"));
    expect(resumed.result).toEqual(whole.result);
  });

  it("names the run when it is interrupted after training", async () => {
    const abort = new AbortController();
    const onProgress = ({ task }: { task: string }) => task.startsWith("evaluate") && abort.abort();
    const stopped = pretrain(at("evaluated", { steps: 2, signal: abort.signal, onProgress }));
    await expect(stopped).rejects.toMatchObject({ name: "AbortError", saved: join(folder, "evaluated") });
    expect((await pretrain(at("evaluated", { steps: 2, resume: true }))).result.bits_per_byte).toBeGreaterThan(0);
  });

  it("saves every saveEvery steps, and keeps the optimizer state of the newest two", async () => {
    const { run } = await pretrain(at("saves", { steps: 9, saveEvery: 2 }));
    expect(await listCheckpoints(run)).toEqual([2, 4, 6, 8, 9]);
    const withState: number[] = [];
    for (const step of await listCheckpoints(run)) {
      const path = join(run, "checkpoints", String(step));
      await (await openModel(path)).close();
      if (await stat(join(path, "training_state.safetensors")).catch(() => null)) withState.push(step);
    }
    expect(withState).toEqual([8, 9]);
  });

  it("averages over several batches per step", async () => {
    const { plan, loss } = await pretrain(at("accumulates", { steps: 3, batch: 2, accumulate: 3 }));
    expect(plan.accumulate).toBe(3);
    expect(loss).toBeGreaterThan(0);
  });

  it("plans its steps from the time budget and the time of a step (loop.test.ts tests the deadline)", async () => {
    const { plan } = await pretrain(at("minutes", { minutes: 0.05 }));
    const [, seconds, step] = /^(\d+) s of training at ([\d.]+) ms per step/.exec(plan.reasons.steps) ?? [];
    // Both are rounded: a step shown as .1 ms takes at least .05 ms.
    expect(plan.steps).toBeGreaterThanOrEqual(1);
    expect(Number(seconds)).toBeLessThanOrEqual(3);
    expect(plan.steps).toBeLessThanOrEqual((Number(seconds) + 0.5) / ((Number(step) - 0.05) / 1000));
  });

  it("refuses invalid options before writing anything", async () => {
    const refused = async (options: PretrainOptions, message: RegExp) => {
      await expect(pretrain(options)).rejects.toThrow(message);
      await expect(pretrain(options)).rejects.toMatchObject({ name: "QuernError" });
    };
    await refused(at("never", { steps: 2, minutes: 1 }), /minutes and steps/);
    await refused(at("never", { steps: 2, heads: 5 }), /not a multiple of the 5 heads/);
    await refused(at("never", { steps: 0 }), /steps must be at least 1/);
    await refused(at("never", { documents: undefined }), /no training text/);
    await refused(at("never", { documents: [{ text: "short" }] }), /too short/);
    await refused({ ...at("never"), widht: 3 } as PretrainOptions, /unknown option widht.*width/);
    expect(await stat(join(folder, "never")).catch(() => null)).toBeNull();
    await refused(
      at("learns", { steps: 60 }),
      /contains the finished output of an earlier quern pretrain; give --force/,
    );
    await refused(at("learns", { steps: 60, resume: true, width: 64 }), /width was 32 and cannot change to 64/);
  });
});

describe("generateText", { timeout: SLOW_BUILD }, () => {
  it.each([
    ["a missing folder", "nowhere", /no such folder/],
    ["a folder without a model", ".", /neither a model nor a run/],
  ])("refuses %s", async (_, name, message) => {
    const reading = generateText({ model: join(folder, name), prompt: "x" }).next();
    await expect(reading).rejects.toThrow(message);
  });

  it("refuses a checkpoint with a damaged file, naming it", async () => {
    const damaged = join(folder, "damaged");
    await pretrain(at("damaged", { steps: 1 }));
    const checkpoint = join(damaged, "checkpoints", "1");
    const read = (name: string) => readFile(join(checkpoint, name));
    const expectRefused = async (name: string, bytes: Buffer | string, message: RegExp) => {
      const good = await read(name);
      await writeFile(join(checkpoint, name), bytes);
      await expect(generateText({ model: damaged, prompt: "x" }).next()).rejects.toThrow(message);
      await expect(generateText({ model: damaged, prompt: "x" }).next()).rejects.toMatchObject({ name: "QuernError" });
      await writeFile(join(checkpoint, name), good);
    };
    const weights = await read("model.safetensors");
    await expectRefused("model.safetensors", weights.subarray(0, weights.length - 5), /cut short/);
    await expectRefused("config.json", "{", /config\.json is not JSON/);
    await expectRefused("config.json", "{}", /no model_type/);
    await expectRefused("tokenizer.json", "{", /tokenizer\.json/);
    const config = JSON.parse((await read("config.json")).toString());
    await expectRefused("config.json", JSON.stringify({ ...config, hidden_size: 48 }), /have the shape/);
    await expectRefused(
      "config.json",
      JSON.stringify({ ...config, num_hidden_layers: 2 }),
      /no weights for model\.layers\.1/,
    );
    await (await openSafetensors(join(checkpoint, "model.safetensors"))).close();
  });
});
