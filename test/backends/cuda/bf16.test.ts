/** @file Operations in bf16 on the `cuda` backend, on tensor cores, against `reference` in bf16. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { compile, type Program } from "../../../src/backends/index.js";
import { cases } from "../operations.cases.js";
import { distance } from "./compare.js";
import { describeCuda } from "./device.js";

const differentiated = cases.filter(({ gradients }) => Object.keys(gradients).length > 0);

describeCuda("cuda, operations in bf16", () => {
  const entries = Object.fromEntries(differentiated.map((c) => [c.name, c.entry]));
  let program: Program;
  let reference: Program;
  beforeAll(async () => {
    program = await compile(entries, { backend: "cuda", dtype: "bf16" });
    reference = await compile(entries, { backend: "reference", dtype: "bf16" });
  }, 1_200_000);
  afterAll(() => program?.dispose());

  it("match reference in bf16", { timeout: 1_200_000 }, async () => {
    const wrong: string[] = [];
    for (const c of differentiated) {
      for (const each of [program, reference]) {
        for (const [name, data] of Object.entries(c.values)) each.write(name, data);
        await each.run(c.name);
      }
      for (const output of Object.keys(c.entry.outputs)) {
        if (output.endsWith("/loss")) continue;
        const error = distance(await program.read(output), await reference.read(output));
        // A unit of bf16 is 2⁻⁸. Weights are rounded before they are normalised, slopes of logits with their factor, and what only
        // products read is stored in bf16; `reference` stores everything exactly.
        if (!(error < 2 ** -6)) wrong.push(`${output}: ${error}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
