import { describe, expect, it } from "vitest";
import { compile } from "../../../src/backends/index.js";
import { modelVariables, parametersOf, tokenLosses } from "../../../src/model/index.js";
import { gradients, input, mean } from "../../../src/tensor/index.js";
import { type MuonOptions, muon, muonScalars, muonStateNames } from "../../../src/train/optimizer/muon.js";
import {
  batchOf,
  comparable,
  loadFixture,
  MUON_FIXTURES,
  relativeDifference,
  startFactor,
} from "../../model/model-fixtures.js";
import { pairsOf, SLOW_BUILD } from "../../model/targets.js";

const PAIRS = pairsOf(MUON_FIXTURES, 2, 0);
describe.each(PAIRS)("$fixture on $on", { timeout: SLOW_BUILD }, ({ fixture: name, target }) => {
  it("matches PyTorch after twenty clipped steps of Muon and AdamW", async () => {
    const fixture = await loadFixture(name);
    const options = fixture.muon as MuonOptions;
    const { batch, sequence } = batchOf(fixture, 0);
    const parameters = parametersOf(fixture.config);
    const weights = modelVariables(fixture.config);
    const [ids, targets] = [input("ids", [batch, sequence], "i32"), input("targets", [batch, sequence], "i32")];
    const loss = mean(tokenLosses(fixture.config, weights, ids, targets));
    const found = gradients(loss, [...weights.values()]);
    const steps = [...weights].map(([key, variable], i) => {
      return { ...parameters[i], name: key, variable, gradient: found[i] };
    });
    const { assign, gradientNorm } = muon(steps, options);
    const program = await compile({ step: { outputs: { loss, norm: gradientNorm }, assign } }, target.options);
    for (const key of weights.keys()) {
      program.write(
        key,
        fixture.floats(`parameter.${key}`).map((value) => value * startFactor(key)),
      );
    }
    for (let step = 0; step < 20; step++) {
      const { ids, targets } = batchOf(fixture, step);
      const scalars = muonScalars(step + 1, fixture.floats("learning_rates")[step], options);
      await program.run("step", { ids, targets, ...scalars });
      expect((await program.read("loss"))[0]).toBeCloseTo(fixture.floats("muon.losses")[step], 3);
      const norm = fixture.floats("muon.gradient_norms")[step];
      expect(norm).toBeGreaterThan(options.adamw.clip);
      expect(Math.abs((await program.read("norm"))[0] / norm - 1)).toBeLessThan(1e-4);
    }
    for (const parameter of parameters) {
      const key = parameter.name;
      const states = muonStateNames(key, parameter).map((state) => [state, `muon.${state}`]);
      for (const [own, theirs] of [[key, `muon.after.${key}`], ...states]) {
        const [got, want] = [await program.read(own), fixture.floats(theirs)];
        expect(relativeDifference(comparable(key, got), comparable(key, want)), own).toBeLessThan(1e-4);
      }
    }
    program.dispose();
  });
});
