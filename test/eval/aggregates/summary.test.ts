/** Aggregates of made-up results: BLiMP by phenomenon, MMLU by category, ChatCORE and CORE's nearest, tasks beside chance. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CommandContext } from "../../../src/commands/command.js";
import command from "../../../src/commands/eval-summary.js";
import { BLIMP_PHENOMENA, evaluationSummary, MMLU_CATEGORIES } from "../../../src/eval/index.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quern-summary-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Made {
  readonly [task: string]: Readonly<Record<string, unknown>>;
}
let made = 0;
const file = (results: Made, more: object = {}, name = `results_${made++}.json`): string => {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, JSON.stringify({ results, ...more }).replaceAll('"NaN"', "NaN"));
  return path;
};
const summary = async (results: Made, more: object = {}) =>
  (await evaluationSummary({ results: [file(results, more)] }))[0];
const accuracy = (value: number, n: number) => ({
  sample_len: n,
  "acc,none": value,
  "acc_stderr,none": Math.sqrt((value * (1 - value)) / (n - 1)),
});
const PARADIGMS = Object.values(BLIMP_PHENOMENA).flat();
const SUBJECTS = Object.values(MMLU_CATEGORIES).flat();

describe("BLiMP", () => {
  it("has 67 paradigms in 12 phenomena", () => {
    expect(Object.keys(BLIMP_PHENOMENA)).toHaveLength(12);
    expect(new Set(PARADIGMS).size).toBe(67);
    // The sizes of table 2 of the paper.
    expect(Object.values(BLIMP_PHENOMENA).map(({ length }) => length)).toEqual([2, 9, 7, 5, 8, 2, 7, 2, 8, 7, 4, 6]);
  });

  it("is averaged over paradigms, by phenomenon and in all", async () => {
    const value = (i: number) => 0.5 + i / 200;
    const results = Object.fromEntries(PARADIGMS.map((name, i) => [`blimp_${name}`, accuracy(value(i), 1000)]));
    const { blimp } = await summary(results);
    const all = PARADIGMS.map((_, i) => value(i));
    const mean = all.reduce((sum, each) => sum + each, 0) / 67;
    expect(blimp!.overall).toMatchObject({ tasks: 67, of: 67, missing: [] });
    expect(blimp!.overall.value).toBeCloseTo(mean, 12);
    const error = Math.sqrt(all.reduce((sum, p) => sum + (p * (1 - p)) / 999, 0)) / 67;
    expect(blimp!.overall.standard_error).toBeCloseTo(error, 12);
    expect(blimp!.overall.upper).toBeCloseTo(mean + 1.959964 * error, 8);
    expect(Object.keys(blimp!.phenomena)).toEqual(Object.keys(BLIMP_PHENOMENA));
    expect(blimp!.phenomena.anaphor_agreement.value).toBeCloseTo((value(0) + value(1)) / 2, 12);
  });

  it("is a partial mean with its count if paradigms are missing", async () => {
    const { blimp } = await summary({
      blimp_wh_island: accuracy(0.6, 1000),
      blimp_adjunct_island: accuracy(0.8, 1000),
      blimp_ellipsis_n_bar_1: { "acc,none": 0.9, "acc_stderr,none": "N/A" },
    });
    expect(Object.keys(blimp!.phenomena)).toEqual(["ellipsis", "island_effects"]);
    expect(blimp!.phenomena.island_effects).toMatchObject({ value: 0.7, tasks: 2, of: 8 });
    expect(blimp!.phenomena.ellipsis).toEqual({
      ...{ value: 0.9, standard_error: null, lower: null, upper: null },
      ...{ tasks: 1, of: 2, missing: ["ellipsis_n_bar_2"] },
    });
    expect(blimp!.overall.value).toBeCloseTo(23 / 30, 12);
    expect(blimp!.overall.standard_error).toBeNull();
  });
});

describe("MMLU", () => {
  it("has 57 subjects in four categories", () => {
    expect(new Set(SUBJECTS).size).toBe(57);
    expect(Object.values(MMLU_CATEGORIES).map(({ length }) => length)).toEqual([19, 13, 12, 13]);
  });

  it("weighs subjects by their questions, as lm-eval's groups", async () => {
    const { mmlu } = await summary({
      mmlu_astronomy: accuracy(0.25, 152),
      mmlu_machine_learning: accuracy(0.5, 112),
      mmlu_professional_law: accuracy(0.3, 1534),
      mmlu_flan_n_shot_generative_virology: {
        sample_len: 166,
        "exact_match,strict-match": 0.1,
        "exact_match_stderr,strict-match": 0.02,
      },
      mmlu_pro_law: accuracy(0.1, 100),
    });
    expect(mmlu.map(({ variant }) => variant)).toEqual(["mmlu", "mmlu_flan_n_shot_generative"]);
    const [{ overall, categories, subjects }, generative] = mmlu;
    expect(categories.stem).toMatchObject({ tasks: 2, of: 19 });
    expect(categories.stem.value).toBeCloseTo((0.25 * 152 + 0.5 * 112) / 264, 12);
    // lm-eval's pooled variance: Σ (n − 1) n error² / Σ (n − 1), here with n error² = p (1 − p) n / (n − 1).
    const pooled = (0.25 * 0.75 * 152 + 0.5 * 0.5 * 112) / (151 + 111);
    expect(categories.stem.standard_error).toBeCloseTo(Math.sqrt(pooled / 264), 12);
    expect(overall.value).toBeCloseTo((0.25 * 152 + 0.5 * 112 + 0.3 * 1534) / 1798, 12);
    expect(Object.keys(subjects)).toEqual(["astronomy", "machine_learning", "professional_law"]);
    expect(subjects.astronomy.documents).toBe(152);
    expect(subjects.astronomy.lower).toBeGreaterThan(0.18);
    expect(generative).toMatchObject({ metric: "exact_match,strict-match", overall: { value: 0.1, tasks: 1 } });
  });
});

describe("centred means", () => {
  it("are ChatCORE, null without its tasks", async () => {
    const results: Made = {
      arc_easy: accuracy(0.7, 2376),
      arc_challenge: accuracy(0.4, 1172),
      mmlu: accuracy(0.3, 14042),
      gsm8k: {
        sample_len: 1319,
        "exact_match,strict-match": 0.1,
        "exact_match_stderr,strict-match": 0.008,
        "exact_match,flexible-extract": 0.2,
      },
      humaneval: { sample_len: 164, "pass@1,create_test": 0.05, "pass@1_stderr,create_test": 0.017 },
      spellingbee: { sample_len: 256, "exact_match,none": 0.9, "exact_match_stderr,none": 0.02 },
    };
    const { chat_core } = await summary(results);
    const centred = [0.45 / 0.75, 0.15 / 0.75, 0.05 / 0.75, 0.1, 0.05, 0.9];
    expect(chat_core).toMatchObject({ tasks: 6, of: 6, missing: [] });
    expect(chat_core!.value).toBeCloseTo(centred.reduce((sum, value) => sum + value, 0) / 6, 12);
    for (const [i, part] of chat_core!.parts.entries()) expect(part.centred.value).toBeCloseTo(centred[i], 12);
    const errors = [
      ...[
        [0.7, 2376],
        [0.4, 1172],
        [0.3, 14042],
      ].map(([p, n]) => Math.sqrt((p * (1 - p)) / (n - 1)) / 0.75),
      ...[0.008, 0.017, 0.02],
    ];
    expect(chat_core!.standard_error).toBeCloseTo(Math.hypot(...errors) / 6, 12);
    const partial = await summary({ arc_easy: results.arc_easy });
    expect(partial.chat_core).toMatchObject({
      tasks: 1,
      of: 6,
      missing: ["ARC-Challenge", "MMLU", "GSM8K", "HumanEval", "SpellingBee"],
    });
    expect((await summary({ rouge: { "rouge,none": 3 } })).chat_core).toBeNull();
  });

  it("are CORE's, by lm-eval's names", async () => {
    const results: Made = {
      hellaswag: { ...accuracy(0.3, 10042), "acc_norm,none": 0.4, "acc_norm_stderr,none": 0.005 },
      openbookqa: { ...accuracy(0.2, 500), "acc_norm,none": 0.31, "acc_norm_stderr,none": 0.02 },
      wsc273: accuracy(0.6, 273),
      bigbench_operators_generate_until: { "exact_match,none": 0.1 },
    };
    const { core_like } = await summary(results, { "n-shot": { hellaswag: 10 } });
    expect(core_like!.parts.map(({ name, accuracy: value }) => [name, value])).toEqual([
      ["hellaswag", 0.4],
      ["openbook_qa", 0.31],
      ["winograd", 0.6],
      ["bigbench_operators", 0.1],
    ]);
    expect(core_like!.value).toBeCloseTo((0.2 + 0.08 + 0.2 + 0.1) / 4, 12);
    expect(core_like!.missing).toHaveLength(18);
    expect((await summary(results)).core_like!.parts[0].name).toBe("hellaswag_zeroshot");
  });
});

describe("tasks", () => {
  it("stand beside chance: their own, that of their choices, or their group's", async () => {
    const configs = {
      mine: { output_type: "multiple_choice", doc_to_choice: ["a", "b", "c"] },
      pair: { metadata: { chance: 0.5 } },
    };
    const { tasks } = await summary(
      {
        mine: accuracy(0.35, 100),
        pair: accuracy(0.8, 100),
        both: accuracy(0.6, 200),
        other: accuracy(0.5, 100),
        ppl: { "word_perplexity,none": 20 },
        piqa: { "acc,none": 0.6, "acc_stderr,none": "N/A", alias: "piqa" },
        lost: { "acc,none": "NaN" },
      },
      { configs, group_subtasks: { both: ["mine", "pair"], other: [] } },
    );
    const rows = Object.fromEntries(tasks.map((row) => [row.task, [row.is_group, row.chance, row.above_chance]]));
    expect(rows).toEqual({
      mine: [false, 1 / 3, false],
      pair: [false, 0.5, true],
      both: [true, (1 / 3 + 0.5) / 2, true],
      other: [false, null, null],
      ppl: [false, null, null],
      piqa: [false, 0.5, null],
    });
    // Wilson's interval, which differs from the normal one near 1.
    expect(tasks[1].upper! - 0.8).toBeLessThan(0.8 - tasks[1].lower!);
  });
});

describe("quern eval summary", () => {
  it("joins the files of a folder by model and prints a table", async () => {
    const named = (model: string) => ({ config: { model_args: `pretrained=${model},dtype=float32` } });
    file({ arc_easy: accuracy(0.3, 100), piqa: accuracy(0.6, 100) }, named("org/a"), "runs/a/results_1.json");
    file({ arc_easy: accuracy(0.4, 100) }, named("org/a"), "runs/a/results_2.json");
    file({ piqa: accuracy(0.5, 100) }, { model_name: "b" }, "runs/b/results.json");
    const models = await evaluationSummary({ results: [join(folder, "runs")] });
    expect(models.map(({ model, files }) => [model, files.length])).toEqual([
      ["org/a", 2],
      ["b", 1],
    ]);
    expect(models[0].tasks.map(({ task, value }) => [task, value])).toEqual([
      ["arc_easy", 0.4],
      ["piqa", 0.6],
    ]);
    const lines: string[] = [];
    const print = (line = "") => void lines.push(line);
    await command.run({ results: [join(folder, "runs")] }, { print } as CommandContext);
    const text = lines.join("\n");
    expect(text).toMatch(/org\/a .*\n.*tasks +value +error +95 % interval +chance\n/);
    expect(text).toMatch(/ChatCORE +1 of 6 +0\.2000 /);
    expect(text).toMatch(/piqa \(acc,none\) +0\.5000 +0\.0503 +0\.\d+ – 0\.\d+ +0\.5000 not above/);
  });

  it("says what is wrong with a file", async () => {
    const wrong = (path: string, message: RegExp) =>
      expect(evaluationSummary({ results: [path] })).rejects.toThrow(message);
    await wrong(join(folder, "absent.json"), /cannot read .*absent\.json: there is no such file/);
    mkdirSync(join(folder, "empty"));
    await wrong(join(folder, "empty"), /empty has no results\.json/);
    writeFileSync(join(folder, "dclm.json"), '{"eval_metrics":{}}');
    await wrong(join(folder, "dclm.json"), /has no "results" by task; DCLM's files are for `quern eval core`/);
    writeFileSync(join(folder, "list.json"), "[]");
    await wrong(join(folder, "list.json"), /give results\.json of `quern eval` or lm-eval/);
    await wrong(file({ t: { "acc,none": true } }), /acc,none of t in .* must be a number, not true/);
  });
});
