import { cpSync, mkdtempSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { evaluate } from "../../../src/eval/evaluate.js";
import { evaluateTasks, type TaskRunOptions } from "../../../src/eval/harness/evaluate-tasks.js";
import type { EvaluationSample } from "../../../src/eval/harness/evaluation-results.js";
import { TaskRegistry } from "../../../src/eval/harness/registry.js";
import { openRequestCache } from "../../../src/eval/harness/request-cache.js";
import { evaluationTable } from "../../../src/eval/report/results-lines.js";
import { type LanguageModel, openModel } from "../../../src/infer/index.js";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../../fixtures/eval/harness");
const folder = join(here, "../../oracle/fixtures/tiny-chat");
/** Made by test/oracle/lm_eval_runs.py, with the model in float64. */
const expected = JSON.parse(readFileSync(join(root, "runs.json"), "utf8"));

const VARIANTS: Readonly<Record<string, TaskRunOptions>> = {
  plain: {},
  shots: { numFewshot: 2 },
  chat: { numFewshot: 1, applyChatTemplate: true, fewshotAsMultiturn: true, system: "Be brief." },
};

const registry = new TaskRegistry();
registry.addFolder(join(root, "tasks"));
const common: TaskRunOptions = { data: join(root, "data"), bootstrap: 1000, generationOptions: { max_gen_toks: 12 } };

let model: LanguageModel;
beforeAll(async () => {
  model = await openModel(folder);
});
afterAll(() => model.dispose());

/** Compares numbers to fp32's precision, and all else exactly. */
function expectClose(actual: unknown, wanted: unknown, where: string): void {
  if (typeof wanted === "number") {
    expect(typeof actual, where).toBe("number");
    expect(Math.abs((actual as number) - wanted) / Math.max(1, Math.abs(wanted)), where).toBeLessThan(2e-5);
  } else if (Array.isArray(wanted)) {
    expect((actual as unknown[]).length, where).toBe(wanted.length);
    for (const [i, item] of wanted.entries()) expectClose((actual as unknown[])[i], item, `${where}[${i}]`);
  } else if (typeof wanted === "object" && wanted !== null) {
    expect(Object.keys(actual as object).sort(), where).toEqual(Object.keys(wanted).sort());
    for (const [key, item] of Object.entries(wanted)) expectClose((actual as never)[key], item, `${where}.${key}`);
  } else expect(actual, where).toEqual(wanted);
}

/** Reads "-1.5", "True" back. */
function answerOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(answerOf);
  return value === "True" || value === "False" ? value === "True" : value;
}

interface WantedSample {
  readonly doc_id: number;
  readonly filter: string;
  readonly hashes: readonly string[];
  readonly resps: readonly (readonly unknown[])[];
  readonly values: Readonly<Record<string, unknown>>;
}

function expectSample(sample: EvaluationSample, wanted: WantedSample, where: string): void {
  expect([sample.doc_id, sample.filter], where).toEqual([wanted.doc_id, wanted.filter]);
  const hashes = [sample.doc_hash, sample.prompt_hash, sample.target_hash].map((hash) => hash.slice(0, 16));
  expect(hashes, where).toEqual(wanted.hashes);
  wanted.resps.flat().forEach((response, i) => {
    const own = answerOf(sample.resps.flat()[i]);
    if (Array.isArray(response)) {
      const [score, isGreedy] = own as [string, boolean];
      expectClose([Number(score), isGreedy], response, `${where} answer ${i}`);
    } else expectClose(typeof response === "number" ? Number(own) : own, response, `${where} answer ${i}`);
  });
  expectClose(Object.fromEntries(sample.metrics.map((metric) => [metric, sample[metric]])), wanted.values, where);
}

describe("evaluateTasks equals lm-eval", () => {
  for (const [variant, options] of Object.entries(VARIANTS)) {
    it.each(Object.keys(expected[variant]))(`${variant}: %s`, async (name) => {
      const { samples: wantedSamples, ...wanted } = expected[variant][name];
      const selection = registry.select([name]);
      const { results, samples } = await evaluateTasks(model, selection, { ...common, ...options });
      for (const [key, value] of Object.entries(wanted)) expectClose(results[key], value, key);
      expect([...samples.keys()].sort()).toEqual(Object.keys(wantedSamples).sort());
      for (const [task, list] of Object.entries<readonly WantedSample[]>(wantedSamples)) {
        expect(samples.get(task)).toHaveLength(list.length);
        for (const [i, sample] of list.entries()) expectSample(samples.get(task)![i], sample, `${task} ${i}`);
      }
    });
  }
});

