/** Adapters beside their base: the logits of the merged model, without a second copy of the base's weights. */
import { describe, expect, it } from "vitest";
import { createDecoder, type Decoder, modelPrograms, openAdapterPrograms } from "../../src/infer/index.js";
import { openModel, parametersOf, type StoredModel } from "../../src/model/index.js";
import { sizeOf } from "../../src/tensor/index.js";
import { fixture, POLICY } from "../align/fixtures.js";

async function logitsOf(decoder: Decoder): Promise<Float32Array> {
  let found = new Float32Array(0);
  await decoder.generate(
    { prompt: [1, 5, 9, 2, 7, 4, 4, 8, 3, 6, 1, 2], tokens: 0, seed: 0, temperature: 0, topK: 0, endOfText: [] },
    {
      onLogits(logits) {
        found = logits.slice();
      },
    },
  );
  return found;
}

async function mergedLogits(model: StoredModel): Promise<Float32Array> {
  const decoder = createDecoder(model.config, model.readParameter, { slots: 1 });
  const found = await logitsOf(decoder);
  decoder.dispose();
  await model.close();
  return found;
}

const difference = (a: Float32Array, b: Float32Array) =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

describe("adapters over one base", () => {
  it.each(["the base", "an adapter"])(
    "have the merged models' logits and share its weights, %s first",
    async (first) => {
      const base = await openModel(POLICY);
      const reads: string[] = [];
      const read = (name: string) => {
        reads.push(name);
        return base.readParameter(name);
      };
      const programs = modelPrograms(base.config, read);
      const opened = [];
      for (const name of ["plain", "rslora"]) {
        const adapter = await openAdapterPrograms(fixture(`lora/${name}`), base.config, programs);
        const decoder = createDecoder(base.config, read, { programs: adapter.programs, slots: 2 });
        opened.push({ name, adapter, decoder });
      }
      const decoder = createDecoder(base.config, read, { programs, slots: 2 });
      const unadapted = first === "the base" ? await logitsOf(decoder) : null;
      for (const { name, decoder } of opened) {
        const merged = await mergedLogits(await openModel(fixture(`lora/${name}`)));
        const found = await logitsOf(decoder);
        expect(difference(found, merged)).toBeLessThan(1e-4);
        if (unadapted) expect(difference(found, unadapted)).toBeGreaterThan(1e-3);
        expect(await logitsOf(decoder)).toEqual(found);
      }
      const again = await logitsOf(decoder);
      if (unadapted) expect(again).toEqual(unadapted);
      expect(again).toEqual(await mergedLogits(await openModel(POLICY)));
      expect([...reads].sort()).toEqual(
        parametersOf(base.config)
          .map(({ name }) => name)
          .sort(),
      );
      const bytes = parametersOf(base.config).reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
      expect(opened[1].decoder.plan?.sharedBytes).toBe(bytes);
      for (const { adapter, decoder } of opened) {
        decoder.dispose();
        await adapter.close();
      }
      decoder.dispose();
      await base.close();
    },
  );

  it("refuse an adapter of another model", async () => {
    const base = await openModel(POLICY);
    const config = { ...base.config, layers: base.config.layers + 1 };
    const programs = modelPrograms(config, base.readParameter);
    await expect(openAdapterPrograms(fixture("lora/plain"), config, programs)).rejects.toThrow("another model");
    await base.close();
  });
});
