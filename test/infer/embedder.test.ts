import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile } from "../../src/backends/index.js";
import { createDecoder, createEmbedder, type Embedder, modelPrograms } from "../../src/infer/index.js";
import { forward, modelVariables, parametersOf } from "../../src/model/index.js";
import { input } from "../../src/tensor/index.js";
import { loadFixture, type ModelFixture } from "../model/model-fixtures.js";
import { SLOW_BUILD, TARGETS } from "../model/targets.js";

const textOf = (length: number, salt: number) => Array.from({ length }, (_, i) => (i * 31 + 7 + salt * i * i) % 83);

describe.each(TARGETS.slice(0, 2))("$name", { timeout: SLOW_BUILD }, ({ options }) => {
  let fixture: ModelFixture;
  let embedder: Embedder;
  const read = (name: string) => fixture.floats(`parameter.${name}`);
  beforeAll(async () => {
    fixture = await loadFixture("llama-grouped-tied");
    embedder = createEmbedder({ ...fixture.config, sequence: 80 }, read, options);
  });
  afterAll(() => embedder.dispose());

  /** The mean of the final hidden states, from a program of exactly the text's length. */
  async function expected(ids: readonly number[]): Promise<number[]> {
    const { config } = fixture;
    const weights = modelVariables(config);
    const { hidden } = forward(config, weights, input("ids", [1, ids.length], "i32"));
    const program = await compile({ run: { outputs: { hidden } } }, options);
    for (const { name } of parametersOf(config)) if (name !== "lm_head.weight") program.write(name, read(name));
    await program.run("run", { ids: Int32Array.from(ids) });
    const values = await program.read("hidden");
    program.dispose();
    const C = config.width;
    return Array.from({ length: C }, (_, c) => ids.reduce((sum, _, t) => sum + values[t * C + c], 0) / ids.length);
  }

  it("returns the mean of the final hidden states, alone and beside others", async () => {
    const texts = [3, 32, 40, 5, 1, 80].map((length, i) => textOf(length, i));
    const together = await Promise.all(texts.map((ids) => embedder.embed(ids)));
    for (const [i, ids] of texts.entries()) {
      const alone = await embedder.embed(ids);
      const wanted = await expected(ids);
      expect(together[i]).toHaveLength(fixture.config.width);
      for (const [c, value] of wanted.entries()) {
        expect(together[i][c]).toBeCloseTo(value, 4);
        expect(alone[c]).toBeCloseTo(value, 4);
      }
    }
  });

  it("refuses texts without tokens or longer than the context, and rejects when aborted", async () => {
    await expect(embedder.embed([])).rejects.toThrow("no tokens");
    await expect(embedder.embed(textOf(81, 1))).rejects.toThrow("81 tokens, but the model's context length is 80");
    const abort = new AbortController();
    const waiting = embedder.embed([1, 2], { signal: abort.signal });
    abort.abort(new Error("gone"));
    await expect(waiting).rejects.toThrow("gone");
  });

  it("shares the weights of a decoder, whichever opens first", async () => {
    const config = { ...fixture.config, sequence: 80 };
    const reads: string[] = [];
    const counted = (name: string) => {
      reads.push(name);
      return read(name);
    };
    for (const isFirst of [true, false]) {
      reads.length = 0;
      const programs = modelPrograms(config, counted, options);
      const decoder = createDecoder(config, counted, { programs, slots: 1 });
      const other = createEmbedder(config, counted, { programs });
      const decode = () =>
        decoder.generate({ prompt: [1], tokens: 1, seed: 0, temperature: 0, topK: 0, endOfText: [] });
      if (isFirst) await other.embed([1, 2, 3]);
      await decode();
      await other.embed([1, 2, 3]);
      expect([...reads].sort()).toEqual(
        parametersOf(config)
          .map(({ name }) => name)
          .sort(),
      );
      decoder.dispose();
      other.dispose();
    }
  });
});
