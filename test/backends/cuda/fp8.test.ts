/** @file Products in e4m3 on the `cuda` backend against `reference`, and the conversion against ml_dtypes' table. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compile, type Program } from "../../../src/backends/index.js";
import { defineModel, initialValues, parametersOf } from "../../../src/model/index.js";
import type { Entries } from "../../../src/tensor/index.js";
import * as q from "../../../src/tensor/index.js";
import { ADAMW_DEFAULTS, compileTrainer, languageModelTrainer } from "../../../src/train/index.js";
import { step } from "../../../src/train/step.js";
import { randomNumbers } from "../stored-weights.js";
import { distance } from "./compare.js";
import { describeCuda } from "./device.js";

const table = JSON.parse(readFileSync(new URL("../../oracle/fixtures/e4m3.json", import.meta.url), "utf8"));
const floats = new Float32Array(Uint32Array.from(table.floats).buffer);

const [M, N, K] = [70, 50, 77];
/** Layouts, an epilogue, a product that is split along K, and the numbers of the table multiplied by a unit matrix. */
function entriesOf(): Entries {
  const products = [
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ].map(([transposeA, transposeB]) => {
    const name = `${transposeA ? "T" : "N"}${transposeB ? "T" : "N"}`;
    const a = q.variable(`a${name}`, transposeA ? [K, M] : [M, K]);
    const b = q.variable(`b${name}`, transposeB ? [N, K] : [K, N]);
    return [name, { outputs: { [name]: q.matmul(a, b, { transposeA, transposeB }) } }] as const;
  });
  const layer = q.gelu(q.linear(q.variable("x", [M, K]), q.variable("w", [N, K]), q.variable("b", [N])));
  const long = q.matmul(q.variable("long a", [1500, 20]), q.variable("long b", [1500, 30]), { transposeA: true });
  const unit = q.linear(q.variable("table", [floats.length / 14, 14]), q.variable("unit", [14, 14]));
  return {
    ...Object.fromEntries(products),
    layer: { outputs: { layer } },
    long: { outputs: { long } },
    unit: { outputs: { rounded: unit } },
  };
}

describeCuda("cuda, products in fp8", () => {
  let program: Program;
  let reference: Program;
  const entries = entriesOf();
  beforeAll(async () => {
    program = await compile(entries, { backend: "cuda", dtype: "fp8" });
    reference = await compile(entries, { backend: "reference", dtype: "fp8" });
  }, 1_200_000);
  afterAll(() => program?.dispose());

  const set = (name: string, data: ArrayLike<number>) => {
    for (const each of [program, reference]) each.write(name, data);
  };
  const compare = async (name: string) => {
    for (const each of [program, reference]) await each.run(name);
    const [output] = Object.keys(entries[name].outputs);
    return distance(await program.read(output), await reference.read(output));
  };

  it("match reference in every layout, for large, small and zero operands", async () => {
    const random = randomNumbers(4);
    const sizes = [1, 3e4, 1e-5, 0, 1];
    let i = 0;
    for (const node of q.nodesOf(...Object.values(entries))) {
      if (!q.isOp(node, "variable") || ["table", "unit"].includes(node.attributes.name)) continue;
      const size = sizes[i++ % sizes.length];
      set(
        node.attributes.name,
        Float32Array.from({ length: q.sizeOf(node.outputs[0].shape) }, () => size * (random() - 0.5)),
      );
    }
    for (const name of Object.keys(entries)) if (name !== "unit") expect(await compare(name), name).toBeLessThan(1e-5);
  });

  it("round as ml_dtypes' float8_e4m3fn does", async () => {
    // Larger ones become 448 here, and NaN there; 448 in the table makes the scale 1.
    const inRange = floats.map((x) => Math.max(-448, Math.min(448, x)));
    set("table", inRange);
    set(
      "unit",
      Float32Array.from({ length: 196 }, (_, i) => (i % 15 === 0 ? 1 : 0)),
    );
    await program.run("unit");
    const expected = Array.from(inRange, (x, i) => (Math.abs(x) === 448 ? x : table.values[table.bytes[i]]));
    expect(Array.from(await program.read("rounded"), (x) => x + 0)).toEqual(expected.map((x) => x + 0));
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])("an operand with %f makes NaN, not a large number", async (wrong) => {
    set(
      "aNN",
      Float32Array.from({ length: M * K }, (_, i) => (i === 5 ? wrong : 1)),
    );
    await program.run("NN");
    expect((await program.read("NN")).every(Number.isNaN)).toBe(true);
  });

  it("train a model as reference does", { timeout: 1_200_000 }, async () => {
    const config = defineModel({ layers: 1, width: 32, heads: 2, hidden: 64, vocabSize: 50, sequence: 16 });
    const losses = await Promise.all(
      (["cuda", "reference"] as const).map(async (backend) => {
        const trainer = languageModelTrainer(config, { batch: 2, sequence: 16 });
        const settings = { optimizer: ADAMW_DEFAULTS, accumulate: 1, backend, dtype: "fp8" } as const;
        const training = await compileTrainer(trainer, settings);
        for (const each of parametersOf(config)) training.program.write(each.name, initialValues(each, 3));
        const schedule = {
          kind: "constant",
          learningRate: 3e-3,
          warmupSteps: 0,
          decaySteps: 0,
          finalShare: 1,
        } as const;
        const found: number[] = [];
        for (let index = 0; index < 10; index++) {
          const ids = Int32Array.from({ length: 32 }, (_, i) => (i * i + 3 * index) % 50);
          const targets = ids.map((id) => (id * 7 + 1) % 50);
          const { loss } = await step(training, [{ ids, targets }], { step: index, steps: 10, schedule });
          found.push(loss as number);
        }
        training.program.dispose();
        return found;
      }),
    );
    const [onCuda, exact] = losses;
    expect(exact[9]).toBeLessThan(exact[0] - 0.3);
    for (const [i, loss] of onCuda.entries()) expect(Math.abs(loss - exact[i]), `step ${i}`).toBeLessThan(5e-3);
  });
});
