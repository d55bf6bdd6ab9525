import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accuracyAt } from "../../../src/scale/fit/downstream.js";
import { pointsOf } from "../../../src/scale/fit/fit-law.js";
import { publishedGrid } from "../../../src/scale/fit/objective.js";
import { fitParametric } from "../../../src/scale/fit/parametric.js";
import {
  type FitOptions,
  fitScalingLaw,
  formatRuns,
  type RunRow,
  readRuns,
  repeatedLoss,
} from "../../../src/scale/index.js";
import { parseColumns } from "../../../src/scale/run-table/read-runs.js";
import { readLaw } from "../../../src/train/index.js";
import { BUDGETS, isoFlopRuns, lossOf, normals, SIZES, TRUE, trueOptimum } from "../runs-fixtures.js";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quern-fit-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let files = 0;
function tableFile(rows: readonly RunRow[] | string): string {
  const path = join(root, `${files++}.csv`);
  writeFileSync(path, typeof rows === "string" ? rows : formatRuns(rows));
  return path;
}
const rowsOf = (runs: readonly object[]): RunRow[] => runs.map((run) => ({ ...run }) as RunRow);
/** A part of the published grid: these laws have one minimum. */
const starts = publishedGrid().filter((_, i) => i % 15 === 0);
const fitTable = (rows: readonly RunRow[] | string, options: Partial<FitOptions> = {}) =>
  fitScalingLaw({ bootstrap: 0, threads: 1, starts, ...options, runs: tableFile(rows) });
const clean = rowsOf(isoFlopRuns(BUDGETS, SIZES));