describe("the cache", () => {
  it("answers a second run without the model, and survives a kill in the middle of a line", async () => {
    const cacheFolder = mkdtempSync(join(tmpdir(), "quern-eval-"));
    const run = async () => {
      const cache = openRequestCache(cacheFolder);
      try {
        return await evaluateTasks(model, registry.select(["made_letters", "made_odd"]), {
          ...common,
          cache,
          batch: 3,
        });
      } finally {
        cache.close();
      }
    };
    const first = await run();
    expect(first.counts).toMatchObject({ cached: 0, asked: 19, requests: 19 });
    const path = join(cacheFolder, "answers.jsonl");
    const lines = readFileSync(path, "utf8");
    writeFileSync(path, lines.slice(0, -9)); // the last line is cut
    const second = await run();
    expect(second.counts).toMatchObject({ cached: 18, asked: 1 });
    expect(second.results).toEqual(first.results);
    expect(readFileSync(path, "utf8")).toBe(lines);
    writeFileSync(path, "{}\n");
    await expect(run()).rejects.toThrow(/answers\.jsonl line 1 is no answer of a model/);
  });
});

describe("evaluate", () => {
  const base = { model: folder, tasks: [join(root, "tasks/letters.yaml")], data: join(root, "data"), bootstrap: 0 };

  it("writes results and samples, of chosen documents only", async () => {
    const out = join(mkdtempSync(join(tmpdir(), "quern-eval-")), "out");
    const { results, samples } = await evaluate({
      ...base,
      samples: '{"made_letters": [1, 3]}',
      logSamples: true,
      out,
    });
    expect(JSON.parse(readFileSync(join(out, "results.json"), "utf8"))).toEqual(JSON.parse(JSON.stringify(results)));
    const lines = readFileSync(join(out, "samples_made_letters.jsonl"), "utf8").trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).doc_id)).toEqual([1, 3]);
    expect(JSON.parse(lines[0]).arguments.gen_args_1.arg_1).toBe(" B");
    expect(results["n-samples"]).toEqual({ made_letters: { original: 4, effective: 2 } });
    expect(readFileSync(join(out, "report.html"), "utf8")).toContain("made_letters");
    const [head, row] = evaluationTable({ name: "run", results, samples });
    expect(head).toMatch(/^task +filter +shots +metric +documents +value +error +95 % interval +chance$/);
    expect(row).toMatch(/^made_letters +none +0 +acc +2 +\d\.\d{4} .* 0\.2500$/);
    await expect(evaluate({ ...base, out })).rejects.toThrow(/force/);
    await evaluate({ ...base, samples: '{"made_letters": [1, 3]}', out, logSamples: true, force: true });
    const again = await evaluate({ ...base, samples: '{"made_letters": [1, 3]}', against: out });
    expect(again.comparison?.tests).toMatchObject([{ task: "made_letters", difference: 0, documents: 2 }]);
  });

  it("asks again when a file of the model has changed", async () => {
    const scratch = mkdtempSync(join(tmpdir(), "quern-eval-"));
    const copy = join(scratch, "model");
    cpSync(folder, copy, { recursive: true });
    const run = () => evaluate({ ...base, model: copy, cache: join(scratch, "answers") });
    expect((await run()).counts).toMatchObject({ asked: 16, cached: 0 });
    expect((await run()).counts).toMatchObject({ asked: 0, cached: 16 });
    utimesSync(join(copy, "model.safetensors"), 1, 1);
    expect((await run()).counts).toMatchObject({ asked: 16, cached: 0 });
  });

  it("counts requests that are longer than the model's context", async () => {
    const { counts } = await evaluate({ ...base, numFewshot: 5 });
    expect(counts.truncated).toEqual({ made_letters: 16 });
  });

  it("names --data where the hub cannot be asked", async () => {
    const saved = process.env.HF_HUB_OFFLINE;
    process.env.HF_HUB_OFFLINE = "1";
    try {
      await expect(evaluate({ ...base, data: undefined })).rejects.toThrow(
        /^the data of the task made_letters: cannot fetch hf:\/\/datasets\/made\/letters: .*; or give its folder with --data DIR$/,
      );
    } finally {
      if (saved === undefined) delete process.env.HF_HUB_OFFLINE;
      else process.env.HF_HUB_OFFLINE = saved;
    }
  });

  it.each([
    [{ tasks: ["made_lettres"], include: [join(root, "tasks")] }, /did you mean made_letters\?/],
    [{ data: here }, /the split test of the task made_letters is missing/],
    [{ limit: 2, samples: "{}" }, /not both/],
    [{ samples: '{"made_letters": [9]}' }, /sample 9 is not one of the 4 documents/],
    [{ samples: '{"other": [0]}' }, /other, which is none of the tasks/],
    [{ samples: "nothing.json" }, /nothing\.json/],
    [{ seed: "one" }, /seed/],
    [{ genKwargs: "temperature" }, /KEY=VALUE/],
    [{ fewshotInOneTurn: true }, /needs applyChatTemplate/],
    [
      { tasks: [join(root, "tasks/odd.yaml")], genKwargs: "num_beams=4,max_gen_toks=2" },
      /made_odd: generation_kwargs: num_beams is an option that Quern does not have/,
    ],
    [{ tasks: [join(root, "tasks/odd.yaml")] }, /made_odd generates up to 256 tokens, but the model's context is 96/],
  ])("refuses %o", async (options, message) => {
    await expect(evaluate({ ...base, ...options })).rejects.toThrow(message);
  });
});
