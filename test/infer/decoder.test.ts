import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDecoder, type Decoder, type GenerateRequest } from "../../src/infer/index.js";
import { defineModel, initialValues, parametersOf } from "../../src/model/index.js";
import { loadFixture, type ModelFixture } from "../model/model-fixtures.js";
import { SLOW_BUILD, TARGETS } from "../model/targets.js";

const greedy = { temperature: 0, topK: 0, seed: 0, endOfText: [] };

async function take(decoder: Decoder | undefined, prompt: readonly number[], options: Omit<GenerateRequest, "prompt">) {
  if (decoder === undefined) throw new Error("there is no decoder");
  const [{ tokens }] = await decoder.generate({ ...options, prompt });
  return tokens.map(({ id }) => id);
}

describe.each(TARGETS.slice(0, 2))("$name", { timeout: SLOW_BUILD }, ({ options }) => {
  let fixture: ModelFixture;
  let cached: Decoder | undefined;
  let whole: Decoder | undefined;
  beforeAll(async () => {
    fixture = await loadFixture("llama-grouped-tied");
    const config = { ...fixture.config, sequence: 40 };
    const read = (name: string) => fixture.floats(`parameter.${name}`);
    cached = createDecoder(config, read, options);
    whole = createDecoder(config, read, { ...options, cache: false });
  }, SLOW_BUILD);
  afterAll(() => {
    cached?.dispose();
    whole?.dispose();
  });

  it.each([1, 2, 8, 9, 33, 39, 40, 50])(
    "generates the same text with and without the cache, prompt of %i tokens",
    async (length) => {
      const prompt = Array.from({ length }, (_, i) => (i * 31 + 7) % 83);
      // Long enough to exceed the sequence, where the older half is dropped.
      const text = await take(cached, prompt, { ...greedy, tokens: 30 });
      expect(text).toHaveLength(30);
      expect(await take(whole, prompt, { ...greedy, tokens: 30 })).toEqual(text);
    },
  );

  it("samples the same text with and without the cache, under every filter", async () => {
    for (const sampling of [{ topK: 0 }, { topK: 20, topP: 0.8, minP: 0.02, repetitionPenalty: 1.3 }]) {
      const options = { ...greedy, ...sampling, temperature: 1.1, seed: 7, tokens: 30 };
      const text = await take(cached, [3, 1, 4], options);
      expect(text).toHaveLength(30);
      expect(await take(whole, [3, 1, 4], options)).toEqual(text);
    }
  });

  it("samples the same text for the same seed, different text for another", async () => {
    const draw = (seed: number) => take(cached, [1, 2, 3], { ...greedy, temperature: 1, seed, tokens: 12 });
    expect(await draw(1)).toEqual(await draw(1));
    expect(await draw(1)).not.toEqual(await draw(2));
  });

  it("ends before the end-of-text token", async () => {
    const text = await take(cached, [5], { ...greedy, tokens: 10 });
    const stopped = await take(cached, [5], { ...greedy, tokens: 10, endOfText: [text[3]] });
    expect(stopped).toEqual(text.slice(0, text.indexOf(text[3])));
  });

  it("stops when the signal aborts", async () => {
    const abort = new AbortController();
    const request = { ...greedy, prompt: [1], tokens: 1000 };
    const onToken = () => {
      abort.abort();
      return false;
    };
    await expect(cached?.generate(request, { signal: abort.signal, onToken })).rejects.toMatchObject({
      name: "AbortError",
    });
  });
});

it("takes a long prompt with a model of one layer", async () => {
  const config = defineModel({ layers: 1, width: 16, heads: 2, hidden: 16, vocabSize: 30, sequence: 128 });
  const values = new Map(parametersOf(config).map((each) => [each.name, initialValues(each, 3)]));
  const decoder = createDecoder(config, (name) => values.get(name) as Float32Array, { backend: "reference" });
  const prompt = Array.from({ length: 100 }, (_, i) => (i * 7) % 30);
  expect(await take(decoder, prompt, { ...greedy, tokens: 2 })).toHaveLength(2);
  decoder.dispose();
});
