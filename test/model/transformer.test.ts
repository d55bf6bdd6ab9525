import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compile, type Program } from "../../src/backends/index.js";
import { forward, keyValueCache, logits, modelVariables, tokenLosses } from "../../src/model/index.js";
import { gradients, input, mean, reshape, scalar } from "../../src/tensor/index.js";
import {
  batchOf,
  comparable,
  deviationOf,
  FIXTURES,
  loadFixture,
  type ModelFixture,
  relativeDifference,
} from "./model-fixtures.js";
import { pairsOf, SLOW_BUILD } from "./targets.js";

/** Tokens per chunk with the cache. */
const CHUNK = 5;

/** All tested entries of a model in one program, because building programs is slow. */
function entriesOf({ config }: ModelFixture, batch: number, sequence: number) {
  const weights = modelVariables(config);
  const names = [...weights.keys()];
  const ids = input("ids", [batch, sequence], "i32");
  const targets = input("targets", [batch, sequence], "i32");
  const rowsOf = (T: number) => [batch * T, config.width];
  const loss = mean(tokenLosses(config, weights, ids, targets));
  const found = gradients(loss, [...weights.values()]);

  const cache = keyValueCache(config, batch, sequence + 5);
  const position = scalar("position", "i32");
  const chunk = (T: number) => {
    const { hidden, assign } = forward(config, weights, input(`ids${T}`, [batch, T], "i32"), { cache, position });
    return { outputs: { [`logits${T}`]: logits(config, weights, reshape(hidden, rowsOf(T))) }, assign };
  };
  const perRow = (name: string) => input(name, [batch], "i32");
  const ragged = forward(config, weights, input("idsRagged", [batch, CHUNK], "i32"), {
    cache,
    position: perRow("positions"),
    lengths: perRow("lengths"),
    rows: perRow("rows"),
  });
  const hidden = reshape(forward(config, weights, ids).hidden, rowsOf(sequence));
  return {
    names,
    cache,
    entries: {
      forward: { outputs: { logits: logits(config, weights, hidden) } },
      backward: { outputs: { loss, ...Object.fromEntries(names.map((key, i) => [`gradient.${key}`, found[i]])) } },
      prefill: chunk(CHUNK),
      decode: chunk(1),
      ragged: {
        outputs: { logitsRagged: logits(config, weights, reshape(ragged.hidden, rowsOf(CHUNK))) },
        assign: ragged.assign,
      },
    },
  };
}

const PAIRS = pairsOf(FIXTURES, 4, 2);
describe.each(PAIRS)(
  "$fixture on $on",
  { timeout: SLOW_BUILD },
  ({ fixture: name, target: { options, tolerance } }) => {
    let fixture: ModelFixture;
    let program: Program;
    let names: readonly string[];
    let batch: ReturnType<typeof batchOf>;
    beforeAll(async () => {
      fixture = await loadFixture(name);
      batch = batchOf(fixture, 0);
      const traced = entriesOf(fixture, batch.batch, batch.sequence);
      names = traced.names;
      program = await compile(traced.entries, options);
      for (const key of names) program.write(key, fixture.floats(`parameter.${key}`));
      // Values in the cache after the text must have no effect.
      for (const [layer, { keys }] of traced.cache.layers.entries()) {
        const garbage = new Float32Array(keys.shape.reduce((a, b) => a * b, 1)).fill(1e6);
        program.write(`cache.${layer}.keys`, garbage);
        program.write(`cache.${layer}.values`, garbage);
      }
    }, SLOW_BUILD);
    afterAll(() => program?.dispose());

    /** The largest difference of a row of logits from the reference, in its standard deviations; null without such a row. */
    const differenceAt = (row: number, got: Float32Array): number | null => {
      const index = fixture.integers("logit_rows").indexOf(row);
      if (index < 0) return null;
      const { vocabSize } = fixture.config;
      const expected = fixture.floats("logits").subarray(index * vocabSize, (index + 1) * vocabSize);
      const worst = expected.reduce((most, value, v) => Math.max(most, Math.abs(got[v] - value)), 0);
      return worst / deviationOf(fixture.floats("logits"));
    };
    /** Compares (rows, V) logits; returns how many rows the reference has. */
    const compareRows = (rows: readonly number[], got: Float32Array): number => {
      const { vocabSize } = fixture.config;
      const differences = rows.map((row, i) => differenceAt(row, got.subarray(i * vocabSize, (i + 1) * vocabSize)));
      const known = differences.filter((difference) => difference !== null);
      for (const difference of known) expect(difference).toBeLessThan(tolerance);
      return known.length;
    };

    it("matches the logits of transformers", async () => {
      expect(deviationOf(fixture.floats("logits"))).toBeGreaterThan(1);
      await program.run("forward", { ids: batch.ids });
      const rows = Array.from(batch.ids.keys());
      expect(compareRows(rows, await program.read("logits"))).toBe(fixture.integers("logit_rows").length);
    });

    it("matches its loss and gradients", async () => {
      await program.run("backward", { ids: batch.ids, targets: batch.targets });
      expect((await program.read("loss"))[0]).toBeCloseTo(fixture.floats("loss")[0], 4);
      for (const key of names) {
        const [got, want] = [await program.read(`gradient.${key}`), fixture.floats(`gradient.${key}`)];
        const difference = relativeDifference(comparable(key, got), comparable(key, want));
        expect(difference, key).toBeLessThan(tolerance);
      }
    });

    it("has the same logits in chunks with a cache", async () => {
      const { batch: B, sequence, ids } = batch;
      let compared = 0;
      for (let at = 0; at < sequence; ) {
        const T = at + CHUNK <= Math.min(20, sequence) ? CHUNK : 1;
        const chunk = Array.from({ length: B * T }, (_, i) => Math.floor(i / T) * sequence + at + (i % T));
        const given = { [`ids${T}`]: chunk.map((row) => ids[row]), position: at };
        await program.run(T === CHUNK ? "prefill" : "decode", given);
        compared += compareRows(chunk, await program.read(`logits${T}`));
        at += T;
      }
      expect(compared).toBe(fixture.integers("logit_rows").length);
    });

    it("has the same logits if rows advance at different speeds, in permuted slots", async () => {
      const { batch: B, sequence, ids } = batch;
      const { vocabSize } = fixture.config;
      const done = new Array<number>(B).fill(0);
      const rows = done.map((_, b) => B - 1 - b);
      let compared = 0;
      for (let round = 0; done.some((at) => at < sequence); round++) {
        // Chunks of CHUNK or fewer tokens, or none, padded with the tokens that follow.
        const counts = done.map((at, b) => Math.min(CHUNK - ((round + 2 * b) % (CHUNK + 1)), sequence - at));
        const chunk = done.flatMap((at, b) => Array.from({ length: CHUNK }, (_, t) => ids[b * sequence + at + t] ?? 0));
        const lengths = done.map((at, b) => (counts[b] > 0 ? at + counts[b] : 0));
        const given = { idsRagged: chunk, positions: done, lengths, rows };
        await program.run("ragged", given);
        const got = await program.read("logitsRagged");
        for (const [b, count] of counts.entries()) {
          const texts = Array.from({ length: count }, (_, t) => b * sequence + done[b] + t);
          compared += compareRows(texts, got.subarray(b * CHUNK * vocabSize));
          done[b] += count;
        }
      }
      expect(compared).toBe(fixture.integers("logit_rows").length);
    });
  },
);
