import { describe, expect, it } from "vitest";
import { compile } from "../../src/backends/index.js";
import { forward, keyValueCache, logits, modelVariables, parametersOf, tokenLosses } from "../../src/model/index.js";
import { gradients, input, mean, reshape, scalar } from "../../src/tensor/index.js";
import { batchOf, deviationOf, FIXTURES, loadFixture, relativeDifference } from "./llama-fixtures.js";
import { TARGETS } from "./targets.js";

describe.each(TARGETS)("$name", ({ options, tolerance }) => {
  describe.each(FIXTURES)("%s", (name) => {
    it("has the logits, loss and gradients of transformers", async () => {
      const fixture = await loadFixture(name);
      const { config } = fixture;
      const { batch, sequence, ids, targets } = batchOf(fixture, 0);
      const weights = modelVariables(config);
      const idsIn = input("ids", [batch, sequence], "i32");
      const targetsIn = input("targets", [batch, sequence], "i32");
      const hidden = reshape(forward(config, weights, idsIn).hidden, [batch * sequence, config.width]);
      const loss = mean(tokenLosses(config, weights, idsIn, targetsIn));
      const names = [...weights.keys()];
      const found = gradients(loss, [...weights.values()]);
      const program = await compile(
        {
          forward: { outputs: { logits: logits(config, weights, hidden) } },
          backward: { outputs: { loss, ...Object.fromEntries(names.map((key, i) => [`gradient.${key}`, found[i]])) } },
        },
        options,
      );
      for (const key of names) program.write(key, fixture.floats(`parameter.${key}`));

      await program.run("forward", { ids });
      const all = program.read("logits");
      const rows = fixture.integers("logit_rows");
      const expected = fixture.floats("logits");
      const deviation = deviationOf(expected);
      expect(deviation).toBeGreaterThan(1);
      let worst = 0;
      rows.forEach((row, i) => {
        for (let v = 0; v < config.vocabSize; v++) {
          const difference = all[row * config.vocabSize + v] - expected[i * config.vocabSize + v];
          worst = Math.max(worst, Math.abs(difference) / deviation);
        }
      });
      expect(worst).toBeLessThan(tolerance);

      await program.run("backward", { ids, targets });
      expect(program.read("loss")[0]).toBeCloseTo(fixture.floats("loss")[0], 4);
      for (const key of names) {
        const gradient = program.read(`gradient.${key}`);
        expect(relativeDifference(gradient, fixture.floats(`gradient.${key}`)), key).toBeLessThan(tolerance);
      }
      program.dispose();
    });

    it("gives the same logits in chunks against a cache, whatever lies in the cache behind them", async () => {
      const fixture = await loadFixture(name);
      const { config } = fixture;
      const { batch, sequence, ids } = batchOf(fixture, 0);
      const weights = modelVariables(config);
      const capacity = sequence + 5;
      const cache = keyValueCache(config, batch, capacity);
      const position = scalar("position", "i32");
      const chunk = (T: number) => {
        const chunkIds = input(`ids${T}`, [batch, T], "i32");
        const { hidden, assign } = forward(config, weights, chunkIds, { cache, position });
        return {
          outputs: { [`logits${T}`]: logits(config, weights, reshape(hidden, [batch * T, config.width])) },
          assign,
        };
      };
      const program = await compile({ prefill: chunk(5), decode: chunk(1) }, options);
      for (const { name: key } of parametersOf(config)) program.write(key, fixture.floats(`parameter.${key}`));
      for (const [layer, { keys }] of cache.layers.entries()) {
        const rubbish = new Float32Array(keys.shape.reduce((a, b) => a * b, 1)).fill(1e6);
        program.write(`cache.${layer}.keys`, rubbish);
        program.write(`cache.${layer}.values`, rubbish);
      }
      const expected = fixture.floats("logits");
      const deviation = deviationOf(expected);
      const wanted = new Map([...fixture.integers("logit_rows")].map((row, i) => [row, i]));
      let worst = 0;
      let compared = 0;
      for (let at = 0; at < sequence; ) {
        const T = at + 5 <= 20 ? 5 : 1;
        const rows = new Int32Array(batch * T);
        for (let b = 0; b < batch; b++) rows.set(ids.subarray(b * sequence + at, b * sequence + at + T), b * T);
        await program.run(T === 5 ? "prefill" : "decode", { [`ids${T}`]: rows, position: at });
        const got = program.read(`logits${T}`);
        for (let row = 0; row < batch * T; row++) {
          const i = wanted.get(Math.floor(row / T) * sequence + at + (row % T));
          if (i === undefined) continue;
          compared += 1;
          for (let v = 0; v < config.vocabSize; v++) {
            const difference = got[row * config.vocabSize + v] - expected[i * config.vocabSize + v];
            worst = Math.max(worst, Math.abs(difference) / deviation);
          }
        }
        at += T;
      }
      expect(compared).toBe(wanted.size);
      expect(worst).toBeLessThan(tolerance);
      program.dispose();
    });
  });
});
