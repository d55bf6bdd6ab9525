import { describe, expect, it } from "vitest";
import { compile } from "../../../src/backends/index.js";
import { parametersOf } from "../../../src/model/index.js";
import { adamwScalars, momentNames } from "../../../src/train/optimizer/adamw.js";
import { trainingEntries } from "../../../src/train/training-program.js";
import {
  batchOf,
  comparable,
  FIXTURES,
  loadFixture,
  relativeDifference,
  startFactor,
} from "../../model/model-fixtures.js";
import { pairsOf, SLOW_BUILD, TARGETS } from "../../model/targets.js";

describe.each(pairsOf(FIXTURES, 4, 2))("$fixture on $on", { timeout: SLOW_BUILD }, ({ fixture: name, target }) => {
  it("ends twenty clipped AdamW steps where PyTorch does", async () => {
    const fixture = await loadFixture(name);
    const { batch, sequence } = batchOf(fixture, 0);
    const entries = trainingEntries(fixture.config, { batch, sequence, accumulate: 1 }, fixture.optimizer);
    const program = await compile(entries, target.options);
    const parameters = parametersOf(fixture.config).map((parameter) => parameter.name);
    for (const key of parameters) {
      program.write(
        key,
        fixture.floats(`parameter.${key}`).map((value) => value * startFactor(key)),
      );
    }
    for (let step = 0; step < 20; step++) {
      const { ids, targets } = batchOf(fixture, step);
      await program.run("firstGradient", { ids, targets });
      expect((await program.read("loss"))[0]).toBeCloseTo(fixture.floats("losses")[step], 3);
      await program.run("update", adamwScalars(step + 1, fixture.floats("learning_rates")[step], fixture.optimizer));
      const norm = fixture.floats("gradient_norms")[step];
      expect(norm).toBeGreaterThan(fixture.optimizer.clip);
      expect(Math.abs((await program.read("gradient_norm"))[0] / norm - 1)).toBeLessThan(1e-4);
    }
    for (const key of parameters) {
      const [moment1, moment2] = momentNames(key);
      for (const [own, theirs] of [
        [key, `after.${key}`],
        [moment1, moment1],
        [moment2, moment2],
      ]) {
        const [got, want] = [await program.read(own), fixture.floats(theirs)];
        expect(relativeDifference(comparable(key, got), comparable(key, want)), own).toBeLessThan(1e-4);
      }
    }
    program.dispose();
  });
});

describe.each(TARGETS)("$name", { timeout: SLOW_BUILD }, ({ options }) => {
  it("averages the gradients of several batches in one step", async () => {
    const fixture = await loadFixture("llama-grouped-tied");
    const { batch, sequence } = batchOf(fixture, 0);
    const shape = { batch, sequence, accumulate: 2 };
    const program = await compile(trainingEntries(fixture.config, shape, fixture.optimizer), options);
    for (const { name } of parametersOf(fixture.config)) program.write(name, fixture.floats(`parameter.${name}`));
    const key = "model.layers.0.mlp.down_proj.weight";
    const gradientAfter = async (entry: string, step: number) => {
      const { ids, targets } = batchOf(fixture, step);
      await program.run(entry, { ids, targets });
      return await program.read(`gradient.${key}`);
    };
    const other = await gradientAfter("firstGradient", 1);
    const first = await gradientAfter("firstGradient", 0);
    const whole = fixture.floats(`gradient.${key}`);
    expect(
      relativeDifference(
        first,
        whole.map((value) => value / 2),
      ),
    ).toBeLessThan(1e-4);
    const both = await gradientAfter("nextGradient", 1);
    expect(
      relativeDifference(
        both,
        first.map((value, i) => value + other[i]),
      ),
    ).toBeLessThan(1e-5);
    program.dispose();
  });
});