describe("a parametric fit", () => {
  it("reads a table with other column names, and derives tokens from FLOPs", async () => {
    const table = readFileSync(join(import.meta.dirname, "../../oracle/fixtures/scale/chinchilla.csv"), "utf8");
    const options = { columns: ["params=Model Size", "flops=Training FLOP"], dropHighest: 5, bootstrap: 100 };
    const result = await fitTable(table, { ...options, threads: 2 });
    expect(result.objective).toBeLessThanOrEqual(0.00101827402);
    expect(result.runs).toBe(240);
    expect(result.excluded).toHaveLength(5);
    expect(result.hoffmann?.rejected).toBe(true);
    expect(result.intervals?.A[0]).toBeLessThan(result.A as number);
    const row = result.optimal.find(({ flops }) => flops === 1e21);
    expect(row).toMatchObject({ extrapolated: false, params: expect.closeTo(2.79e9, -7) });
    expect(row?.params_interval?.[0]).toBeLessThan(2.79e9);
    expect(result.optimal.at(-1)?.extrapolated).toBe(true);
    expect(result.warnings).toEqual([]);
  });

  it("finds the optimum of its budgets; without a bootstrap there are no intervals", async () => {
    const result = await fitTable(clean);
    expect(result.intervals).toBeNull();
    expect(result.hessian_intervals).toBeNull();
    for (const flops of BUDGETS) {
      const { params, tokens } = trueOptimum(flops);
      expect(result.optimal.find((row) => row.flops === flops)).toMatchObject({
        params: expect.closeTo(params, -Math.log10(params / 100)),
        tokens: expect.closeTo(tokens, -Math.log10(tokens / 100)),
        loss: expect.closeTo(lossOf(params, tokens), 4),
        params_interval: null,
      });
    }
  });

  it("counts params without embeddings beside", async () => {
    const rows = clean.map((row) => ({ ...row, params_without_embeddings: Number(row.params) * 0.8 }));
    const { without_embeddings: without, A } = await fitTable(rows);
    expect(without?.alpha).toBeCloseTo(TRUE.alpha, 2);
    expect(without?.A).toBeLessThan(A as number);
  });

  it("leaves out runs that diverged or are not numbers, and names them", async () => {
    const odd = [
      { ...clean[0], run: "wild", status: "diverged", reason: "loss 9.1 at step 40", loss: 9.1 },
      { ...clean[1], run: "lost", loss: "NaN" },
      { ...clean[2], run: "open", loss: "" },
    ];
    const result = await fitTable([...clean.map((row, i) => ({ run: `r${i}`, ...row })), ...odd]);
    expect(result.excluded).toEqual([
      { run: "wild", reason: "diverged: loss 9.1 at step 40" },
      { run: "lost", reason: "its loss is not a number (NaN)" },
      { run: "open", reason: "its loss is missing" },
    ]);
    expect(result.runs).toBe(clean.length);
    expect(result.warnings.join()).toContain("3 runs are left out: wild (diverged");
  });

  it("writes law.json and a report", async () => {
    const out = join(root, "law");
    const rows = clean.map((row) => ({ ...row, bits_per_byte: Number(row.loss) * 0.35 }));
    const result = await fitTable(rows, { out, bootstrap: 60 });
    const law = await readLaw(join(out, "law.json"));
    expect(law).toMatchObject({ A: result.A, E: result.E, approach: "parametric", counting: "all" });
    expect(law.draws).toHaveLength(60);
    expect(law.residuals).toHaveLength(clean.length);
    expect(law.bits_per_byte_per_nat).toBeCloseTo(0.35, 6);
    const page = readFileSync(join(out, "report.html"), "utf8");
    for (const part of ["IsoFLOP curves", "Residuals over size", "Tokens per parameter", "extrapolated", "Predictions"])
      expect(page).toContain(part);
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe("other approaches", () => {
  it("isoflop gives one optimum per budget", async () => {
    const result = await fitTable(clean, { approach: "isoflop", bootstrap: 50 });
    expect(result.optimal.map(({ flops }) => flops)).toEqual(BUDGETS);
    for (const { flops, params, params_interval } of result.optimal) {
      // A parabola is not symmetric in the true law: a few percent.
      expect(Math.abs(params / trueOptimum(flops).params - 1)).toBeLessThan(0.06);
      expect(params_interval?.[0]).toBeLessThanOrEqual(params);
    }
    expect(result.exponents.a).toBeCloseTo(TRUE.beta / (TRUE.alpha + TRUE.beta), 2);
    expect(result).toMatchObject({ A: null, E: null, objective: null });
    expect(Object.keys(result.intervals ?? {})).toEqual(["a", "b"]);
  });

  it("envelope finds the size that is best at each budget", async () => {
    const flops = Array.from({ length: 25 }, (_, i) => 10 ** (17.5 + i / 4));
    const sizes = Array.from({ length: 16 }, (_, i) => 3e7 * 1.6 ** i);
    const rows = sizes.flatMap((params) =>
      flops.map((C) => ({ params, flops: C, tokens: C / 6 / params, loss: lossOf(params, C / 6 / params) })),
    );
    const result = await fitTable(rows, { approach: "envelope", bootstrap: 20 });
    expect(result.exponents.a).toBeCloseTo(TRUE.beta / (TRUE.alpha + TRUE.beta), 1);
    const { params, loss } = result.optimal.find((row) => Math.abs(row.flops / 1e21 - 1) < 1e-9) as never;
    expect(Math.abs(Math.log(params / trueOptimum(1e21).params))).toBeLessThan(0.25);
    const best = trueOptimum(1e21);
    expect(loss / lossOf(best.params, best.tokens)).toBeCloseTo(1, 2);
  });

  it("Kaplan's form gives back its constants", async () => {
    const law = { Nc: 6.4e13, Dc: 1.8e13, alpha_N: 0.076, alpha_D: 0.103 }; // of their section 4.1
    const rows = clean.map((row) => {
      const [N, D] = [Number(row.params), Number(row.tokens)];
      return { ...row, loss: ((law.Nc / N) ** (law.alpha_N / law.alpha_D) + law.Dc / D) ** law.alpha_D };
    });
    const result = await fitTable(rows, { approach: "kaplan", bootstrap: 20 });
    expect(result.kaplan?.alpha_N).toBeCloseTo(law.alpha_N, 4);
    expect(result.kaplan?.alpha_D).toBeCloseTo(law.alpha_D, 4);
    expect((result.kaplan?.Nc as number) / law.Nc).toBeCloseTo(1, 1);
    expect(result.exponents.a).toBeCloseTo(0.103 / (0.076 + 0.103), 3);
    // The optimum of the frontier beats its neighbours.
    const at = (N: number) => (law.Nc / N) ** (law.alpha_N / law.alpha_D) + (law.Dc * 6 * N) / 1e21;
    const { params } = result.optimal.find(({ flops }) => flops === 1e21) as { params: number };
    expect(at(params)).toBeLessThan(Math.min(at(params * 1.05), at(params / 1.05)));
  });
});

describe("what runs say beside", () => {
  it("the best learning rate and batch over compute", async () => {
    const rows = BUDGETS.flatMap((flops) => {
      const best = 0.3 * flops ** -0.12;
      const { params, tokens } = trueOptimum(flops);
      return [0.25, 0.5, 1, 2, 4].map((factor) => ({
        ...{ params, tokens, flops, learning_rate: best * factor, batch: 1024 },
        loss: lossOf(params, tokens) + 0.05 * Math.log(factor) ** 2,
      }));
    });
    const { learning_rate: rate, batch } = await fitTable([...rows, ...clean]);
    expect(rate?.exponent).toBeCloseTo(-0.12, 3);
    expect(rate?.coefficient).toBeCloseTo(0.3, 2);
    expect(batch).toBeNull();
  });

  it("how fast repeated data lose their value", async () => {
    const law = { R_D: 12, R_N: 4 };
    const unique = 1e8;
    const repeated = [1e7, 3e7, 1e8, 3e8].flatMap((params) =>
      [2, 3, 8, 20, 60].map((epochs) => {
        const tokens = unique * epochs;
        const loss = repeatedLoss(TRUE, law, { params, tokens, unique });
        return { params, tokens, flops: 6 * params * tokens, unique_tokens: unique, loss };
      }),
    );
    const fresh = clean.map((row) => ({ ...row, unique_tokens: 1e14 }));
    const result = await fitTable([...fresh, ...repeated.filter(({ tokens }) => tokens > 4.5 * unique)]);
    expect(result.repeated?.R_D).toBeCloseTo(12, 0);
    expect(result.repeated?.R_N).toBeCloseTo(4, 0);
    expect(result.repeated?.most_epochs).toBe(60);
    expect(result.alpha).toBeCloseTo(TRUE.alpha, 3);
    expect(result.warnings.join()).toContain("12 runs of more than 4 epochs are left out of the law");
  });

  it("accuracy from loss", async () => {
    const law = { floor: 0.25, top: 0.9, slope: 4, midpoint: 2.6 };
    const noise = normals(2, clean.length);
    const rows = clean.map((row, i) => ({ ...row, accuracy: accuracyAt(law, Number(row.loss)) + 0.002 * noise[i] }));
    const { downstream } = await fitTable(rows, { chance: 0.25 });
    expect(downstream).toMatchObject({
      slope: expect.closeTo(4, 0),
      midpoint: expect.closeTo(2.6, 1),
      top: expect.closeTo(0.9, 1),
    });
    expect(downstream?.error).toBeLessThan(0.004);
  });
});

describe("bad input", () => {
  const refused = (rows: readonly RunRow[] | string, options: Partial<FitOptions> = {}) =>
    fitTable(rows, options).then(
      () => "no error",
      (error: Error) => `${error.name}: ${error.message}`,
    );

  it("is refused with what to do", async () => {
    expect(await refused("Model Size,Training FLOP,loss\n1,2,3\n")).toMatch(
      /^QuernError: .* has no column params; its columns are Model Size, Training FLOP, loss; .*--columns "params=Model Size,flops=Training FLOP"$/,
    );
    expect(await refused("params,loss\n1,2\n")).toContain("no column tokens or flops");
    expect(await refused("params,flops,loss\n")).toContain("contains no runs");
    expect(await refused(clean, { columns: ["params=size"] })).toContain("no column size for params; its columns are");
    expect(await refused(clean, { columns: ["parms=params"] })).toContain("did you mean params?");
    expect(await refused(clean, { columns: ["params"] })).toContain("not NAME=COLUMN");
    expect(await refused(clean.slice(0, 5))).toContain("5 usable runs, but a fit needs at least 6; train more");
    expect(await refused(clean.map((row) => ({ ...row, params: 1e9, flops: undefined })))).toContain(
      "which says nothing about size; add runs",
    );
    expect(await refused(clean.map((row) => ({ ...row, tokens: 1e9, flops: undefined })))).toContain(
      "which says nothing about data; add runs",
    );
    expect(await refused(clean.map((row) => ({ ...row, loss: "NaN" })))).toContain(
      "no finished run with a finite loss",
    );
    expect(await refused(clean.map((row) => ({ ...row, tokens: 4.2 * Number(row.tokens) })))).toMatch(
      /4\.2 times flops; the tokens look like bytes: give tokens/,
    );
    expect(await refused(clean.map((row) => ({ ...row, params: Number(row.params) / 1e9 })))).toMatch(
      /flops are 1\.0e\+9 times 6 · params · tokens; one of the columns has another unit/,
    );
    const falling = isoFlopRuns(BUDGETS, SIZES).map((run) => {
      const best = 1e9 * (run.flops / 1e20) ** -0.1;
      return { params: run.params, flops: run.flops, loss: 2 + 0.1 * Math.log(run.params / best) ** 2 };
    });
    expect(await refused(rowsOf(falling), { approach: "isoflop" })).toMatch(
      /the best params grow with compute to the power -0\.1/,
    );
    expect(await refused([{ ...clean[0], loss: -1 }, ...clean])).toContain("a loss of -1 is not above 0");
    expect(await refused([{ ...clean[0], params: 0 }, ...clean])).toContain("params is 0, not a number above 0");
    const rising = clean.map((row) => ({
      ...row,
      loss: 2 + 0.01 * Math.log(Number(row.params)) + 1e4 / Number(row.tokens) ** 0.5,
    }));
    expect(await refused(rising)).toMatch(/the fitted alpha is -[\d.e-]+, but a loss must fall as params grow/);
    expect(await refused(clean.slice(0, 7), { approach: "isoflop" })).toContain("isoflop needs two such budgets");
    await expect(fitScalingLaw({ runs: join(root, "none.csv") })).rejects.toThrow(/there is no such file/);
    mkdirSync(join(root, "empty"));
    await expect(fitScalingLaw({ runs: join(root, "empty") })).rejects.toThrow(/neither runs.csv nor run folders/);
  });

  it("is warned of when the data do not determine the fit", async () => {
    const fixedRatio = [1e7, 3e7, 1e8, 3e8, 1e9, 3e9, 1e10].map((params) => ({
      ...{ params, tokens: 20 * params, flops: 120 * params * params, loss: lossOf(params, 20 * params) },
    }));
    expect((await fitTable(fixedRatio)).warnings.join()).toContain("A and B cannot be told apart");
    const twoSizes = isoFlopRuns(BUDGETS, SIZES).map((run, i) => {
      const params = i % 2 === 0 ? 1e8 : 1e9;
      return { params, tokens: run.tokens, loss: lossOf(params, run.tokens) };
    });
    expect((await fitTable(rowsOf(twoSizes))).warnings.join()).toContain("only 2 different sizes; add runs");
  });
});

describe("a table", () => {
  it("may have quoted cells, other line ends, spaces in its header, units and any order", async () => {
    const lines = clean.map(({ params, flops, loss }, i) => {
      const size = i % 3 === 0 ? `"${Math.round(Number(params)).toLocaleString("en-US")}"` : String(params);
      return `"run ""${i}"", first",${loss},${size},${Number(flops) / 1e12}T`;
    });
    const text = `\ufeffrun, loss ,"Model, size", C\r\n${lines.reverse().join("\r\n")}\r\n`;
    const columns = parseColumns(["params=Model, size", "flops=C"]);
    const table = await readRuns(tableFile(text), { columns });
    expect(table.runs).toHaveLength(clean.length);
    expect(table.derived).toBe("tokens");
    const first = table.runs.at(-1) as (typeof table.runs)[number];
    expect(first.run).toBe('run "0", first');
    expect(first.tokens / Number(clean[0].tokens)).toBeCloseTo(1, 6);
  });

  it("of thousands of runs is fitted from some of them first", async () => {
    const many = Array.from({ length: 100 }, (_, seed) => isoFlopRuns(BUDGETS, SIZES, { noise: 0.01, seed })).flat();
    const fit = await fitParametric(pointsOf(many as never, "params"), {
      ...{ threads: 1, starts: starts.filter((_, i) => i % 6 === 0) },
    });
    expect(fit.alpha).toBeCloseTo(TRUE.alpha, 2);
    expect(fit.beta).toBeCloseTo(TRUE.beta, 2);
    expect(fit.E).toBeCloseTo(TRUE.E, 1);
  });
});

describe("runs.csv", () => {
  it("is read from the folder of a sweep as it was written", async () => {
    const folder = join(root, "sweep");
    mkdirSync(folder);
    const rows = clean.slice(0, 8).map((row, i) => ({
      ...{ ...row, run: `a, "${i}"`, status: "finished", batch: 4096, learning_rate: 0.002, unique_tokens: 5e6 },
      "loss:web": 3,
    }));
    writeFileSync(join(folder, "runs.csv"), formatRuns(rows));
    const { runs, derived } = await readRuns(folder);
    expect(runs[3]).toMatchObject({ run: 'a, "3"', params: clean[3].params, batch: 4096, learningRate: 0.002 });
    expect([runs.length, derived]).toEqual([8, null]);
  });

  it("may be missing: run folders are read themselves", async () => {
    const folder = join(root, "folders");
    for (const [name, layers] of [
      ["a", 1],
      ["b", 2],
    ] as const) {
      mkdirSync(join(folder, name), { recursive: true });
      const plan = {
        ...{ parameters: 1000 * layers, steps: 10, cuts: [], batch: 2, accumulate: 1, sequence: 8 },
        ...{ training_flops_per_token: 6000 * layers, training_tokens: 77, schedule: { learningRate: 0.01 } },
        model: { vocabSize: 30, width: 4 },
      };
      const result = name === "a" ? { bits_per_byte: 2.5 } : undefined;
      writeFileSync(join(folder, name, "run.json"), JSON.stringify({ plan, result }));
      writeFileSync(join(folder, name, "metrics.jsonl"), '{"step":10,"validation_loss":3.5}\n{"step":1');
    }
    const { runs, excluded } = await readRuns(folder);
    expect(runs).toEqual([
      {
        ...{ run: "a", params: 1000, paramsWithoutEmbeddings: 880, tokens: 160, uniqueTokens: 77, flops: 960_000 },
        ...{ loss: 3.5, bitsPerByte: 2.5, learningRate: 0.01, batch: 16, accuracy: null },
      },
    ]);
    expect(excluded).toEqual([{ run: "b", reason: "not finished: resume it with quern pretrain --resume" }]);
  });
});
